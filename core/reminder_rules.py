"""A club's rules for reminders: before and after which day, on which weekdays, when, and how often at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.club import Club
from core.errors import InvalidInputError, WrongFieldError
from core.models import ReminderRule
from core.reminder_times import Hours, local_time

# Blasts leave instalments out that are due later than that, so an earlier reminder would list nothing.
MOST_DAYS_BEFORE, MOST_DAYS_AFTER, MOST_GAP_DAYS, MOST_TIMES = 30, 365, 30, 10
WEEKDAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Rules:
    """A club's rules; the defaults are those of a club that never changed any. Weekdays are ISO: Monday is 1.

    `done_through` and `waiting` say how far the reminders are: the last day that was dealt with, and the families
    (parent ids) who wait since an earlier one.
    """

    is_on: bool = False
    needs_approval: bool = True
    days_before: tuple[int, ...] = (3,)
    days_after: tuple[int, ...] = (1, 7, 14)
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    send_at: time = time(9)
    quiet_from: time = time(20)
    quiet_until: time = time(8)
    min_gap_days: int = 2
    done_through: date | None = None
    waiting: Mapping[int, date] = field(default_factory=dict)

    @property
    def hours(self) -> Hours:
        """When mails of reminders may go out."""
        return Hours(self.weekdays, self.quiet_from, self.quiet_until)

    @property
    def offsets(self) -> tuple[int, ...]:
        """On which days a family is reminded, counted from the due date: before it is negative."""
        return (*(-days for days in self.days_before), *self.days_after)

    @property
    def listed_days_ahead(self) -> int:
        """How many days before it is due something is listed in a reminder's mail."""
        return max(self.days_before, default=0)


# What people may change.
CHANGEABLE = frozenset(each.name for each in fields(Rules)) - {"is_on", "done_through", "waiting"}
_COLUMNS = [ReminderRule.__table__.c[each.name] for each in fields(Rules)]


