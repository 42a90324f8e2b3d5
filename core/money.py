"""Amounts as people write them. Everywhere else money is integer cents."""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from babel.numbers import format_currency, get_currency_precision

from core.errors import InvalidInputError

# What is quoted of it when it is none.
_SHOWN = 40
_TYPED_AMOUNT = re.compile(r"^[$€£]?\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d{1,2})?$", re.ASCII)


# A club has few different amounts, and writing one takes longer than all else about an item.
@lru_cache(maxsize=4096)
def format_money(cents: int, currency: str) -> str:
    """Return an amount as the club's families write it, e.g. `$1,250.00`."""
    value = Decimal(cents).scaleb(-get_currency_precision(currency.upper()))
    return format_currency(value, currency.upper(), locale="en_US")


def format_money_short(cents: int, currency: str) -> str:
    """Return an amount without a fraction that is nought, e.g. `$150`."""
    return format_money(cents, currency).removesuffix(".00")


def parse_money(typed: str) -> int:
    """Return the cents of an amount as people type it: `150`, `$150`, `150.00`, `1,250.50`.

    Raises:
        InvalidInputError: where it is anything else, so that nothing is charged by guesswork.
    """
    shown = typed.strip()[:_SHOWN]
    match = _TYPED_AMOUNT.match(typed.strip())
    if match is None:
        raise InvalidInputError(f"“{shown}” is not an amount; write it like 150 or 150.00")
    try:
        cents = Decimal(match[1].replace(",", "") + (match[2] or "")) * 100
    except InvalidOperation:  # pragma: no cover - the expression admits only digits
        raise InvalidInputError(f"“{shown}” is not an amount; write it like 150 or 150.00") from None
    if cents > 99_999_999:
        raise InvalidInputError(f"“{shown}” is more than one payment can be")
    return int(cents)
