"""Billing: orders made for many players at once, each once however often it is asked for."""

import calendar
import re
from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import player_name
from core.club import Club
from core.errors import InvalidInputError
from core.models import Order, Player, Product
from core.models.statuses import Category, ContractStatus, OrderStatus
from core.money import format_money_short

_PERIOD = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")


@dataclass(frozen=True, slots=True)
class Charge:
    """An order that was made."""

    order_id: int
    player_name: str
    description: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class NotCharged:
    """A signed player for whom no order could be made, and why."""

    player_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BillingReport:
    """What a billing run did."""

    charges: tuple[Charge, ...]
    already_billed: int
    problems: tuple[NotCharged, ...]

    @property
    def total_cents(self) -> int:
        """What was newly charged."""
        return sum(charge.amount_cents for charge in self.charges)


def first_day(period: str) -> date:
    """Return the first day of a month written `YYYY-MM`.

    Raises:
        InvalidInputError: where it is written otherwise.
    """
    match = _PERIOD.match(period)
    if match is None or match[1] == "0000":
        raise InvalidInputError(f"“{period}” is not a month; write it like 2026-12")
    return date(int(match[1]), int(match[2]), 1)


async def bill_monthly(
    conn: AsyncConnection, club: Club, period: str, *, due_date: date | None = None
) -> BillingReport:
    """Make the month's order for every signed player with a monthly fee; six statements for any club.

    One product a price tier and month is made where missing; the order keeps its own amount. Players billed
    before for this month are left as they are, whatever their fee is now.

    Raises:
        InvalidInputError: where `period` is not `YYYY-MM`.
    """
    month = first_day(period)
    await _make_tiers(conn, club, period, month)
    already = await _already_billed(conn, club.id, period)
    billed = (
        select(Order.player_id).join(Product, Product.id == Order.product_id).where(_of_month(club.id, period))
    )
    tiers = and_(
        Product.tenant_id == Player.tenant_id,
        Product.category == Category.MONTHLY,
        Product.period == period,
        Product.price_cents == Player.monthly_fee_cents,
    )
    due = due_date or month
    wanted = (
        select(
            Player.tenant_id,
            Player.id,
            Player.parent_id,
            Product.id,
            Product.name,
            Player.monthly_fee_cents,
            Product.currency,
            literal(due),
        )
        .join(Product, tiers)
        .where(_billable(club.id), Player.monthly_fee_cents > 0, Player.id.not_in(billed))
    )
    columns = [
        Order.tenant_id,
        Order.player_id,
        Order.parent_id,
        Order.product_id,
        Order.description,
        Order.amount_cents,
        Order.currency,
        Order.due_date,
    ]
    # The unique order of a player and product stands behind the condition, should two people bill at once.
    made = upsert(Order).from_select(columns, wanted).on_conflict_do_nothing()
    rows = await conn.execute(made.returning(Order.id, Order.player_id, Order.description, Order.amount_cents))
    charges = [(row.id, row.player_id, row.description, row.amount_cents) for row in rows]
    names = await _names(conn, club.id)
    return BillingReport(
        charges=tuple(Charge(i, names[player], text, cents) for i, player, text, cents in charges),
        already_billed=already,
        problems=await _without_fee(conn, club.id),
    )


async def _make_tiers(conn: AsyncConnection, club: Club, period: str, month: date) -> None:
    fees = await conn.scalars(
        select(Player.monthly_fee_cents)
        .where(_billable(club.id), Player.monthly_fee_cents > 0)
        .distinct()
        .order_by(Player.monthly_fee_cents)
    )
    tiers = [
        {
            "tenant_id": club.id,
            "category": Category.MONTHLY,
            "name": f"Monthly fee, {calendar.month_abbr[month.month]} {month.year}, "
            f"{format_money_short(cents, club.currency)}",
            "price_cents": cents,
            "period": period,
            "currency": club.currency,
        }
        for cents in fees
        if cents is not None
    ]
    if tiers:
        await conn.execute(upsert(Product).on_conflict_do_nothing(), tiers)


async def _already_billed(conn: AsyncConnection, tenant_id: int, period: str) -> int:
    statement = select(func.count()).select_from(Order).join(Product, Product.id == Order.product_id)
    return int(await conn.scalar(statement.where(_of_month(tenant_id, period))) or 0)


async def _names(conn: AsyncConnection, tenant_id: int) -> dict[int, str]:
    rows = await conn.execute(select(Player.id, player_name.label("name")).where(_billable(tenant_id)))
    return {row.id: row.name for row in rows}


async def _without_fee(conn: AsyncConnection, tenant_id: int) -> tuple[NotCharged, ...]:
    rows = await conn.execute(
        select(player_name.label("name"))
        .where(_billable(tenant_id), Player.monthly_fee_cents.is_(None))
        .order_by(Player.last_name, Player.first_name)
    )
    return tuple(NotCharged(row.name, "no monthly fee set; add it in the roster") for row in rows)


def _billable(tenant_id: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return and_(Player.tenant_id == tenant_id, Player.contract_status == ContractStatus.SIGNED)


def _of_month(tenant_id: int, period: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return and_(
        Order.tenant_id == tenant_id,
        Order.status != OrderStatus.CANCELED,
        Product.category == Category.MONTHLY,
        Product.period == period,
    )
