"""The first month of a contract, charged by days."""

import calendar
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class MonthCharge:
    """What a month costs, in cents, and for how many of its days."""

    amount_cents: int
    days: int
    days_in_month: int
    # The first day that is charged.
    since: date

    @property
    def is_prorated(self) -> bool:
        """Whether less than the whole month is charged."""
        return self.days < self.days_in_month


def month_charge(fee_cents: int, month: date, contract_date: date | None) -> MonthCharge:
    """Return what a month (any of its days) costs under a contract of this date.

    The contract's day counts; a month that begins after it is charged whole, as is one without a known date. The
    amount is rounded half up to the cent. A month that ended before the contract costs nothing.
    """
    days_in_month = calendar.monthrange(month.year, month.month)[1]
    first, last = month.replace(day=1), month.replace(day=days_in_month)
    since = max(first, contract_date or first)
    days = max((last - since).days + 1, 0)
    amount = (2 * fee_cents * days + days_in_month) // (2 * days_in_month)
    return MonthCharge(amount, days, days_in_month, since)
