"""Reminding families by themselves, once a day: each day's reminders are a blast like any other.

A day's run is made once (`reminder_runs`), however many processes try. How far the reminders are is written down
(`reminder_rules.done_through` and `waiting`) only when the next run finds that this one was decided about:
approved, canceled by a person, or nobody was due. A draft that nobody decided about is canceled by the next run,
which covers its days too: there is one draft at a time, it is never out of date, and nobody is mailed twice for
one day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import SkipReason
from core.blasts import REMINDERS, Blasts
from core.clock import Clock, local_date
from core.club import Club, club_by_id
from core.database import Database
from core.errors import AlreadyDoneError, InvalidInputError
from core.jobs import JobQueue
from core.models import Blast, BlastRecipient, Parent, ReminderRule, ReminderRun, Tenant
from core.models.statuses import BlastStatus, RecipientStatus, ReminderRunStatus
from core.reminder_audience import DayPlan, plan_day, since_when
from core.reminder_rules import Rules, load_rules, store_progress, waiting_as_json
from core.reminder_times import Hours, due_day, next_run_day


@dataclass(frozen=True, slots=True)
class NextReminders:
    """A club's rules and, as things are now, what the next day's reminders would be."""

    rules: Rules
    plan: DayPlan


@dataclass(frozen=True, slots=True)
class Reminded:
    """A guardian who gets a mail over so many cents; none where they only get a copy."""

    parent_name: str
    email: str | None
    total_cents: int


@dataclass(frozen=True, slots=True)
class DayRun:
    """A day's reminders that were made. Without a blast nobody was due."""

    plan: DayPlan
    blast_id: int | None
    needs_approval: bool


class Reminders:
    """Makes each day's reminders."""

    def __init__(
        self, database: Database, jobs: JobQueue, blasts: Blasts, clock: Clock, *, is_mail_on: bool
    ) -> None:
        """Without mail nothing is made; what was missed is made up for once mail is on."""
        self._database = database
        self._jobs = jobs
        self._blasts = blasts
        self._clock = clock
        self._is_mail_on = is_mail_on

    async def start_due(self, timestamp: int) -> None:  # noqa: ARG002 - a periodic task gets it
        """Have today's reminders made for each club whose time has come (a periodic task)."""
        if not self._is_mail_on:
            return
        now = self._clock()
        async with self._database.transaction() as conn:
            due = []
            for rule in await conn.execute(_SWITCHED_ON):
                hours = Hours(rule.weekdays, rule.quiet_from, rule.quiet_until)
                day = due_day(hours, rule.send_at, now, rule.time_zone)
                if day is not None and (rule.last_run is None or rule.last_run < day):
                    due.append(rule.tenant_id)
            await self._jobs.remind_clubs(conn, due)

    async def run_due(self, tenant_id: int) -> None:
        """Make a club's reminders of today, where it is time and nobody has yet (a background task)."""
        async with self._database.transaction() as conn:
            club = await club_by_id(conn, tenant_id)
            rules = await load_rules(conn, tenant_id, lock=True)
            day = due_day(rules.hours, rules.send_at, self._clock(), club.time_zone)
            if rules.is_on and day is not None:
                await self._run(conn, club, rules, day, REMINDERS)

    async def run_now(self, club: Club, *, actor: str, keep: bool) -> DayRun:
        """Make a club's reminders of today before their time; without `keep` only to see what would happen.

        Raises:
            InvalidInputError: where they are off, or none go out now.
            AlreadyDoneError: where today's were made.
        """
        now = self._clock()
        async with self._database.transaction(keep=keep) as conn:
            rules = await load_rules(conn, club.id, lock=True)
            if not rules.is_on:
                raise InvalidInputError("Reminders are off; `sideline reminders on` switches them on.")
            if not self._is_mail_on:
                raise InvalidInputError("Mail is off: set SMTP_URL and MAIL_FROM.")
            today = local_date(now, club.time_zone)
            if rules.hours.next_open(now, club.time_zone) != now:
                raise InvalidInputError("Reminders don't go out at this hour or on this day of the week.")
            run = await self._run(conn, club, rules, today, actor)
        if run is None:
            raise AlreadyDoneError("Today's reminders were made already.")
        return run

    async def next(self, conn: AsyncConnection, club: Club, on: date | None = None) -> NextReminders:
        """Return what the next reminders would be, or those on a day to come, as things are now. Writes nothing.

        Reminders that are off are shown as if they were switched on now.

        Raises:
            InvalidInputError: where none go out on that day.
        """
        now = self._clock()
        rules = await load_rules(conn, club.id)
        last = await _last_run(conn, club.id)
        soonest = next_run_day(
            rules.hours, rules.send_at, now, club.time_zone, last.run_on if last and rules.is_on else None
        )
        day = on or soonest
        if day < soonest or not rules.hours.is_day(day):
            raise InvalidInputError(f"No reminders go out on {day}; the next ones do on {soonest}.")
        if rules.is_on and last is not None:
            rules = await _settled(conn, rules, last, is_replaced=last.blast_status is BlastStatus.DRAFT)
        elif not rules.is_on:
            rules = replace(rules, done_through=None, waiting={})
        return NextReminders(rules, await plan_day(conn, club, rules, day))

    async def named(self, conn: AsyncConnection, plan: DayPlan) -> list[Reminded]:
        """Return who gets a mail, by name."""
        totals = {recipient.parent_id: recipient.total_cents for recipient in plan.audience.recipients}
        name = func.btrim(Parent.first_name + " " + Parent.last_name)
        rows = await conn.execute(
            select(Parent.id, name, Parent.email)
            .where(Parent.id.in_(totals))
            .order_by(Parent.last_name, Parent.first_name, Parent.id)
        )
        return [Reminded(parent_name, email, totals[parent_id]) for parent_id, parent_name, email in rows]

    async def _run(
        self, conn: AsyncConnection, club: Club, rules: Rules, day: date, requested_by: str
    ) -> DayRun | None:
        """Make a day's reminders, in a transaction that holds the rules' lock; None where they were made."""
        last = await _last_run(conn, club.id)
        # Not after a day that was made, either: a clock that was set back makes nothing twice.
        if last is not None and last.run_on >= day:
            return None
        if last is not None:
            rules = await self._settle(conn, club, rules, last)
        plan = await plan_day(conn, club, rules, day)
        blast_id = None
        if plan.audience.recipients:
            blast_id = await self._blasts.make_reminder(
                conn,
                club,
                plan.query,
                plan.audience,
                requested_by=requested_by,
                needs_approval=rules.needs_approval,
            )
        await conn.execute(
            insert(ReminderRun).values(
                tenant_id=club.id,
                run_on=day,
                blast_id=blast_id,
                status=_status(blast_id, needs_approval=rules.needs_approval),
                waiting=waiting_as_json(plan.waiting),
            )
        )
        return DayRun(plan, blast_id, rules.needs_approval)

    async def _settle(self, conn: AsyncConnection, club: Club, rules: Rules, last: "_LastRun") -> Rules:
        """Write down what became of the last run, and return the rules with how far the reminders are now."""
        is_replaced = last.blast_id is not None and await self._blasts.replace_reminder(conn, club, last.blast_id)
        if last.status is ReminderRunStatus.WAITING:
            is_off = is_replaced or last.blast_status is BlastStatus.CANCELED
            status = ReminderRunStatus.NOBODY if is_off else ReminderRunStatus.SENT
            is_it = (ReminderRun.tenant_id == club.id) & (ReminderRun.run_on == last.run_on)
            await conn.execute(update(ReminderRun).where(is_it).values(status=status))
        settled = await _settled(conn, rules, last, is_replaced=is_replaced)
        if settled.done_through is not None:
            await store_progress(conn, club.id, settled.done_through, settled.waiting)
        return settled


