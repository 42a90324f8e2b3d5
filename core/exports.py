"""A club's books as CSV: orders, payments, balances. One statement each, read as it comes: memory stays flat."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, SQLColumnExpression, String, case, cast, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.balances import balance_cents, item_name, paid_cents, player_name
from core.club import Club
from core.csv_cells import day_cell, moment_cell, money_cell, text_cell
from core.models import Order, Parent, Payment, PaymentLink, Player, Product, RetiredLink, Team
from core.models.statuses import OrderStatus

# Excel reads a CSV file as UTF-8 only with it.
BYTE_ORDER_MARK = "\ufeff"
_ROWS_AT_ONCE = 500


class Export(StrEnum):
    """What can be exported."""

    ORDERS = "orders"
    PAYMENTS = "payments"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True)
class Span:
    """The days, in the club's time zone, whose orders or payments are wanted; both ends count."""

    since: date | None = None
    until: date | None = None

    def conditions(self, moment: SQLColumnExpression[datetime], club: Club) -> list[ColumnElement[bool]]:
        """Return the span as conditions on a moment."""
        conditions = []
        if self.since is not None:
            conditions.append(moment >= _midnight(self.since, club))
        if self.until is not None:
            conditions.append(moment < _midnight(self.until + timedelta(days=1), club))
        return conditions


Cell = Callable[[Any, Row[Any]], str]


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    value: SQLColumnExpression[Any]
    cell: Cell = lambda value, _: text_cell(value)


def _money(value: int, row: Row[Any]) -> str:
    return money_cell(value, row[-1])


def _day(value: date | None, _: Row[Any]) -> str:
    return day_cell(value)


def _moment(value: datetime | None, _: Row[Any]) -> str:
    return moment_cell(value)


def _number(value: int, _: Row[Any]) -> str:
    return str(value)


_parent_name = func.btrim(Parent.first_name + " " + Parent.last_name)
_WHOSE = (
    _Column("Player", player_name),
    _Column("Team", Team.name),
    _Column("Parent", _parent_name),
    _Column("Parent Email", Parent.email),
)
_undone = aliased(Payment)
# How the first payment that still counts was made.
_method = (
    select(Payment.method)
    .where(
        Payment.order_id == Order.id,
        Payment.amount_cents > 0,
        Payment.stripe_refund_id.is_(None),
        Payment.voids_payment_id.is_(None),
        ~exists().where(_undone.voids_payment_id == Payment.id).correlate(Payment),
    )
    .order_by(Payment.created_at, Payment.id)
    .limit(1)
    .correlate(Order)
    .scalar_subquery()
)
# A canceled order's link may be another order's by now; what was its own is among the retired ones.
_link = PaymentLink.order_id == Order.id
_retired_id = (
    select(RetiredLink.stripe_payment_link_id)
    .where(RetiredLink.order_id == Order.id)
    .order_by(RetiredLink.retired_at.desc(), RetiredLink.stripe_payment_link_id)
    .limit(1)
    .correlate(Order)
    .scalar_subquery()
)
_link_id = func.coalesce(
    PaymentLink.stripe_payment_link_id, case((Order.status == OrderStatus.CANCELED, _retired_id))
)
_ORDERS = (
    _Column("Order Id", Order.id, _number),
    *_WHOSE,
    _Column("Item", item_name),
    _Column("Category", Product.category),
    _Column("Period", Product.period),
    _Column("Amount", Order.amount_cents, _money),
    _Column("Paid", paid_cents, _money),
    _Column("Balance", balance_cents, _money),
    _Column("Status", Order.status),
    _Column("Due Date", Order.due_date, _day),
    _Column("Created At", Order.created_at, _moment),
    _Column("Paid At", Order.paid_at, _moment),
    _Column("Method", _method),
    _Column("Stripe Payment Link Id", _link_id),
    _Column("Stripe Payment Link URL", PaymentLink.stripe_payment_link_url),
    _Column("Stripe Checkout Session Id", Order.stripe_checkout_session_id),
    _Column("Stripe Payment Intent Id", Order.stripe_payment_intent_id),
    _Column("Currency", Order.currency),
)
_PAYMENTS = (
    _Column("Payment Id", Payment.id, _number),
    _Column("Received At", Payment.created_at, _moment),
    *_WHOSE,
    _Column("Order Id", Order.id, _number),
    _Column("Item", item_name),
    _Column("Category", Product.category),
    # What was given back or undone is negative.
    _Column("Amount", Payment.amount_cents, _money),
    _Column("Method", Payment.method),
    _Column("Reference", Payment.reference),
    _Column("Recorded By", Payment.recorded_by),
    _Column("Undoes Payment Id", func.coalesce(cast(Payment.voids_payment_id, String), "")),
    _Column("Stripe Payment Intent Id", Payment.stripe_payment_intent_id),
    _Column("Stripe Refund Id", Payment.stripe_refund_id),
    _Column("Currency", Order.currency),
)


