"""Charging a tournament: each committed player gets one order and link, however often it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.audiences import AudienceQuery, Skipped
from core.backfill import Backfill, BackfillReport, MissingLink
from core.balances import balance_cents, item_name, owed_items, player_name
from core.charging import Charge, NewOrder, make_orders
from core.club import Club
from core.database import Database
from core.fees import contract_allows
from core.models import (
    Order,
    Parent,
    PaymentLink,
    Player,
    Product,
    Tournament,
    TournamentEntry,
    TournamentProduct,
)
from core.models.statuses import Category, ContractStatus, EntryStatus, LinkStatus, OrderStatus
from core.tournaments import hold_tournament, products_of

NO_TEAM = "in no team, so there is no fee"
NO_FEE = "the team has no fee for this tournament"
NOT_SIGNED = "the contract is not signed"


@dataclass(frozen=True, slots=True)
class NotBilled:
    """A committed player who could not be charged; `reason` is a phrase for people."""

    player_name: str
    parent_id: int
    parent_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TournamentBill:
    """What billing a tournament did. Amounts in cents."""

    tournament: str
    charges: tuple[Charge, ...]
    already_billed: int
    problems: tuple[NotBilled, ...]

    @property
    def total_cents(self) -> int:
        """What was newly charged."""
        return sum(charge.amount_cents for charge in self.charges)


async def bill_tournament(
    conn: AsyncConnection, club: Club, tournament_id: int, *, email: str | None = None
) -> TournamentBill:
    """Make the order of every committed player who has none yet; a fixed number of statements.

    A player who changed teams after being billed is not billed again. `email` narrows it to one family.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    name = await hold_tournament(conn, club.id, tournament_id)
    wanted, problems, billed = list[NewOrder](), list[NotBilled](), 0
    for row in await conn.execute(_committed(tournament_id, email)):
        parent = f"{row.first_name} {row.last_name}".strip()
        if row.is_billed:
            billed += 1
        elif row.product_id is None:
            reason = NO_TEAM if row.team_id is None else NO_FEE
            problems.append(NotBilled(row.player, row.parent_id, parent, reason))
        elif not contract_allows(Category.TOURNAMENT, row.contract_status):
            problems.append(NotBilled(row.player, row.parent_id, parent, NOT_SIGNED))
        else:
            wanted.append(NewOrder(row.id, row.product_id, row.product, row.price_cents, row.starts_on))
    return TournamentBill(name, tuple(await make_orders(conn, club.id, wanted)), billed, tuple(problems))


def _committed(tournament_id: int, email: str | None) -> Select[Any]:
    is_billed = exists().where(
        Order.player_id == Player.id,
        Order.status != OrderStatus.CANCELED,
        Order.product_id.in_(products_of(tournament_id)),
    )
    fee = and_(TournamentProduct.tournament_id == Tournament.id, TournamentProduct.team_id == Player.team_id)
    statement = (
        select(
            Player.id,
            player_name.label("player"),
            Player.team_id,
            Player.contract_status,
            Player.parent_id,
            Parent.first_name,
            Parent.last_name,
            Product.id.label("product_id"),
            Product.name.label("product"),
            Product.price_cents,
            Tournament.starts_on,
            is_billed.label("is_billed"),
        )
        .select_from(TournamentEntry)
        .join(Tournament, Tournament.id == TournamentEntry.tournament_id)
        .join(Player, Player.id == TournamentEntry.player_id)
        .join(Parent, Parent.id == Player.parent_id)
        .outerjoin(TournamentProduct, fee)
        .outerjoin(Product, Product.id == TournamentProduct.product_id)
        .where(TournamentEntry.tournament_id == tournament_id, TournamentEntry.status == EntryStatus.COMMITTED)
        .order_by(Player.last_name, Player.first_name, Player.id)
    )
    if email is None:
        return statement
    second = aliased(Parent)
    return statement.outerjoin(second, second.id == Player.second_parent_id).where(
        or_(func.lower(Parent.email) == email.lower(), func.lower(second.email) == email.lower())
    )


async def prepare_tournament_fees(conn: AsyncConnection, club: Club, query: AudienceQuery) -> Sequence[Skipped]:
    """Make the orders that a tournament's mails ask for, and name who can't have one.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    bill = await bill_tournament(conn, club, query.tournament_id or 0, email=query.email)
    return [
        Skipped(problem.parent_id, problem.parent_name, problem.reason, problem.player_name)
        for problem in bill.problems
    ]


class TournamentMinting:
    """Mints the links of a tournament's orders, and keeps their addresses with the orders."""

    def __init__(self, database: Database, backfill: Backfill) -> None:
        self._database = database
        self._backfill = backfill

    async def missing(self, club: Club, tournament_id: int) -> list[MissingLink]:
        """Return the orders that are owed and don't have the address of an open link over their balance."""
        has_address = exists().where(
            PaymentLink.order_id == Order.id,
            PaymentLink.status == LinkStatus.ACTIVE,
            PaymentLink.amount_cents == balance_cents,
            PaymentLink.stripe_payment_link_url == Order.stripe_checkout_url,
        )
        statement = owed_items(
            club.id,
            Order.status == OrderStatus.PENDING,
            Order.product_id.in_(products_of(tournament_id)),
            Player.contract_status == ContractStatus.SIGNED,
            ~has_address,
        )
        columns = (Order.id, player_name, item_name, balance_cents)
        async with self._database.transaction() as conn:
            rows = await conn.execute(statement.with_only_columns(*columns, maintain_column_froms=True))
        return [MissingLink(*row) for row in rows]

    async def mint(
        self, club: Club, tournament_id: int, missing: list[MissingLink], on_progress: Callable[[], None]
    ) -> BackfillReport:
        """Mint these links, at Stripe's pace, and store their addresses on the orders.

        One failure stops nobody; stopped half way, the next run goes on where this one was.
        """
        try:
            return await self._backfill.mint(club, missing, on_progress)
        finally:
            async with self._database.transaction() as conn:
                await conn.execute(
                    update(Order)
                    .where(
                        Order.tenant_id == club.id,
                        Order.status == OrderStatus.PENDING,
                        Order.product_id.in_(products_of(tournament_id)),
                        PaymentLink.order_id == Order.id,
                        PaymentLink.status == LinkStatus.ACTIVE,
                        PaymentLink.stripe_payment_link_url.is_distinct_from(Order.stripe_checkout_url),
                    )
                    .values(stripe_checkout_url=PaymentLink.stripe_payment_link_url)
                )
