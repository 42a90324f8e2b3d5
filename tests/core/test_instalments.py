"""Instalments: sums and dates, and a plan shown as one line."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.balances import OwedItem
from core.charging import split_cents
from core.errors import InvalidInputError
from core.instalments import Every, asked_now, dates_left, due_dates, one_line_a_plan, split_evenly

TODAY = date(2026, 11, 21)


def owed(order_id: int, **told: object) -> OwedItem:
    known: dict[str, object] = {
        "order_id": order_id,
        "parent_id": 1,
        "player_id": 1,
        "player_name": "Jaxon Reed",
        "team_id": None,
        "team_name": None,
        "description": "Home jersey",
        "category": "jersey",
        "amount_cents": 5000,
        "balance_cents": 5000,
        "currency": "usd",
        "due_date": None,
        "status": "pending",
        "contract_status": "none",
        "parent_first_name": "Pat",
        "parent_last_name": "Reed",
        "parent_email": "pat@example.com",
        "payer_id": 1,
        "instalment_plan_id": None,
        "instalment_number": None,
        "instalments": None,
        "plan_name": None,
        "instalments_paid": None,
        "payer_name": None,
    }
    return OwedItem(**known | told)  # type: ignore[arg-type]


def part(
    order_id: int, number: int, due: date, *, paid: int = 0, plan: int = 1, status: str = "pending"
) -> OwedItem:
    return owed(
        order_id,
        description=f"Uniform kit, {number} of 4",
        due_date=due,
        instalment_plan_id=plan,
        instalment_number=number,
        instalments=4,
        plan_name="Uniform kit",
        instalments_paid=paid,
        status=status,
    )


def told(items: list[OwedItem]) -> list[tuple[int, str]]:
    return [(item.order_id, item.description) for item in items]


@given(total=st.integers(1, 100_000_000), parts=st.integers(1, 60))
def test_parts_sum_to_the_whole(total: int, parts: int) -> None:
    if total < parts:
        with pytest.raises(InvalidInputError):
            split_evenly(total, parts)
        return
    amounts = split_evenly(total, parts)
    assert sum(amounts) == total
    assert len(amounts) == parts
    assert max(amounts) - min(amounts) <= 1
    assert amounts == sorted(amounts, reverse=True)


@given(
    total=st.integers(60, 100_000_000),
    first=st.dates(date(2000, 1, 1), date(2090, 1, 1)),
    every=st.sampled_from(Every),
    parts=st.integers(2, 60),
    days=st.integers(-400, 4000),
    percent=st.integers(1, 99),
)
def test_whoever_comes_late_pays_the_whole_on_the_dates_left(
    total: int, first: date, every: Every, parts: int, days: int, percent: int
) -> None:
    dates = due_dates(first, every, parts)
    today = first + timedelta(days=days)
    assert dates[0] == first
    assert all(one < other for one, other in pairwise(dates))
    if dates[-1] < today:
        with pytest.raises(InvalidInputError, match="start later"):
            dates_left(dates, today)
        return
    left = dates_left(dates, today)
    assert left == dates[len(dates) - len(left) :]
    assert all(due >= today for due in left)
    amounts = split_evenly(total, len(left))
    assert sum(amounts) == total
    assert sum(sum(split_cents(amount, percent)) for amount in amounts) == total


def test_a_months_end_stays_one() -> None:
    assert due_dates(date(2027, 1, 31), Every.MONTH, 4) == [
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
        date(2027, 4, 30),
    ]
    assert due_dates(date(2028, 1, 31), Every.MONTH, 2)[1] == date(2028, 2, 29)
    assert due_dates(date(2027, 1, 31), Every.TWO_WEEKS, 2)[1] == date(2027, 2, 14)


@pytest.mark.parametrize("parts", [-1, 0, 1, 61])
def test_a_plan_has_a_sensible_number_of_parts(parts: int) -> None:
    with pytest.raises(InvalidInputError, match="2 to 60"):
        due_dates(TODAY, Every.MONTH, parts)


def test_dates_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="too long"):
        due_dates(date(9999, 12, 1), Every.MONTH, 4)


def test_a_plan_is_one_line_with_its_next_part() -> None:
    items = [
        owed(1),
        part(13, 3, date(2026, 12, 1), paid=2),
        part(14, 4, date(2027, 1, 1), paid=2),
        owed(2, description="Tryout"),
    ]
    lines = one_line_a_plan(items, TODAY)
    assert told(lines) == [(1, "Home jersey"), (13, "Uniform kit: 2 of 4 paid · next part"), (2, "Tryout")]
    assert one_line_a_plan(lines, TODAY) == lines


def test_overdue_parts_are_all_listed_beside_the_next() -> None:
    items = [part(10 + number, number, date(2026, 8 + number, 1)) for number in (1, 2, 3, 4)]
    assert told(one_line_a_plan(items, TODAY)) == [
        (11, "Uniform kit, 1 of 4"),
        (12, "Uniform kit, 2 of 4"),
        (13, "Uniform kit, 3 of 4"),
        (14, "Uniform kit: 0 of 4 paid · next part"),
    ]


def test_what_is_on_its_way_is_shown_beside_the_next() -> None:
    items = [
        part(11, 1, date(2026, 12, 1), status="processing"),
        part(12, 2, date(2027, 1, 1)),
        part(13, 3, date(2027, 2, 1)),
    ]
    assert told(one_line_a_plan(items, TODAY)) == [
        (11, "Uniform kit, 1 of 4"),
        (12, "Uniform kit: 0 of 4 paid · next part"),
    ]


def test_two_plans_are_two_lines() -> None:
    items = [part(11, 1, TODAY), part(21, 1, TODAY, plan=2), part(12, 2, date(2027, 1, 1))]
    assert [order_id for order_id, _ in told(one_line_a_plan(items, TODAY))] == [11, 21]


@pytest.mark.parametrize(("due", "is_asked"), [(TODAY + timedelta(30), True), (TODAY + timedelta(31), False)])
def test_a_blast_asks_for_what_is_due_within_a_month(due: date, is_asked: bool) -> None:
    assert bool(asked_now([part(11, 1, due)], TODAY)) is is_asked
    assert asked_now([owed(1, due_date=due)], TODAY)


def test_a_blast_asks_for_what_is_overdue() -> None:
    items = [part(11, 1, date(2026, 10, 1)), part(12, 2, date(2027, 10, 1))]
    assert told(asked_now(items, TODAY)) == [(11, "Uniform kit, 1 of 4")]
