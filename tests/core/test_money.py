import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.money import format_money, format_money_short, parse_money


@given(st.integers(min_value=0, max_value=99_999_999))
def test_what_is_written_is_read_back(cents: int) -> None:
    assert parse_money(format_money(cents, "usd")) == cents


@pytest.mark.parametrize(
    ("typed", "cents"),
    [("150", 15000), ("$150", 15000), (" 150.5 ", 15050), ("1,250.00", 125000), ("$0", 0), ("0.07", 7)],
)
def test_amounts_as_people_type_them(typed: str, cents: int) -> None:
    assert parse_money(typed) == cents


@pytest.mark.parametrize(
    "typed", ["", "-5", "1.234", "1,25", "12e3", "abc", "15,0", "1 50", "$", "9999999999", "١٢"]
)
def test_anything_else_is_refused_not_guessed(typed: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_money(typed)


def test_amounts_for_people() -> None:
    assert format_money(125000, "usd") == "$1,250.00"
    assert format_money_short(15000, "usd") == "$150"
    assert format_money(15000, "eur") == "€150.00"
    assert format_money(1500, "jpy") == "¥1,500"
