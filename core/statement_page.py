"""The words and figures of a statement, the same for its page and its PDF."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from core.club import Club
from core.family_mail import brand_of
from core.family_statement import Entry, EntryKind, FamilyStatement, PlayerStatement
from core.models.statuses import PaymentMethod
from core.receipts import METHOD_WORDS
from core.rendering import Brand, format_amount, format_day, one_line

_TOTALS: Mapping[str, tuple[EntryKind, ...]] = {
    "Charged": (EntryKind.CHARGE, EntryKind.TAKEN_OFF),
    "Paid": (EntryKind.PAYMENT, EntryKind.REFUND_FAILED),
    "Waived by the club": (EntryKind.WAIVER,),
    "Given back": (EntryKind.REFUND,),
}


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One line: its day, in words and for machines, what it was, and how the balance stands after it."""

    day: str
    iso_day: str
    item: str
    note: str
    amount: str
    balance: str


@dataclass(frozen=True, slots=True)
class StatementSection:
    """One player's lines between the balances around them."""

    player_name: str
    opening: str
    rows: tuple[StatementRow, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class StatementPage:
    """A statement ready to be shown. Amounts are words already, `summary` has label and amount."""

    brand: Brand
    title: str
    club_name: str
    family_name: str
    period: str
    made_on: str
    opens_on: str
    closes_on: str
    summary: tuple[tuple[str, str], ...]
    sections: tuple[StatementSection, ...]
    year: int
    other_years: tuple[int, ...]


def statement_page(club: Club, statement: FamilyStatement, today: date) -> StatementPage:
    """Return what a statement shows; `today` is the club's."""
    opens_on, closes_on = format_day(date(statement.year, 1, 1)), format_day(statement.as_of)

    def money(cents: int) -> str:
        return format_amount(cents, club.currency)

    totals = {label: statement.total_cents(*kinds) for label, kinds in _TOTALS.items()}
    return StatementPage(
        brand=brand_of(club),
        title=f"Statement {statement.year}",
        club_name=one_line(club.name),
        family_name=one_line(statement.parent_name),
        period=f"{opens_on} to {closes_on}",
        made_on=format_day(today),
        opens_on=opens_on,
        closes_on=closes_on,
        summary=(
            (f"Balance before {opens_on}", money(statement.opening_cents)),
            # What didn't happen needs no line, except that everybody looks for these two.
            *((label, money(cents)) for label, cents in totals.items() if cents or label in {"Charged", "Paid"}),
            (f"Balance on {closes_on}", money(statement.closing_cents)),
        ),
        sections=tuple(_section(player, club.currency) for player in statement.players),
        year=statement.year,
        other_years=tuple(year for year in statement.years if year != statement.year),
    )


def _section(player: PlayerStatement, currency: str) -> StatementSection:
    rows, balance = [], player.opening_cents
    for dated in player.entries:
        balance += dated.entry.amount_cents
        rows.append(
            StatementRow(
                day=format_day(dated.on),
                iso_day=dated.on.isoformat(),
                item=one_line(dated.entry.description),
                note=_note(dated.entry),
                amount=format_amount(dated.entry.amount_cents, currency),
                balance=format_amount(balance, currency),
            )
        )
    return StatementSection(
        player_name=one_line(player.player_name),
        opening=format_amount(player.opening_cents, currency),
        rows=tuple(rows),
        closing=format_amount(player.closing_cents, currency),
    )


def _note(entry: Entry) -> str:
    how = METHOD_WORDS[entry.method] if entry.method else ""
    # A waiver's reference is why it was waived: that stays in the club.
    if entry.method is PaymentMethod.CHECK and entry.reference:
        how = f"{how} {one_line(entry.reference)}"
    return {
        EntryKind.CHARGE: "Charged",
        EntryKind.PAYMENT: f"Paid: {how}",
        EntryKind.WAIVER: "Waived by the club",
        EntryKind.REFUND: f"Given back: {how}",
        EntryKind.REFUND_FAILED: "The refund did not go through",
        EntryKind.TAKEN_OFF: "Not owed any more",
    }[entry.kind]