def _sum_of(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(balance_cents).filter(*conditions), 0)


def _balances(today: date) -> tuple[_Column, ...]:
    is_owed = Order.status == OrderStatus.PENDING
    return (
        *_WHOSE,
        _Column("Open Items", func.count(), _number),
        _Column("Owed", _sum_of(is_owed), _money),
        _Column("Overdue", _sum_of(is_owed, Order.due_date < today), _money),
        _Column("On Its Way", _sum_of(Order.status == OrderStatus.PROCESSING), _money),
        _Column("Oldest Due Date", func.min(Order.due_date), _day),
        _Column("Currency", Order.currency),
    )


def _select(columns: Sequence[_Column], club: Club) -> Select[Any]:
    return (
        select(*(column.value for column in columns))
        .select_from(Order)
        .join(Player, Player.id == Order.player_id)
        .join(Parent, Parent.id == Order.parent_id)
        .outerjoin(Team, Team.id == Player.team_id)
        .outerjoin(Product, Product.id == Order.product_id)
        .where(Order.tenant_id == club.id)
    )


def _orders(club: Club, span: Span, _: date) -> tuple[Sequence[_Column], Select[Any]]:
    statement = _select(_ORDERS, club).outerjoin(PaymentLink, _link)
    return _ORDERS, statement.where(*span.conditions(Order.created_at, club)).order_by(Order.id)


def _payments(club: Club, span: Span, _: date) -> tuple[Sequence[_Column], Select[Any]]:
    statement = _select(_PAYMENTS, club).join(Payment, Payment.order_id == Order.id)
    conditions = span.conditions(Payment.created_at, club)
    return _PAYMENTS, statement.where(*conditions).order_by(Payment.created_at, Payment.id)


def _open_balances(club: Club, _: Span, today: date) -> tuple[Sequence[_Column], Select[Any]]:
    columns = _balances(today)
    statement = (
        _select(columns, club)
        .where(Order.status.in_([OrderStatus.PENDING, OrderStatus.PROCESSING]), balance_cents > 0)
        .group_by(Parent.id, Player.id, Team.id, Order.currency)
        .order_by(Parent.last_name, Parent.first_name, Parent.id, Player.first_name, Player.id)
    )
    return columns, statement


_EXPORTS: Mapping[Export, Callable[[Club, Span, date], tuple[Sequence[_Column], Select[Any]]]] = {
    Export.ORDERS: _orders,
    Export.PAYMENTS: _payments,
    Export.BALANCES: _open_balances,
}


async def write_export(
    conn: AsyncConnection, club: Club, export: Export, file: TextIO, *, span: Span, today: date
) -> int:
    """Write an export into an open text file (`newline=""`) and return how many rows it has.

    Amounts are in the currency's main unit, moments in UTC. Balances are today's, whatever the span.
    """
    columns, statement = _EXPORTS[export](club, span, today)
    writer = csv.writer(file)
    file.write(BYTE_ORDER_MARK)
    writer.writerow([column.heading for column in columns])
    count = 0
    async with conn.stream(statement.execution_options(yield_per=_ROWS_AT_ONCE)) as rows:
        async for row in rows:
            cells = zip(columns, row, strict=True)
            writer.writerow([column.cell(value, row) for column, value in cells])
            count += 1
    return count


def _midnight(day: date, club: Club) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(club.time_zone))
