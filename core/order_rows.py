"""A file of orders that another program kept, checked row by row: whose, what, how much, where it stands.

The headings are those of `export orders`, so an export can be read back in.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TypeVar
from unicodedata import normalize
from zoneinfo import ZoneInfo

from core.club import Club
from core.csv_cells import read_money_cell, read_text_cell
from core.errors import InvalidInputError
from core.models.statuses import Category, OrderStatus, PaymentMethod
from core.roster import RowProblem
from core.roster_rows import read_day
from core.table_file import Headings, open_table

LONGEST_ITEM = 300
E = TypeVar("E", bound=StrEnum)
_NOT_LETTERS = re.compile(r"[\W_]+")
_PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)


class OrderField(StrEnum):
    """What a column holds."""

    PLAYER = "player"
    EMAIL = "parent's e-mail address"
    ITEM = "item"
    CATEGORY = "category"
    PERIOD = "period"
    AMOUNT = "amount"
    STATUS = "status"
    DUE_DATE = "due date"
    PAID_AT = "paid at"
    METHOD = "method"
    LINK_ID = "Stripe payment link"
    LINK_URL = "Stripe payment link's address"
    SESSION_ID = "Stripe checkout session"
    INTENT_ID = "Stripe payment intent"


_HEADINGS: dict[OrderField, tuple[str, ...]] = {
    OrderField.PLAYER: ("player", "playername"),
    OrderField.EMAIL: ("parentemail", "parent1email", "email"),
    OrderField.ITEM: ("item", "description", "product"),
    OrderField.CATEGORY: ("category",),
    OrderField.PERIOD: ("period", "month"),
    OrderField.AMOUNT: ("amount", "price"),
    OrderField.STATUS: ("status",),
    OrderField.DUE_DATE: ("duedate", "due"),
    OrderField.PAID_AT: ("paidat", "paidon", "datepaid"),
    OrderField.METHOD: ("method", "paymentmethod"),
    OrderField.LINK_ID: ("stripepaymentlinkid",),
    OrderField.LINK_URL: ("stripepaymentlinkurl", "stripepaymentlink"),
    OrderField.SESSION_ID: ("stripecheckoutsessionid",),
    OrderField.INTENT_ID: ("stripepaymentintentid",),
}
_MEANING = {
    heading: (rank, field) for field, headings in _HEADINGS.items() for rank, heading in enumerate(headings)
}
# How Stripe's ids begin, as its API reference shows them.
_ID_KINDS = {OrderField.LINK_ID: "plink_", OrderField.SESSION_ID: "cs_", OrderField.INTENT_ID: "pi_"}
_STRIPE_ID = re.compile(r"[a-z]+_[A-Za-z0-9_]{4,250}", re.ASCII)
_NEEDED = (OrderField.PLAYER, OrderField.EMAIL, OrderField.ITEM, OrderField.AMOUNT, OrderField.STATUS)
_EXAMPLE = "Player, Parent Email, Item, Category, Amount, Status, Due Date"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order of the file. The amount is in cents, `paid_at` in UTC; `period` is a month like `2026-12`.

    The address is in small letters, and empty where the file has none.
    """

    line: int
    player: str
    email: str
    item: str
    category: Category
    period: str | None
    amount_cents: int
    status: OrderStatus
    due_date: date | None
    paid_at: datetime | None
    method: PaymentMethod | None
    link_id: str | None
    link_url: str | None
    session_id: str | None
    intent_id: str | None

    @property
    def stripe_ids(self) -> tuple[str, ...]:
        """What Stripe knows the order by."""
        return tuple(filter(None, (self.link_id, self.session_id, self.intent_id)))


@dataclass(frozen=True, slots=True)
class ParsedOrders:
    """A file of orders, read and checked."""

    rows: tuple[OrderRow, ...]
    problems: tuple[RowProblem, ...]


def read_orders(data: bytes, club: Club, now: datetime) -> ParsedOrders:
    """Read and check a file of orders. A bad row is listed, and the others are kept.

    Raises:
        InvalidInputError: where the file as a whole can't be used; says why in one line.
    """
    headings = Headings(_recognise, lambda columns: OrderField.PLAYER in columns and len(columns) > 2, _EXAMPLE)
    table = open_table(data, headings)
    missing = [field.value for field in _NEEDED if field not in table.columns]
    if missing:
        raise InvalidInputError(f"The file has no column for: {', '.join(missing)}. It needs {_EXAMPLE}")
    rows, problems = list[OrderRow](), list[RowProblem]()
    for found in table.rows:
        try:
            if any(cell.strip() for cell in found.cells[table.width :]):
                raise InvalidInputError(  # noqa: TRY301 - told like every other reason
                    "The row has more cells than headings; put a cell that has a comma in quotation marks"
                )
            rows.append(_Row(table.columns, found.cells, club, now).read(found.line))
        except InvalidInputError as error:
            problems.append(RowProblem(found.line, str(error)))
    return ParsedOrders(tuple(rows), tuple(problems))


