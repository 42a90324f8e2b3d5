"""Paying in parts: the sums, the dates, and how a plan is shown. Pure functions; `core.items` stores the plans.

The parts sum to the whole to the cent; spare cents are put on the first ones. Dates are counted from the first
one, so a month's end stays one: Jan 31, Feb 28, Mar 31.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum

from dateutil.relativedelta import relativedelta

from core.balances import OwedItem
from core.errors import InvalidInputError

MOST_PARTS = 60
# A blast asks for a part once it is due within so many days: a month's plan has its next part in the mail, and
# nobody is asked in autumn for what is due in spring.
ASKED_DAYS_AHEAD = 30


class Every(StrEnum):
    """How far apart the parts are due."""

    WEEK = "week"
    TWO_WEEKS = "2weeks"
    MONTH = "month"


_STEPS = {
    Every.WEEK: relativedelta(weeks=1),
    Every.TWO_WEEKS: relativedelta(weeks=2),
    Every.MONTH: relativedelta(months=1),
}


def split_evenly(total_cents: int, parts: int) -> list[int]:
    """Return `parts` amounts that sum to the total; none is more than a cent above another, the first are larger.

    Raises:
        InvalidInputError: where there is less than a cent for each.
    """
    if total_cents < parts:
        raise InvalidInputError(f"{total_cents} cents can't be paid in {parts} parts; make them fewer.")
    share, spare = divmod(total_cents, parts)
    return [share + (number < spare) for number in range(parts)]


def due_dates(first: date, every: Every, parts: int) -> list[date]:
    """Return the dates of so many parts.

    Raises:
        InvalidInputError: where the number of parts is not a sensible one.
    """
    if not 2 <= parts <= MOST_PARTS:
        raise InvalidInputError(f"A fee is paid in 2 to {MOST_PARTS} instalments; {parts} is not one of them.")
    try:
        return [first + _STEPS[every] * number for number in range(parts)]
    except (OverflowError, ValueError):
        raise InvalidInputError(f"The instalments would go on for too long after {first}.") from None


def dates_left(dates: Sequence[date], today: date) -> list[date]:
    """Return the dates that somebody who is billed today can still keep; today is one of them.

    Raises:
        InvalidInputError: where all have passed.
    """
    left = [due for due in dates if due >= today]
    if not left:
        raise InvalidInputError(f"All {len(dates)} dates have passed, the last on {dates[-1]}; start later.")
    return left


def one_line_a_plan(items: Iterable[OwedItem], today: date) -> list[OwedItem]:
    """Return what is owed as families and coaches read it: of each plan one line, and every part that is overdue.

    The plan's line is its next part, the one that is to be paid now, and tells how far the plan is. A part whose
    payment is on its way stays too. What is no plan's stays as it is.
    """
    told = list(items)
    coming = [item for item in told if item.instalment_plan_id is not None and not _stays(item, today)]
    coming.sort(key=lambda item: item.instalment_number or 0, reverse=True)
    following = {item.instalment_plan_id: item.order_id for item in coming}
    lines = []
    for item in told:
        if item.instalment_plan_id is None or _stays(item, today):
            lines.append(item)
        elif following[item.instalment_plan_id] == item.order_id:
            lines.append(item._replace(description=_progress(item)))
    return lines


def asked_now(items: Iterable[OwedItem], today: date) -> list[OwedItem]:
    """Return the lines that a blast asks for: a plan's next part only once it is due within `ASKED_DAYS_AHEAD`."""
    horizon = today + timedelta(days=ASKED_DAYS_AHEAD)
    lines = one_line_a_plan(items, today)
    return [
        line
        for line in lines
        if line.instalment_plan_id is None or line.due_date is None or line.due_date <= horizon
    ]


def _stays(part: OwedItem, today: date) -> bool:
    return part.is_processing or (part.due_date is not None and part.due_date < today)


def _progress(part: OwedItem) -> str:
    return f"{part.plan_name}: {part.instalments_paid} of {part.instalments} paid · next part"
