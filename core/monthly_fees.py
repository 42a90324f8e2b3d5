"""Monthly fees: one order a signed player and month, each once however often it is asked for."""

import calendar
import re
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import player_name
from core.charging import Charge, NewOrder, lock_billing, make_orders
from core.club import Club
from core.errors import InvalidInputError
from core.models import Order, Player, Product
from core.models.statuses import Category, ContractStatus, OrderStatus
from core.money import format_money, format_money_short
from core.proration import month_charge

TAKEN_OFF = "this month was taken off the list; charge it from the card if it is owed after all"
_PERIOD = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class BillablePlayer:
    """A signed player, with the monthly fee in cents where one is set."""

    id: int
    name: str
    fee_cents: int | None
    contract_date: date | None


@dataclass(frozen=True, slots=True)
class Tier:
    """The product of one fee and month."""

    product_id: int
    name: str


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
    conn: AsyncConnection, club: Club, period: str, *, due_date: date | None = None, prorate: bool = True
) -> BillingReport:
    """Make the month's order for every signed player with a monthly fee; a fixed number of statements.

    One product a price tier and month is made where missing; the order keeps its own amount. A contract signed
    in that very month is charged by days unless `prorate` is off. Players billed before for this month are left
    as they are, whatever their fee is now: a first payment's click may have been the first to bill the month.
    Those whose month was taken off the list stay without it and are named.

    Raises:
        InvalidInputError: where `period` is not `YYYY-MM`.
    """
    month = first_day(period)
    # Before looking at who is billed: a parent's click on a first payment may bill the same month right now.
    await lock_billing(conn, club.id)
    players = await _billable_players(conn, club.id)
    already, taken_off = await _billed_before(conn, club.id, period)
    tiers = await make_tiers(conn, club, period, {player.fee_cents for player in players if player.fee_cents})
    wanted, problems = list[NewOrder](), list[NotCharged]()
    for player in players:
        if player.id in already:
            continue
        if player.id in taken_off:
            problems.append(NotCharged(player.name, TAKEN_OFF))
        elif player.fee_cents is None:
            problems.append(NotCharged(player.name, "no monthly fee set; add it in the roster"))
        elif player.contract_date and player.contract_date > _last_day(month):
            problems.append(NotCharged(player.name, f"the contract begins later, on {player.contract_date}"))
        elif player.fee_cents > 0:
            wanted.append(monthly_order(club, player, month, tiers[player.fee_cents], due_date, prorate=prorate))
    charges = await make_orders(conn, club.id, wanted)
    return BillingReport(tuple(charges), len(already), tuple(problems))


def monthly_order(
    club: Club,
    player: BillablePlayer,
    month: date,
    tier: Tier,
    due_date: date | None = None,
    *,
    prorate: bool,
) -> NewOrder:
    """Return the order of a player's month: the whole fee, or from the contract's day on, and then it says so."""
    fee_cents = player.fee_cents or 0
    charge = month_charge(fee_cents, month, player.contract_date if prorate else None)
    # The product names its price; here the amount always stands beside it.
    description = f"Monthly fee, {_in_words(month)}"
    if charge.is_prorated:
        name = calendar.month_abbr[month.month]
        span = f"{name} {charge.since.day} to {name} {charge.days_in_month}"
        days = f"{charge.days} of {charge.days_in_month} days of {format_money(fee_cents, club.currency)}"
        description += f" ({span}: {days})"
    return NewOrder(player.id, tier.product_id, description, charge.amount_cents, due_date or charge.since)


async def make_tiers(conn: AsyncConnection, club: Club, period: str, fees: set[int]) -> dict[int, Tier]:
    """Make the month's products where missing, one a fee in cents, and return them by fee."""
    month = first_day(period)
    tiers = [
        {
            "tenant_id": club.id,
            "category": Category.MONTHLY,
            "name": f"Monthly fee, {_in_words(month)}, {format_money_short(cents, club.currency)}",
            "price_cents": cents,
            "period": period,
            "currency": club.currency,
        }
        for cents in sorted(fees)
    ]
    if not tiers:
        return {}
    await conn.execute(upsert(Product).on_conflict_do_nothing(), tiers)
    rows = await conn.execute(
        select(Product.price_cents, Product.id, Product.name).where(
            Product.tenant_id == club.id,
            Product.category == Category.MONTHLY,
            Product.period == period,
            Product.share_of.is_(None),
        )
    )
    return {row.price_cents: Tier(row.id, row.name) for row in rows}


async def _billable_players(conn: AsyncConnection, tenant_id: int) -> list[BillablePlayer]:
    rows = await conn.execute(
        select(Player.id, player_name, Player.monthly_fee_cents, Player.contract_date)
        .where(Player.tenant_id == tenant_id, Player.contract_status == ContractStatus.SIGNED)
        .order_by(Player.last_name, Player.first_name, Player.id)
    )
    return [BillablePlayer(*row) for row in rows]


async def _billed_before(conn: AsyncConnection, tenant_id: int, period: str) -> tuple[set[int], set[int]]:
    """Return the players who have an order for this month, and those who have only canceled ones."""
    rows = await conn.execute(
        select(Order.player_id, func.bool_and(Order.status == OrderStatus.CANCELED))
        .join(Product, Product.id == Order.product_id)
        .where(Order.tenant_id == tenant_id, Product.category == Category.MONTHLY, Product.period == period)
        .group_by(Order.player_id)
    )
    billed, taken_off = set[int](), set[int]()
    for player_id, is_canceled in rows:
        (taken_off if is_canceled else billed).add(player_id)
    return billed, taken_off


def _in_words(month: date) -> str:
    return f"{calendar.month_abbr[month.month]} {month.year}"


def _last_day(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])
