"""Whom a day's reminders reach, and who is left out of them.

Each order has its triggers: so many days before and after its due date. A family is reminded where a trigger of
something that it can pay now falls after the last day that was dealt with, up to today: however many there are, it
is one mail, and a day that was missed is made up for once. The mail lists all that is due by then, or as near
before it as the rules begin to remind; what has no date is due when it was charged, but triggers nothing.

Who was mailed about money just before waits: their triggers are tried again on the next day that reminders go out,
for as long as the debt is there. Every other reason to be left out (a hold, an unsigned contract, …) ends the
trigger; the next one comes by the rules.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import Audience, AudienceQuery, Recipient, Skipped, SkipReason, conditions_of, skip_reason
from core.balances import OwedItem, stream_families, total_payable
from core.club import Club
from core.holds import held_parents
from core.instalments import asked_now
from core.models import Blast, BlastRecipient, EmailLog
from core.models.statuses import BlastStatus, EmailStatus, EmailType, RecipientStatus
from core.reminder_rules import Rules

# A mail that did not go out keeps nobody waiting; one that may have arrived does.
_ARRIVED = (EmailStatus.QUEUED, EmailStatus.SENDING, EmailStatus.SENT, EmailStatus.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class DayPlan:
    """A day's reminders. `waiting` are families to try again, with the last day that was dealt with for each."""

    day: date
    query: AudienceQuery
    audience: Audience
    waiting: dict[int, date]


async def plan_day(conn: AsyncConnection, club: Club, rules: Rules, day: date) -> DayPlan:
    """Return whom a day's reminders would reach, with three statements whatever the club's size."""
    held = await held_parents(conn, club.id, day)
    mailed = frozenset[int](await conn.scalars(mailed_lately(club, rules.min_gap_days, day)))
    due_by = (day + timedelta(days=rules.listed_days_ahead)).isoformat()
    query = AudienceQuery(EmailType.OUTSTANDING_BALANCE, due_by=due_by)
    audience, waiting, counts = Audience(), dict[int, date](), Counter[int]()
    async with stream_families(conn, club.id, *conditions_of(query)) as families:
        async for family in families:
            parent_id = family[0].parent_id
            since = since_when(rules, parent_id, day)
            told = family if parent_id in held else without_held(family, held)
            triggered = triggers(told, rules.offsets, since, day)
            if not triggered.any:
                continue
            reason = _reason(told, triggered, parent_id in held, parent_id in mailed)
            if reason is not None:
                audience.skipped.append(Skipped(parent_id, family[0].parent_name, reason))
                if reason is SkipReason.MAILED_LATELY:
                    waiting[parent_id] = since
                continue
            counts.update(triggered.payable)
            asked = [item for item in asked_now(told, day) if not item.is_copy]
            audience.recipients.append(Recipient(parent_id, total_payable(asked)))
    reasons = {str(offset): counts[offset] for offset in sorted(counts)}
    named = AudienceQuery(query.kind, due_by=due_by, triggers=reasons)
    return DayPlan(day, named, audience, waiting)


def since_when(rules: Rules, parent_id: int, day: date) -> date:
    """Return the last day that was dealt with for a family."""
    return rules.waiting.get(parent_id, rules.done_through or day - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Triggers:
    """The days, counted from due dates, that remind a family: of anything at all, and of what it can pay now."""

    any: frozenset[int]
    payable: frozenset[int]


def triggers(items: Iterable[OwedItem], offsets: Sequence[int], since: date, day: date) -> Triggers:
    """Return which triggers fall after `since`, up to `day`."""
    found = [
        (offset, item.is_payable)
        for item in items
        if item.due_date is not None
        for offset in offsets
        if since < item.due_date + timedelta(days=offset) <= day
    ]
    return Triggers(
        frozenset(offset for offset, _ in found),
        frozenset(offset for offset, is_payable in found if is_payable),
    )


def without_held(items: Iterable[OwedItem], held: frozenset[int]) -> list[OwedItem]:
    """Leave out what somebody pays who gets no reminders: a copy would be one by another way."""
    return [item for item in items if item.payer_id not in held]


def mailed_lately(
    club: Club, gap_days: int, day: date, *, parent_id: int | None = None, except_blast: int | None = None
) -> Select[Any]:
    """Return the statement for who was mailed about money too short a time before `day`, or will be any moment.

    Whoever asked for it: a blast, a person, a reminder. Receipts ask for nothing and don't count.
    """
    begin = datetime.combine(day - timedelta(days=gap_days - 1), time(), ZoneInfo(club.time_zone))
    mailed: list[ColumnElement[bool]] = [
        EmailLog.tenant_id == club.id,
        EmailLog.created_at >= begin,
        EmailLog.parent_id.is_not(None),
        EmailLog.email_type != EmailType.RECEIPT,
        EmailLog.status.in_(_ARRIVED),
    ]
    coming: list[ColumnElement[bool]] = [
        Blast.tenant_id == club.id,
        Blast.status.in_([BlastStatus.APPROVED, BlastStatus.SENDING]),
        BlastRecipient.status.in_([RecipientStatus.PENDING, RecipientStatus.SENDING]),
    ]
    if except_blast is not None:
        mailed.append(EmailLog.blast_id.is_distinct_from(except_blast))
        coming.append(Blast.id != except_blast)
    if parent_id is not None:
        mailed.append(EmailLog.parent_id == parent_id)
        coming.append(BlastRecipient.parent_id == parent_id)
    queued = select(BlastRecipient.parent_id).join(Blast, Blast.id == BlastRecipient.blast_id).where(*coming)
    both = union_all(select(EmailLog.parent_id).where(*mailed), queued).subquery()
    return select(both.c.parent_id)


def _reason(
    told: Sequence[OwedItem], triggered: Triggers, is_held: bool, is_mailed_lately: bool
) -> SkipReason | None:
    if is_held:
        return SkipReason.HELD
    if not triggered.payable:
        return skip_reason([item for item in told if not item.is_payable])
    reason = skip_reason(told)
    return SkipReason.MAILED_LATELY if reason is None and is_mailed_lately else reason
