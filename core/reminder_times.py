"""When reminders may go out, in the club's own time: quiet hours, days of the week. Pure functions.

Clocks that go forward or back change nothing: it is always the wall clock and the calendar that are asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def local_time(moment: datetime, time_zone: str) -> datetime:
    """Return a moment as the club's clocks show it."""
    return moment.astimezone(ZoneInfo(time_zone))


@dataclass(frozen=True, slots=True)
class Hours:
    """On which ISO weekdays, and outside of which hours, mails go out.

    Quiet hours may go over midnight; where both ends are the same there are none.
    """

    weekdays: Sequence[int]
    quiet_from: time
    quiet_until: time

    def is_day(self, day: date) -> bool:
        """Say whether a day is one on which mails go out."""
        return day.isoweekday() in self.weekdays

    def is_quiet(self, at: time) -> bool:
        """Say whether a time of the day is in the quiet hours; their end isn't."""
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until

    def next_open(self, now: datetime, time_zone: str) -> datetime:
        """Return the first moment from `now` on at which mails may go out, in UTC."""
        here = local_time(now, time_zone)
        if self.is_day(here.date()) and not self.is_quiet(here.time()):
            return now
        for days in range(9):
            day = here.date() + timedelta(days=days)
            for at in sorted({time(), self.quiet_until}):
                begin = datetime.combine(day, at, ZoneInfo(time_zone)).astimezone(UTC)
                if begin > now and self.is_day(day) and not self.is_quiet(at):
                    return begin
        raise ValueError("no day of the week is open")

    def next_day(self, day: date) -> date:
        """Return the first day from `day` on on which mails go out."""
        return next(each for each in (day + timedelta(days=days) for days in range(8)) if self.is_day(each))


def due_day(hours: Hours, send_at: time, now: datetime, time_zone: str) -> date | None:
    """Return the club's day whose reminders are to be made now; None while none are."""
    here = local_time(now, time_zone)
    if here.time() < send_at or not hours.is_day(here.date()) or hours.is_quiet(here.time()):
        return None
    return here.date()


def next_run_day(hours: Hours, send_at: time, now: datetime, time_zone: str, last_run: date | None) -> date:
    """Return the day whose reminders are made next: today, where they still can be and were not yet."""
    here = local_time(now, time_zone)
    today = here.date()
    can_be_today = here.time() < send_at or due_day(hours, send_at, now, time_zone) is not None
    first = today if can_be_today else today + timedelta(days=1)
    if last_run is not None:
        first = max(first, last_run + timedelta(days=1))
    return hours.next_day(first)