@dataclass(frozen=True, slots=True)
class _LastRun:
    run_on: date
    status: ReminderRunStatus
    waiting: Mapping[str, str]
    blast_id: int | None
    blast_status: BlastStatus | None


async def _last_run(conn: AsyncConnection, tenant_id: int) -> _LastRun | None:
    found = await conn.execute(
        select(ReminderRun.run_on, ReminderRun.status, ReminderRun.waiting, ReminderRun.blast_id, Blast.status)
        .outerjoin(Blast, Blast.id == ReminderRun.blast_id)
        .where(ReminderRun.tenant_id == tenant_id)
        .order_by(ReminderRun.run_on.desc())
        .limit(1)
    )
    row = found.one_or_none()
    if row is None:
        return None
    run_on, status, waiting, blast_id, blast_status = row
    decided = None if blast_status is None else BlastStatus(blast_status)
    return _LastRun(run_on, ReminderRunStatus(status), waiting, blast_id, decided)


async def _settled(conn: AsyncConnection, rules: Rules, last: _LastRun, *, is_replaced: bool) -> Rules:
    """Return the rules with how far the reminders are after the last run; where it is replaced, no further."""
    if is_replaced or (rules.done_through is not None and last.run_on <= rules.done_through):
        return rules
    waiting = {int(parent_id): date.fromisoformat(day) for parent_id, day in last.waiting.items()}
    # Somebody else's mail went out between the run and the sending.
    late = await conn.scalars(
        select(BlastRecipient.parent_id).where(
            BlastRecipient.blast_id == last.blast_id,
            BlastRecipient.status == RecipientStatus.SKIPPED,
            BlastRecipient.error == SkipReason.MAILED_LATELY,
        )
    )
    waiting |= {parent_id: since_when(rules, parent_id, last.run_on) for parent_id in late}
    return replace(rules, done_through=last.run_on, waiting=waiting)


def _status(blast_id: int | None, *, needs_approval: bool) -> ReminderRunStatus:
    if blast_id is None:
        return ReminderRunStatus.NOBODY
    return ReminderRunStatus.WAITING if needs_approval else ReminderRunStatus.SENT


_last_run_on = (
    select(func.max(ReminderRun.run_on))
    .where(ReminderRun.tenant_id == ReminderRule.tenant_id)
    .correlate(ReminderRule)
    .scalar_subquery()
)
_SWITCHED_ON = (
    select(
        ReminderRule.tenant_id,
        ReminderRule.weekdays,
        ReminderRule.send_at,
        ReminderRule.quiet_from,
        ReminderRule.quiet_until,
        Tenant.time_zone,
        _last_run_on.label("last_run"),
    )
    .join(Tenant, Tenant.id == ReminderRule.tenant_id)
    .where(ReminderRule.is_on)
)
