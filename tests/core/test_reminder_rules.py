"""Rules and times: what is quiet, when it opens again, which day is next, and what rules can't be."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.club import club_by_id
from core.database import Database
from core.errors import InvalidInputError, WrongFieldError
from core.models import AuditLog
from core.reminder_rules import (
    Rules,
    change_rules,
    check_rules,
    load_rules,
    read_days,
    rules_in_words,
    weekdays_in_words,
)
from core.reminder_times import Hours, due_day, local_time, next_run_day
from tests.books import open_books

ZONE = "America/New_York"
WORKDAYS = (1, 2, 3, 4, 5)
NIGHTS = Hours(WORKDAYS, time(20), time(8))
TIMES = st.times().map(lambda each: each.replace(microsecond=0))
HOURS = st.builds(Hours, st.lists(st.integers(1, 7), min_size=1, unique=True), TIMES, TIMES)
# Hypothesis wants its bounds without a zone and adds it.
FROM, UNTIL = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2028-01-01")
MOMENTS = st.datetimes(FROM, UNTIL, timezones=st.just(UTC))
ZONES = st.sampled_from([ZONE, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])


def here(day: date, at: time) -> datetime:
    return datetime.combine(day, at, ZoneInfo(ZONE)).astimezone(UTC)


@given(hours=HOURS, now=MOMENTS, zone=ZONES)
def test_what_opens_is_open_and_nothing_before_it_was(hours: Hours, now: datetime, zone: str) -> None:
    opens = hours.next_open(now, zone)
    shown = local_time(opens, zone)
    assert opens >= now
    assert hours.is_day(shown.date())
    # Where clocks go forward, the end of the quiet hours may be a time that no clock shows.
    assert not hours.is_quiet(shown.time()) or opens > now
    step = (opens - now) / 50
    for number in range(50 if opens > now else 0):
        before = local_time(now + step * number, zone)
        assert not hours.is_day(before.date()) or hours.is_quiet(before.time())


@given(hours=HOURS, send_at=TIMES, now=MOMENTS, zone=ZONES)
def test_the_next_day_is_an_allowed_one_and_never_the_last_again(
    hours: Hours, send_at: time, now: datetime, zone: str
) -> None:
    day = next_run_day(hours, send_at, now, zone, None)
    assert hours.is_day(day)
    assert day >= local_time(now, zone).date()
    due = due_day(hours, send_at, now, zone)
    if due is not None:
        assert due == day
        assert next_run_day(hours, send_at, now, zone, due) > due


@pytest.mark.parametrize(
    ("day", "at", "opens_on", "opens_at"),
    [
        (date(2026, 11, 30), time(12), date(2026, 11, 30), time(12)),
        (date(2026, 11, 30), time(20), date(2026, 12, 1), time(8)),
        (date(2026, 11, 30), time(7, 59), date(2026, 11, 30), time(8)),
        (date(2026, 12, 4), time(20), date(2026, 12, 7), time(8)),
        (date(2026, 12, 5), time(12), date(2026, 12, 7), time(8)),
        # Clocks go back on November 1 and forward on March 14.
        (date(2026, 10, 30), time(21), date(2026, 11, 2), time(8)),
        (date(2027, 3, 12), time(21), date(2027, 3, 15), time(8)),
    ],
)
def test_nights_and_weekends_are_waited_for(day: date, at: time, opens_on: date, opens_at: time) -> None:
    assert NIGHTS.next_open(here(day, at), ZONE) == here(opens_on, opens_at)


def test_quiet_hours_at_noon_and_none_at_all() -> None:
    noon = Hours(WORKDAYS, time(12), time(14))
    assert [noon.is_quiet(time(hour)) for hour in (11, 12, 13, 14)] == [False, True, True, False]
    assert not Hours(WORKDAYS, time(8), time(8)).is_quiet(time(8))


def test_an_hour_that_comes_twice_is_one_days() -> None:
    every_day = Hours(range(1, 8), time(23), time(0))
    moments = [datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)]
    assert {local_time(moment, ZONE).time() for moment in moments} == {time(1, 30)}
    assert {due_day(every_day, time(1, 15), moment, ZONE) for moment in moments} == {date(2026, 11, 1)}


def test_an_hour_that_never_comes_is_made_up_for_at_once() -> None:
    every_day = Hours(range(1, 8), time(23), time(0))
    # 2:30 is left out on March 14; the clocks show 3:00 at 7:00 UTC.
    moment = datetime(2027, 3, 14, 7, tzinfo=UTC)
    assert due_day(every_day, time(2, 30), moment, ZONE) == date(2027, 3, 14)
    assert due_day(every_day, time(2, 30), moment - timedelta(seconds=1), ZONE) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"days_before": (31,)}, "days_before"),
        ({"days_before": (0,)}, "days_before"),
        ({"days_after": (366,)}, "days_after"),
        ({"days_after": tuple(range(11))}, "days_after"),
        ({"days_before": (), "days_after": ()}, "days_after"),
        ({"weekdays": ()}, "weekdays"),
        ({"min_gap_days": 31}, "min_gap_days"),
        ({"min_gap_days": -1}, "min_gap_days"),
        ({"send_at": time(21)}, "send_at"),
        ({"quiet_until": time(9, 1)}, "send_at"),
    ],
)
def test_rules_that_cannot_work_are_refused_beside_their_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(WrongFieldError) as refused:
        check_rules(replace(Rules(), **change))
    assert refused.value.field == field


async def test_a_change_is_stored_once_and_written_down(database: Database) -> None:
    async with database.transaction() as conn:
        club = await club_by_id(conn, (await open_books(conn)).tenant_id)
        wanted = {"days_after": (7, 1, 7), "send_at": time(17, 30), "min_gap_days": 2}
        before, after = await change_rules(conn, club, wanted, actor="U1")
        assert (before, after) == (
            {"days_after": (1, 7, 14), "send_at": time(9)},
            {"days_after": (1, 7), "send_at": time(17, 30)},
        )
        assert await change_rules(conn, club, wanted, actor="U1") == ({}, {})
        assert (await load_rules(conn, club.id)).days_after == (1, 7)
        (told,) = await conn.scalars(select(AuditLog.after))
        assert told == {"days_after": [1, 7], "send_at": "17:30:00"}


def test_rules_in_words() -> None:
    assert rules_in_words(Rules()) == "3 days before, 1, 7 and 14 days after, 9:00, Mon–Fri"
    lonely = Rules(days_before=(), days_after=(1,), weekdays=(2, 4, 6, 7), send_at=time(17, 30))
    assert rules_in_words(lonely) == "1 day after, 17:30, Tue, Thu, Sat, Sun"
    assert weekdays_in_words(range(1, 8)) == "Mon–Sun"


def test_days_as_people_type_them() -> None:
    assert read_days(" 1, 7,14 ") == (1, 7, 14)
    assert read_days("") == ()
    for wrong in ("soon", "-3", "1;2", "1000", "٣"):
        with pytest.raises(InvalidInputError, match="1, 7, 14"):
            read_days(wrong)
