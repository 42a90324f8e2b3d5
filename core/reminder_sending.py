"""What a reminder's mail is checked for at the last moment: the hour, a hold, another mail meanwhile."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import SkipReason
from core.balances import OwedItem
from core.clock import local_date
from core.club import Club
from core.holds import held_parents
from core.reminder_audience import mailed_lately, without_held
from core.reminder_rules import load_rules


async def opens_at(conn: AsyncConnection, club: Club, now: datetime) -> datetime:
    """Return the first moment from `now` on at which a reminder may go out, in UTC: `now` itself where it may."""
    rules = await load_rules(conn, club.id)
    return rules.hours.next_open(now, club.time_zone)


async def still_to_remind_of(
    conn: AsyncConnection, club: Club, blast_id: int, items: list[OwedItem], now: datetime
) -> tuple[list[OwedItem], SkipReason | None]:
    """Return what of a guardian's items the mail may still list, or why it must not go out.

    `items` are at least one. Re-sends to the same guardian wait until the transaction ends, so that of the two
    mails at least one knows of the other.
    """
    parent_id, today = items[0].parent_id, local_date(now, club.time_zone)
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"resend:{parent_id}", 0))))
    held = await held_parents(conn, club.id, today, {parent_id, *(item.payer_id for item in items)})
    told = [] if parent_id in held else without_held(items, held)
    if not told:
        return [], SkipReason.HELD
    gap_days = (await load_rules(conn, club.id)).min_gap_days
    recent = mailed_lately(club, gap_days, today, parent_id=parent_id, except_blast=blast_id)
    if await conn.scalar(recent.limit(1)) is not None:
        return [], SkipReason.MAILED_LATELY
    return told, None
