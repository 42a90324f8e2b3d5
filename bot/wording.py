"""Dates, debts and statuses in words, the same wherever they are shown. All results are mrkdwn."""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from bot.text import count_of, escape
from core.balances import OwedItem
from core.models.statuses import ContractStatus, EmailStatus, EmailType, PaymentMethod
from core.money import format_money
from core.order_summary import OrderSummary

CONTRACTS: Mapping[str, str] = {
    ContractStatus.SIGNED: "✅ signed",
    ContractStatus.SENT: "✉️ sent, not signed yet",
    ContractStatus.NONE: "❔ none yet",
}
METHODS: Mapping[str, str] = {
    PaymentMethod.CARD: "by card",
    PaymentMethod.BANK: "by bank payment",
    PaymentMethod.CASH: "in cash",
    PaymentMethod.CHECK: "by check",
    PaymentMethod.WAIVER: "waived",
}
MAILS: Mapping[str, str] = {
    EmailType.OUTSTANDING_BALANCE: "balance mail",
    EmailType.PAYMENT_LINK: "payment link",
    EmailType.FIRST_PAYMENT: "first payment mail",
    EmailType.TOURNAMENT_FEE: "tournament fee mail",
    EmailType.RECEIPT: "receipt",
}
DELIVERIES: Mapping[str, str] = {
    EmailStatus.QUEUED: "⏳ waiting to go out",
    EmailStatus.SENDING: "⏳ going out",
    EmailStatus.SENT: "✅ went out",
    EmailStatus.FAILED: "❌ did not go out",
    EmailStatus.UNCERTAIN: "❔ may not have arrived",
}


def day(moment: date, today: date) -> str:
    """Return a date as people say it; the year only where it isn't this one."""
    year = "" if moment.year == today.year else f", {moment.year}"
    return f"{moment:%b} {moment.day}{year}"


def moment_in_words(moment: datetime, time_zone: str, today: date) -> str:
    """Return a date and time in the club's own zone."""
    local = moment.astimezone(ZoneInfo(time_zone))
    hour = local.hour % 12 or 12
    return f"{day(local.date(), today)}, {hour}:{local:%M} {'am' if local.hour < 12 else 'pm'}"


def due_in_words(due: date | None, today: date) -> str:
    """Say when something is due, and for how long it has been."""
    if due is None:
        return "no due date"
    days = (today - due).days
    if days > 0:
        return f"⚠️ was due {day(due, today)}, {count_of(days, 'day')} overdue"
    return {0: "due today", -1: "due tomorrow"}.get(days, f"due {day(due, today)}")


def recorded_in_words(method: str, amount: str, check_number: str | None) -> str:
    """Return what a person recorded: `cash $60.00`, `check 1042, $60.00`, `waived $60.00`."""
    if method == PaymentMethod.WAIVER:
        return f"waived {amount}"
    if method == PaymentMethod.CHECK:
        return f"check {escape(check_number)}, {amount}" if check_number else f"check {amount}"
    return f"{method} {amount}"


def amount_in_words(item: OwedItem | OrderSummary) -> str:
    """Return what is left of an item, and of how much where some was paid."""
    left = format_money(item.balance_cents, item.currency)
    if item.balance_cents == item.amount_cents:
        return left
    return f"{left} of {format_money(item.amount_cents, item.currency)}"


def item_in_words(item: OwedItem) -> str:
    """Return an item with its balance, for a list."""
    return f"{escape(item.description)} · {amount_in_words(item)}"
