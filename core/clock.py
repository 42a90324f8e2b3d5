"""The time, passed in so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def local_date(moment: datetime, time_zone: str) -> date:
    """Return the date that people in the club's time zone call `moment`'s."""
    return moment.astimezone(ZoneInfo(time_zone)).date()
