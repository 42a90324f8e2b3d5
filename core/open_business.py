"""What waits for somebody to decide, or is under way right now: for the admins' first look."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import Blast, BlastRecipient, UnmatchedPayment
from core.models.statuses import BlastStatus, RecipientStatus, UnmatchedStatus

_OPEN = (BlastStatus.DRAFT, BlastStatus.APPROVED, BlastStatus.SENDING)
BLASTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OpenBlast:
    """A blast that waits for its approval or is being sent. Amount in cents, as it was drafted."""

    id: int
    status: BlastStatus
    requested_by: str
    total_cents: int
    families: int
    slack_channel: str | None


@dataclass(frozen=True, slots=True)
class OpenBusiness:
    """The latest open blasts, and how many payments nobody has matched yet."""

    blasts: tuple[OpenBlast, ...]
    unmatched_payments: int


async def open_business(conn: AsyncConnection, tenant_id: int) -> OpenBusiness:
    """Return what is open, with two statements."""
    families = (
        select(func.count())
        .where(BlastRecipient.blast_id == Blast.id, BlastRecipient.status != RecipientStatus.SKIPPED)
        .correlate(Blast)
        .scalar_subquery()
    )
    rows = await conn.execute(
        select(Blast.id, Blast.status, Blast.requested_by, Blast.total_cents, families, Blast.slack_channel)
        .where(Blast.tenant_id == tenant_id, Blast.status.in_(_OPEN))
        .order_by(Blast.id.desc())
        .limit(BLASTS_SHOWN)
    )
    unmatched = await conn.scalar(
        select(func.count())
        .select_from(UnmatchedPayment)
        .where(UnmatchedPayment.tenant_id == tenant_id, UnmatchedPayment.status == UnmatchedStatus.OPEN)
    )
    blasts = tuple(OpenBlast(row[0], BlastStatus(row[1]), *row[2:]) for row in rows)
    return OpenBusiness(blasts, int(unmatched or 0))
