"""A first month by days: never more than the fee, never less for an earlier day, and exact to the cent."""

import calendar
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charging import split_cents
from core.proration import month_charge

fees = st.integers(min_value=0, max_value=10_000_000)
days = st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31))


def last_of(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


@pytest.mark.parametrize(
    ("contract", "cents", "charged", "of"),
    [
        (date(2026, 12, 16), 7742, 16, 31),
        (date(2026, 12, 1), 15000, 31, 31),
        (date(2026, 12, 31), 484, 1, 31),
        (date(2026, 11, 30), 15000, 31, 31),
        (date(2027, 1, 1), 0, 0, 31),
        (None, 15000, 31, 31),
    ],
)
def test_a_month_by_its_days(contract: date | None, cents: int, charged: int, of: int) -> None:
    charge = month_charge(15000, date(2026, 12, 9), contract)
    assert (charge.amount_cents, charge.days, charge.days_in_month) == (cents, charged, of)


@given(fees, days, days)
def test_it_is_the_fee_at_most_and_rounded_half_up_to_the_cent(fee: int, month: date, contract: date) -> None:
    charge = month_charge(fee, month, contract)
    assert 0 <= charge.amount_cents <= fee
    exact = Fraction(fee * charge.days, charge.days_in_month)
    # Half a cent goes up.
    assert -Fraction(1, 2) <= exact - charge.amount_cents < Fraction(1, 2)


@given(fees, days)
def test_a_whole_month_costs_the_fee(fee: int, month: date) -> None:
    first = month.replace(day=1)
    for contract in (None, first, first - timedelta(days=1)):
        charge = month_charge(fee, month, contract)
        assert (charge.amount_cents, charge.is_prorated) == (fee, False)


@given(fees, days, days)
def test_a_later_contract_never_costs_more(fee: int, one: date, other: date) -> None:
    earlier, later = sorted((one, other))
    assert month_charge(fee, one, later).amount_cents <= month_charge(fee, one, earlier).amount_cents


@given(fees, days)
def test_both_halves_of_a_month_make_the_whole(fee: int, day: date) -> None:
    """What the days before a contract would cost and what the days from it on do: the fee, within a cent."""
    charge = month_charge(fee, day, day)
    before = Fraction(fee * (day.day - 1), charge.days_in_month)
    assert abs(before + charge.amount_cents - fee) <= Fraction(1, 2)
    assert charge.days == (last_of(day) - day).days + 1


@given(fees, days, st.integers(min_value=1, max_value=99))
def test_two_guardians_parts_sum_to_the_cent(fee: int, day: date, percent: int) -> None:
    amount = month_charge(fee, day, day).amount_cents
    first, second = split_cents(amount, percent)
    assert first + second == amount
    assert min(first, second) >= 0
