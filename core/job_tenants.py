"""Which club a background job is for, told by what its arguments name."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import TextClause, text

from core.database import Database

_OF_PAYMENT = "select o.tenant_id from payments p join orders o on o.id = p.order_id where p.id = :named"
_OF_LINK = """
    select tenant_id from payment_links where stripe_payment_link_id = :named
    union all
    select tenant_id from retired_links where stripe_payment_link_id = :named
    limit 1
"""


def _row_of(table: str) -> TextClause:
    return text(f"select tenant_id from {table} where id = :named")


# The argument that tells, and how; None: it is the club's id itself.
_TENANT_OF: Mapping[str, tuple[str, TextClause | None]] = {
    "send_mail": ("email_log_id", _row_of("email_logs")),
    "send_blast_mail": ("blast_id", _row_of("blasts")),
    "send_blast_mails": ("blast_id", _row_of("blasts")),
    "send_receipts": ("payment_id", text(_OF_PAYMENT)),
    "post_notice": ("notice_id", _row_of("notices")),
    "refresh_notice": ("notice_id", _row_of("notices")),
    "refresh_blast_message": ("blast_id", _row_of("blasts")),
    "tell_person": ("tenant_id", None),
    "close_link": ("stripe_payment_link_id", text(_OF_LINK)),
    "refund_payment": ("refund_request_id", _row_of("refund_requests")),
    "follow_up_payments": ("tenant_id", None),
    "remind_club": ("tenant_id", None),
    "reconcile_club": ("tenant_id", None),
    "repair_finding": ("finding_id", _row_of("reconcile_findings")),
    "refresh_reconciliation": ("run_id", _row_of("reconcile_runs")),
}
# They look at all clubs, and enqueue a job for each.
FOR_ALL_CLUBS = frozenset({"start_reminders", "start_reconciliations", "rescue_stalled"})
# A blast's ten thousand jobs need not ask ten thousand times whose it is: that never changes.
_REMEMBERED = {"send_blast_mail", "send_blast_mails"}
_MOST_REMEMBERED = 256


class JobTenants:
    """Finds the club of a job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[object, int] = {}

    async def tenant_of(self, task: str, arguments: Mapping[str, Any]) -> int | None:
        """Return the id of the club that a job is for; None for all clubs' work, and where its row is gone.

        Raises:
            KeyError: for a task that nothing is said of.
        """
        if task in FOR_ALL_CLUBS:
            return None
        argument, statement = _TENANT_OF[task]
        named = arguments[argument]
        if statement is None:
            return int(named)
        if task not in _REMEMBERED:
            return await self._ask(statement, named)
        if named not in self._known:
            found = await self._ask(statement, named)
            if found is None:
                return None
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[named] = found
        return self._known[named]

    async def _ask(self, statement: TextClause, named: object) -> int | None:
        async with self._database.reading() as conn:
            found: int | None = await conn.scalar(statement, {"named": named})
        return found