async def load_rules(conn: AsyncConnection, tenant_id: int, *, lock: bool = False) -> Rules:
    """Return a club's rules; locked, nobody else works on its reminders until the transaction ends."""
    statement = select(*_COLUMNS).where(ReminderRule.tenant_id == tenant_id)
    row = (await conn.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return Rules() if row is None else _read(row._mapping)


def _read(row: Mapping[Any, Any]) -> Rules:
    lists = {name: tuple(sorted(row[name])) for name in ("days_before", "days_after", "weekdays")}
    waiting = {int(parent_id): date.fromisoformat(day) for parent_id, day in row["waiting"].items()}
    values: dict[str, Any] = {**row, **lists, "waiting": waiting}
    return Rules(**values)


async def change_rules(
    conn: AsyncConnection, club: Club, wanted: Mapping[str, Any], *, actor: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change some of a club's rules (`CHANGEABLE`), and write down who did.

    Returns those that changed, as they were and as they are.

    Raises:
        WrongFieldError: naming the rule that can't be like that.
    """
    rules = await _locked(conn, club.id)
    given: dict[str, Any] = {name: _in_order(value) for name, value in wanted.items()}
    check_rules(replace(rules, **given))
    after = {name: value for name, value in given.items() if value != getattr(rules, name)}
    before = {name: getattr(rules, name) for name in after}
    if after:
        await _store(conn, club.id, after)
        await _record(conn, club.id, actor, "reminders.set", before, after)
    return before, after


async def switch(conn: AsyncConnection, club: Club, *, on: bool, actor: str, now: datetime) -> bool:
    """Switch a club's reminders on or off; returns whether that changed anything.

    What would have been sent before is not made up for: the first day is today or, once today's time has passed,
    the next one.
    """
    rules = await _locked(conn, club.id)
    if rules.is_on is on:
        return False
    values: dict[str, Any] = {"is_on": on}
    if on:
        here = local_time(now, club.time_zone)
        is_over = here.time() >= rules.send_at
        values |= {"done_through": here.date() - timedelta(days=not is_over), "waiting": {}}
    await _store(conn, club.id, values)
    await _record(conn, club.id, actor, "reminders.switch", {"is_on": rules.is_on}, {"is_on": on})
    return True


async def store_progress(
    conn: AsyncConnection, tenant_id: int, done_through: date, waiting: Mapping[int, date]
) -> None:
    """Write down how far a club's reminders are."""
    values = {"done_through": done_through, "waiting": waiting_as_json(waiting)}
    await _store(conn, tenant_id, values)


def waiting_as_json(waiting: Mapping[int, date]) -> dict[str, str]:
    """Return who waits since when, as it is stored."""
    return {str(parent_id): day.isoformat() for parent_id, day in waiting.items()}


async def _locked(conn: AsyncConnection, tenant_id: int) -> Rules:
    await conn.execute(insert(ReminderRule).values(tenant_id=tenant_id).on_conflict_do_nothing())
    return await load_rules(conn, tenant_id, lock=True)


async def _store(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> None:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    await conn.execute(update(ReminderRule).where(ReminderRule.tenant_id == tenant_id).values(plain))


async def _record(
    conn: AsyncConnection, tenant_id: int, actor: str, action: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    told = [
        {name: str(value) if isinstance(value, time) else value for name, value in each.items()}
        for each in (before, after)
    ]
    await record_change(conn, tenant_id, actor, action, f"tenant:{tenant_id}", before=told[0], after=told[1])


def _in_order(value: object) -> object:
    return tuple(sorted(set(value))) if isinstance(value, (list, tuple)) else value


def check_rules(rules: Rules) -> None:
    """Make sure that reminders can work like that.

    Raises:
        WrongFieldError: naming the rule that can't.
    """
    _check_days("days_before", rules.days_before, 1, MOST_DAYS_BEFORE)
    _check_days("days_after", rules.days_after, 0, MOST_DAYS_AFTER)
    if not rules.offsets:
        raise WrongFieldError("Name at least one day before or after the due date.", "days_after")
    if not rules.weekdays:
        raise WrongFieldError("Name at least one day of the week.", "weekdays")
    if not 0 <= rules.min_gap_days <= MOST_GAP_DAYS:
        raise WrongFieldError(f"Days between two mails are from 0 to {MOST_GAP_DAYS}.", "min_gap_days")
    if rules.hours.is_quiet(rules.send_at):
        raise WrongFieldError("That time is in the quiet hours, so nothing would ever go out.", "send_at")


def _check_days(name: str, days: Sequence[int], least: int, most: int) -> None:
    if len(days) > MOST_TIMES:
        raise WrongFieldError(f"{MOST_TIMES} days are the most; make them fewer.", name)
    if any(not least <= each <= most for each in days):
        raise WrongFieldError(f"Days are whole numbers from {least} to {most}, like 3 or 1, 7, 14.", name)


def read_days(typed: str) -> tuple[int, ...]:
    """Read days as people type them: `1, 7, 14`, or nothing for none.

    Raises:
        InvalidInputError
    """
    words = typed.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() and len(word) <= 3 for word in words):
        raise InvalidInputError(f"“{typed}” are no days; write them like 1, 7, 14")
    return tuple(int(word) for word in words)


def rules_in_words(rules: Rules) -> str:
    """Return the days and times, e.g. `3 days before, 1, 7 and 14 days after, 9:00, Mon, Wed`."""
    parts = [_days_in_words(rules.days_before, "before"), _days_in_words(rules.days_after, "after")]
    return ", ".join([*filter(None, parts), time_in_words(rules.send_at), weekdays_in_words(rules.weekdays)])


def time_in_words(moment: time) -> str:
    """Return a time of the day, e.g. `9:00` or `17:30`."""
    return f"{moment.hour}:{moment:%M}"


def weekdays_in_words(weekdays: Sequence[int]) -> str:
    """Return days of the week, three or more in a row as a range."""
    runs: list[list[int]] = []
    for weekday in sorted(weekdays):
        if runs and runs[-1][-1] == weekday - 1:
            runs[-1].append(weekday)
        else:
            runs.append([weekday])
    return ", ".join(_run_in_words([WEEKDAY_NAMES[day - 1] for day in run]) for run in runs)


def _run_in_words(names: list[str]) -> str:
    return f"{names[0]}–{names[-1]}" if len(names) > 2 else ", ".join(names)  # noqa: RUF001 - a dash is meant


def _days_in_words(days: Sequence[int], word: str) -> str:
    if not days:
        return ""
    numbers = [str(each) for each in days]
    listed = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"{listed} {'day' if list(days) == [1] else 'days'} {word}"
