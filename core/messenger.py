"""What the core asks of whoever speaks to people in the club's chat."""

from typing import Protocol

from sqlalchemy import update

from core.database import Database
from core.models import Notice
from core.models.statuses import NoticeStatus


class Messenger(Protocol):
    """Posts to the club's channels. Each method is a background task: it may run late, or again."""

    async def post_notice(self, notice_id: int) -> None:
        """Post a notice to the payments channel, once."""

    async def refresh_notice(self, notice_id: int) -> None:
        """Bring a notice that was posted up to date."""

    async def refresh_blast_message(self, blast_id: int) -> None:
        """Post a blast's message to the approvals channel, or bring it up to date."""

    async def refresh_reconciliation(self, run_id: int) -> None:
        """Post the message about a comparison with Stripe to the payments channel, or bring it up to date."""

    async def tell_person(self, tenant_id: int, user_id: str, text: str) -> None:
        """Tell one person in private; `text` is plain."""


class NoMessenger:
    """Stands in where Slack is off: notices are marked as not posted, so that none comes as a surprise later."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def post_notice(self, notice_id: int) -> None:
        """Mark the notice."""
        async with self._database.transaction() as conn:
            await conn.execute(
                update(Notice)
                .where(Notice.id == notice_id)
                .values(status=NoticeStatus.FAILED, error="Slack is off")
            )

    async def refresh_notice(self, notice_id: int) -> None:
        """Do nothing: no notice was posted."""

    async def refresh_blast_message(self, blast_id: int) -> None:
        """Do nothing: the blast itself is in the database."""

    async def refresh_reconciliation(self, run_id: int) -> None:
        """Do nothing: what was found is in the database."""

    async def tell_person(self, tenant_id: int, user_id: str, text: str) -> None:
        """Do nothing: the mail's log holds the reason."""
