"""Two blasts drafted for the same families: once one of them is approved, the other is not approved by accident.

Reminders are not held up by this: each of their mails keeps the club's own gap to the family's last mail, so that
one family in common takes nobody else's away. A blast is held up by reminders as by any other mail of its kind.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.clock import local_date
from core.club import Club
from core.errors import OverlapError
from core.models import Blast, BlastRecipient
from core.models.statuses import BlastStatus, RecipientStatus

# What to do about a draft that waits for people, and about one that was made to go out at once.
CANCEL_IT = "Cancel this one; if they should get a second mail, draft it again."
START_AGAIN = "Nothing was sent; if they should get a second mail, start it again."

# Of a canceled blast these families were mailed, or may have been.
_REACHED = (RecipientStatus.SENDING, RecipientStatus.SENT, RecipientStatus.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another blast that mails some of the same families; `approved_at` is in UTC."""

    approved_by: str | None
    approved_at: datetime
    families: int


async def lock_approvals(conn: AsyncConnection, tenant_id: int) -> None:
    """Have everybody else who approves a blast of this club wait until this transaction ends.

    Taken after the blast's own row is locked, never before: reminders lock a row first as well.
    """
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"approvals:{tenant_id}", 0))))


async def find_overlap(conn: AsyncConnection, tenant_id: int, blast_id: int) -> Overlap | None:
    """Return the latest blast of the same kind, approved since this one was drafted, that has families in common.

    None for a reminder. Families who were left out of either don't count.
    """
    this, other = aliased(Blast), aliased(Blast)
    ours, theirs = aliased(BlastRecipient), aliased(BlastRecipient)
    found = await conn.execute(
        select(other.approved_by, other.approved_at, func.count())
        .select_from(this)
        .join(ours, ours.blast_id == this.id)
        .join(theirs, theirs.parent_id == ours.parent_id)
        .join(other, other.id == theirs.blast_id)
        .where(
            this.id == blast_id,
            # A reminder's (`AudienceQuery.is_reminder`).
            ~this.audience.has_key("due_by"),
            ours.status == RecipientStatus.PENDING,
            other.id != blast_id,
            other.tenant_id == tenant_id,
            other.kind == this.kind,
            other.approved_at > this.created_at,
            theirs.status != RecipientStatus.SKIPPED,
            or_(other.status != BlastStatus.CANCELED, theirs.status.in_(_REACHED)),
        )
        .group_by(other.id)
        .order_by(other.approved_at.desc())
        .limit(1)
    )
    for approved_by, approved_at, families in found:
        # One that was approved always has it; the column of a draft is empty.
        if approved_at is not None:
            return Overlap(approved_by, approved_at, families)
    return None


def overlap_error(club: Club, overlap: Overlap, now: datetime, advice: str) -> OverlapError:
    """Return what the person who approves is told."""
    who, count = overlap.approved_by or "somebody", overlap.families
    families = "1 of these families" if count == 1 else f"{count:,} of these families"
    here = overlap.approved_at.astimezone(ZoneInfo(club.time_zone))
    is_today = here.date() == local_date(now, club.time_zone)
    when = f"at {here:%H:%M}" if is_today else f"on {here:%Y-%m-%d} at {here:%H:%M}"
    return OverlapError(
        f"After this was drafted, {who} approved another mail to {families} ({when}). {advice}", people=[who]
    )
