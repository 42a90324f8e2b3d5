"""Who owes what: one query, for the lookup, the blast, the family's page, the report and the admin endpoint.

An order's balance is its amount less its payments. Only a pending order with something left is owed; one that
is `processing` is on its way and is shown but never asked for.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.fees import contract_allows
from core.models import Order, Parent, Payment, Player, Product, Team
from core.models.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class OwedItem:
    """One order that a family still owes something on, or whose payment is on its way. Amounts in cents."""

    order_id: int
    parent_id: int
    player_id: int
    player_name: str
    team_id: int | None
    team_name: str | None
    description: str
    category: str | None
    amount_cents: int
    balance_cents: int
    currency: str
    due_date: date | None
    status: str
    contract_status: str
    parent_first_name: str
    parent_last_name: str
    parent_email: str | None

    @property
    def is_processing(self) -> bool:
        """Whether a bank debit for it is under way."""
        return self.status == OrderStatus.PROCESSING

    @property
    def is_payable(self) -> bool:
        """Whether the family can pay it now."""
        return not self.is_processing and contract_allows(self.category, self.contract_status)

    @property
    def parent_name(self) -> str:
        """The parent's whole name as typed."""
        return f"{self.parent_first_name} {self.parent_last_name}".strip()


paid_cents = (
    # PostgreSQL sums bigints into a numeric.
    select(cast(func.coalesce(func.sum(Payment.amount_cents), 0), BigInteger))
    .where(Payment.order_id == Order.id)
    .correlate(Order)
    .scalar_subquery()
)
balance_cents: ColumnElement[int] = Order.amount_cents - paid_cents
item_name = func.coalesce(func.nullif(Order.description, ""), Product.name, "Fee")
player_name = func.btrim(Player.first_name + " " + Player.last_name)


def _owed() -> Select[Any]:
    return (
        select(
            Order.id,
            Order.parent_id,
            Order.player_id,
            player_name,
            Player.team_id,
            Team.name,
            item_name,
            Product.category,
            Order.amount_cents,
            balance_cents.label("balance_cents"),
            Order.currency,
            Order.due_date,
            Order.status,
            Player.contract_status,
            Parent.first_name,
            Parent.last_name,
            Parent.email,
        )
        .join(Player, Player.id == Order.player_id)
        .join(Parent, Parent.id == Order.parent_id)
        .outerjoin(Team, Team.id == Player.team_id)
        .outerjoin(Product, Product.id == Order.product_id)
        .where(Order.status.in_([OrderStatus.PENDING, OrderStatus.PROCESSING]), balance_cents > 0)
        .order_by(Order.parent_id, Player.first_name, Order.player_id, Order.due_date, Order.id)
    )


# Built once: composing it takes longer than PostgreSQL takes to answer it for one family.
_OWED = _owed()
_OWED_BY_FAMILY = _OWED.where(Order.tenant_id == bindparam("tenant_id"), Order.parent_id == bindparam("parent_id"))


def owed_items(tenant_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the statement: what is owed in a club, family by family, the oldest debt of a player first."""
    return _OWED.where(Order.tenant_id == tenant_id, *conditions)


async def family_owes(conn: AsyncConnection, tenant_id: int, parent_id: int) -> list[OwedItem]:
    """Return what one family owes, and what of it is on its way."""
    named = {"tenant_id": tenant_id, "parent_id": parent_id}
    return [OwedItem(*row) for row in await conn.execute(_OWED_BY_FAMILY, named)]


async def fetch_owed(conn: AsyncConnection, tenant_id: int, *conditions: ColumnElement[bool]) -> list[OwedItem]:
    """Return what is owed, narrowed by conditions on `Order`, `Player` or `Parent`."""
    rows = (await conn.execute(owed_items(tenant_id, *conditions))).all()
    return [OwedItem(*row) for row in rows]


async def stream_families(
    conn: AsyncConnection, tenant_id: int, *conditions: ColumnElement[bool]
) -> AsyncIterator[list[OwedItem]]:
    """Yield each owing family's items, reading the rows as they come: memory stays flat for any club."""
    family: list[OwedItem] = []
    async with conn.stream(owed_items(tenant_id, *conditions)) as rows:
        async for row in rows:
            item = OwedItem(*row)
            if family and family[0].parent_id != item.parent_id:
                yield family
                family = []
            family.append(item)
    if family:
        yield family


def total_payable(items: Sequence[OwedItem]) -> int:
    """Return the cents that a family can be asked for now."""
    return sum(item.balance_cents for item in items if item.is_payable)
