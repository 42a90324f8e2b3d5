"""A family's yearly statement: every charge, payment, refund and waiver of a year, with the balances around it.

The closing balance is what the orders come to less what was paid on them, so it agrees with what the family's page
asks for. A charge counts from the day it was made. What was taken off the list, and what a person recorded and
undid again, never happened. A fee that was given back is not owed again: the part that came off is an entry of its
own, dated like the refund.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    CompoundSelect,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.balances import item_name, orders_read_by, player_name
from core.clock import local_date
from core.club import Club
from core.errors import NotFoundError
from core.models import Order, Parent, Payment, Player, Product
from core.models.statuses import OrderStatus, PaymentMethod
from core.named_players import find_named

FIRST_YEAR = 2000
# What is left on these is not owed: `core.balances` asks for pending and processing orders only.
NOT_ASKED_FOR = (OrderStatus.REFUNDED, OrderStatus.PARTIALLY_REFUNDED, OrderStatus.DISPUTED)


class EntryKind(StrEnum):
    """What an entry of a statement is."""

    CHARGE = "charge"
    PAYMENT = "payment"
    WAIVER = "waiver"
    REFUND = "refund"
    # A refund that failed at the bank: the money is the club's again.
    REFUND_FAILED = "refund_failed"
    # The part of a fee that a refund took off.
    TAKEN_OFF = "taken_off"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a family's books; `amount_cents` is what it adds to the balance, so payments are negative."""

    at: datetime
    player_id: int
    player_name: str
    description: str
    kind: EntryKind
    amount_cents: int
    method: PaymentMethod | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class DatedEntry:
    """An entry with the day it has in the club's time zone."""

    on: date
    entry: Entry


@dataclass(frozen=True, slots=True)
class PlayerStatement:
    """One player's part of a statement. Amounts in cents."""

    player_name: str
    opening_cents: int
    entries: tuple[DatedEntry, ...]

    @property
    def closing_cents(self) -> int:
        """What is owed for the player when the year ends, or now."""
        return self.opening_cents + sum(each.entry.amount_cents for each in self.entries)


@dataclass(frozen=True, slots=True)
class FamilyStatement:
    """A year of a family, player by player. `as_of` is the year's last day, or today in the current year."""

    parent_id: int
    parent_name: str
    year: int
    as_of: date
    players: tuple[PlayerStatement, ...]
    # Other years to look at, the latest first.
    years: tuple[int, ...]

    @property
    def opening_cents(self) -> int:
        """What was owed when the year began; negative where too much had been paid."""
        return sum(player.opening_cents for player in self.players)

    @property
    def closing_cents(self) -> int:
        """What is owed when the year ends, or now; negative where too much was paid."""
        return sum(player.closing_cents for player in self.players)

    def total_cents(self, *kinds: EntryKind) -> int:
        """Return what the year's entries of these kinds add to the balance together."""
        entries = (each.entry for player in self.players for each in player.entries)
        return sum(entry.amount_cents for entry in entries if entry.kind in kinds)


def draw_up(
    entries: Sequence[Entry], *, parent_id: int, parent_name: str, year: int, today: date, time_zone: str
) -> FamilyStatement:
    """Put a family's whole books into a statement of one year; players without anything to tell are left out."""
    dated = [DatedEntry(local_date(entry.at, time_zone), entry) for entry in entries]
    # What happened on one day stays in the order in which it was found.
    dated.sort(key=lambda each: (each.entry.player_name, each.entry.player_id, each.on))
    players = []
    for (name, _), group in groupby(dated, key=lambda each: (each.entry.player_name, each.entry.player_id)):
        told = list(group)
        opening = sum(each.entry.amount_cents for each in told if each.on.year < year)
        this_year = tuple(each for each in told if each.on.year == year)
        if opening or this_year:
            players.append(PlayerStatement(name, opening, this_year))
    return FamilyStatement(
        parent_id=parent_id,
        parent_name=parent_name,
        year=year,
        as_of=min(today, date(year, 12, 31)),
        players=tuple(players),
        years=tuple(sorted({today.year} | {each.on.year for each in dated}, reverse=True)),
    )


def _family_orders() -> CTE:
    return (
        select(
            Order.id,
            Order.player_id,
            player_name.label("player_name"),
            item_name.label("description"),
            Order.amount_cents,
            Order.status,
            Order.created_at,
        )
        .join(Player, Player.id == Order.player_id)
        .outerjoin(Product, Product.id == Order.product_id)
        .where(
            Order.tenant_id == bindparam("tenant_id"),
            Order.id.in_(orders_read_by(bindparam("parent_id", type_=BigInteger))),
        )
        .cte("family_orders")
    )