def _recognise(headings: Sequence[str]) -> dict[OrderField, list[int]]:
    found: dict[OrderField, list[tuple[int, int]]] = {}
    for place, heading in enumerate(headings):
        meaning = _MEANING.get(_NOT_LETTERS.sub("", heading.casefold()))
        if meaning is not None:
            rank, field = meaning
            found.setdefault(field, []).append((rank, place))
    return {field: [place for _, place in sorted(places)] for field, places in found.items()}


class _Row:
    """One row's cells, and what they mean."""

    def __init__(
        self, columns: dict[OrderField, list[int]], cells: Sequence[str], club: Club, now: datetime
    ) -> None:
        self._columns = columns
        self._cells = cells
        self._club = club
        self._now = now

    def read(self, line: int) -> OrderRow:
        """Return what the row says.

        Raises:
            InvalidInputError: where it can't be read; says what to write.
        """
        status = self._one_of(OrderField.STATUS, OrderStatus, self._needed(OrderField.STATUS))
        due_date = read_day(self._text(OrderField.DUE_DATE), "due date")
        category = self._one_of(OrderField.CATEGORY, Category, self._text(OrderField.CATEGORY) or Category.GENERIC)
        item = self._needed(OrderField.ITEM)
        if len(item) > LONGEST_ITEM:
            raise InvalidInputError(f"The item's name is longer than {LONGEST_ITEM} characters; shorten it")
        ids = [self._stripe_id(field, begins) for field, begins in _ID_KINDS.items()]
        is_paid = status is OrderStatus.PAID
        return OrderRow(
            line=line,
            player=self._needed(OrderField.PLAYER),
            email=(self._text(OrderField.EMAIL) or "").removeprefix("mailto:").lower(),
            item=item,
            category=category,
            period=self._period(category),
            amount_cents=read_money_cell(self._needed(OrderField.AMOUNT), self._club.currency),
            status=status,
            due_date=due_date,
            paid_at=self._paid_at(due_date) if is_paid else None,
            method=self._method(is_stripes=any(ids)) if is_paid else None,
            link_id=ids[0],
            link_url=self._text(OrderField.LINK_URL),
            session_id=ids[1],
            intent_id=ids[2],
        )

    def _text(self, field: OrderField) -> str | None:
        for place in self._columns.get(field, ()):
            cell = self._cells[place] if place < len(self._cells) else ""
            if value := tidy(read_text_cell(cell)):
                return value
        return None

    def _needed(self, field: OrderField) -> str:
        value = self._text(field)
        if value is None:
            raise InvalidInputError(f"The {field.value} is missing; fill it in")
        return value

    @staticmethod
    def _one_of(field: OrderField, words: type[E], typed: str) -> E:
        try:
            return words(typed.lower().replace("cancelled", "canceled"))
        except ValueError:
            known = ", ".join(words)
            raise InvalidInputError(f"The {field.value} “{typed[:40]}” is not one of {known}") from None

    def _period(self, category: Category) -> str | None:
        typed = self._text(OrderField.PERIOD)
        if category is not Category.MONTHLY:
            return None
        if typed is None or not _PERIOD.fullmatch(typed):
            raise InvalidInputError("A monthly fee needs the month it is for; write the period like 2026-12")
        return typed

    def _stripe_id(self, field: OrderField, begins: str) -> str | None:
        typed = self._text(field)
        if typed is not None and not (typed.startswith(begins) and _STRIPE_ID.fullmatch(typed)):
            raise InvalidInputError(f"“{typed[:40]}” is no {field.value}; those begin with {begins}")
        return typed

    def _method(self, *, is_stripes: bool) -> PaymentMethod:
        typed = self._text(OrderField.METHOD)
        if typed is None:
            return PaymentMethod.CARD if is_stripes else PaymentMethod.CASH
        return self._one_of(OrderField.METHOD, PaymentMethod, typed)

    def _paid_at(self, due_date: date | None) -> datetime:
        """Return when it was paid; where the file doesn't say, when it was due, but never later than now."""
        typed = self._text(OrderField.PAID_AT)
        with suppress(ValueError):
            moment = datetime.fromisoformat(typed or "")
            return min(self._in_utc(moment), self._now)
        day = read_day(typed, "day of payment") or due_date
        return self._now if day is None else min(self._in_utc(datetime.combine(day, time())), self._now)

    def _in_utc(self, moment: datetime) -> datetime:
        here = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self._club.time_zone))
        return here.astimezone(UTC)


def tidy(text: str) -> str:
    """Return a text on one line and composed (NFC), so that what looks the same is the same."""
    return " ".join(normalize("NFC", text).split())
