"""Cells of the CSV files that people open in a spreadsheet.

A text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP's "CSV Injection" page
advises; reading it again takes the apostrophe away. Numbers are written by `money_cell` and stay numbers.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

from babel.numbers import get_currency_precision

from core.money import parse_money

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def text_cell(text: str | None) -> str:
    """Return a text that no spreadsheet runs."""
    if not text:
        return ""
    return f"'{text}" if _FORMULA.match(text) else text


def read_text_cell(cell: str) -> str:
    """Return the text that `text_cell` wrote."""
    return cell[1:] if _GUARDED.match(cell) else cell


def money_cell(cents: int, currency: str) -> str:
    """Return cents as a plain number in the currency's main unit, like `-1250.00`."""
    return str(Decimal(cents).scaleb(-get_currency_precision(currency.upper())))


def read_money_cell(cell: str, currency: str) -> int:
    """Return the cents of an amount that `money_cell` or a person wrote, never a negative one.

    Raises:
        InvalidInputError: where it is no amount.
    """
    precision = int(get_currency_precision(currency.upper()))
    return int(parse_money(cell) * 10**precision // 100)


def day_cell(day: date | None) -> str:
    """Return a day as ISO 8601 has it."""
    return "" if day is None else day.isoformat()


def moment_cell(moment: datetime | None) -> str:
    """Return a moment in UTC as ISO 8601 has it, to the microsecond that is stored."""
    return "" if moment is None else moment.astimezone(UTC).isoformat()