def _books() -> CompoundSelect[Any]:
    """Return the statement: charges, what came in and went back, and what refunds took off."""
    orders, undone = _family_orders().c, aliased(Payment)
    about = (orders.player_id, orders.player_name, orders.description)
    nothing = literal(None, Text)
    charges = select(
        orders.created_at.label("at"),
        *about,
        literal(EntryKind.CHARGE.value),
        orders.amount_cents,
        nothing,
        nothing,
    ).where(orders.status != OrderStatus.CANCELED, orders.amount_cents > 0)
    is_refund = Payment.stripe_refund_id.is_not(None)
    kind = case(
        (is_refund & (Payment.amount_cents < 0), EntryKind.REFUND.value),
        (is_refund, EntryKind.REFUND_FAILED.value),
        (Payment.method == PaymentMethod.WAIVER, EntryKind.WAIVER.value),
        else_=EntryKind.PAYMENT.value,
    )
    moved = (
        select(Payment.created_at, *about, kind, -Payment.amount_cents, Payment.method, Payment.reference)
        .join(Payment, Payment.order_id == orders.id)
        .where(
            Payment.voids_payment_id.is_(None),
            ~exists().where(undone.voids_payment_id == Payment.id).correlate(Payment),
        )
    )
    left = orders.amount_cents - func.sum(Payment.amount_cents)
    taken_off = (
        select(
            func.max(Payment.created_at),
            *about,
            literal(EntryKind.TAKEN_OFF.value),
            cast(-left, BigInteger),
            nothing,
            nothing,
        )
        .join(Payment, Payment.order_id == orders.id)
        .where(orders.status.in_(NOT_ASKED_FOR))
        .group_by(orders.id, orders.amount_cents, *about)
        .having(left > 0)
    )
    # By moment; what carries the same one stays in this order, so a fee comes before what was paid on it.
    return union_all(charges, moved, taken_off).order_by("at")


_BOOKS = _books()


async def load_books(conn: AsyncConnection, tenant_id: int, parent_id: int) -> list[Entry]:
    """Return everything that ever happened in the books that a guardian may see, oldest first; one statement."""
    rows = await conn.execute(_BOOKS, {"tenant_id": tenant_id, "parent_id": parent_id})
    return [
        Entry(
            at,
            player_id,
            name,
            description,
            EntryKind(kind),
            cents,
            PaymentMethod(method) if method else None,
            ref,
        )
        for at, player_id, name, description, kind, cents, method, ref in rows
    ]


async def load_statement(
    conn: AsyncConnection, club: Club, parent_id: int, *, year: int | None, now: datetime
) -> FamilyStatement:
    """Return a family's statement of a year, the current one where none is named.

    Raises:
        NotFoundError: no such family in this club, or the year is not one to look at yet.
    """
    today = local_date(now, club.time_zone)
    year = year or today.year
    if not FIRST_YEAR <= year <= today.year:
        raise NotFoundError(f"There is no statement for {year}.")
    parent = (
        await conn.execute(
            select(Parent.first_name, Parent.last_name).where(Parent.id == parent_id, Parent.tenant_id == club.id)
        )
    ).one_or_none()
    if parent is None:
        raise NotFoundError("We don't know this family.")
    return draw_up(
        await load_books(conn, club.id, parent_id),
        parent_id=parent_id,
        parent_name=f"{parent.first_name} {parent.last_name}".strip(),
        year=year,
        today=today,
        time_zone=club.time_zone,
    )


async def guardian_of(conn: AsyncConnection, tenant_id: int, player: str, email: str | None) -> int:
    """Return the id of a named player's first guardian, or of the one with this address.

    Raises:
        NotFoundError: where the name means nobody or several, or neither guardian has the address.
    """
    named = await find_named(conn, tenant_id, [player])
    if named.problems:
        raise NotFoundError(f"{named.problems[0].name}: {named.problems[0].reason}")
    whose = (
        select(Parent.id)
        .join(Player, or_(Player.parent_id == Parent.id, Player.second_parent_id == Parent.id))
        .where(Player.id == named.players[0].id)
        .order_by(Parent.id != Player.parent_id)
        .limit(1)
    )
    if email is not None:
        whose = whose.where(func.lower(Parent.email) == email.strip().lower())
    parent_id: int | None = await conn.scalar(whose)
    if parent_id is None:
        raise NotFoundError(f"Neither guardian of {named.players[0].name} has the address {email}.")
    return parent_id
