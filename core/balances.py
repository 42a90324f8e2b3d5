"""Who owes what: one query, for the lookup, the blast, the family's page, the report and the admin endpoint.

An order's balance is its amount less its payments. Only a pending order with something left is owed; one that
is `processing` is on its way and is shown but never asked for.

Each order has one payer. A player's second guardian without a share of the fees reads along: gets copies of the
mails about this player and sees the player's items, but not the siblings'. With a share, the two have orders of
their own and neither sees the other's.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    bindparam,
    case,
    cast,
    column,
    func,
    select,
    true,
    union_all,
    values,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.fees import contract_allows
from core.models import InstalmentPlan, Order, Parent, Payment, Player, Product, Team
from core.models.statuses import OrderStatus
from core.prepared import stream_rows


class OwedItem(NamedTuple):
    """One order that a family still owes something on, or whose payment is on its way. Amounts in cents.

    `parent_…` is who reads it: the payer, or a second guardian who gets copies (`is_copy`). A tuple, since a
    club's balances are hundreds of thousands of these.
    """

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
    payer_id: int
    instalment_plan_id: int | None
    instalment_number: int | None
    instalments: int | None
    plan_name: str | None
    instalments_paid: int | None
    # Who pays it, where this guardian only reads along.
    payer_name: str | None

    @property
    def is_copy(self) -> bool:
        """Whether somebody else pays it, and this guardian only reads along."""
        return self.parent_id != self.payer_id

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


_part, _payer = aliased(Order), aliased(Parent)
# How many parts of a plan are paid; nothing is looked up for what is no plan's.
_instalments_paid = case((
    Order.instalment_plan_id.is_not(None),
    select(func.count())
    .where(_part.instalment_plan_id == Order.instalment_plan_id, _part.status == OrderStatus.PAID)
    .correlate(Order)
    .scalar_subquery(),
))  # fmt: skip
_payer_of_copy = case((
    Parent.id != Order.parent_id,
    select(func.btrim(_payer.first_name + " " + _payer.last_name))
    .where(_payer.id == Order.parent_id)
    .correlate(Order)
    .scalar_subquery(),
))  # fmt: skip


_reads_along = Player.second_parent_id.is_not(None) & Player.second_share_percent.is_(None)


def _owed(start: Any = Order) -> Select[Any]:  # noqa: ANN401 - a table, or tables joined to it
    """Return the statement without who reads it: what follows joins `Parent` in one way or another."""
    return (
        select(
            Order.id,
            Parent.id.label("parent_id"),
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
            Order.parent_id.label("payer_id"),
            Order.instalment_plan_id,
            Order.instalment_number,
            InstalmentPlan.instalments,
            InstalmentPlan.name.label("plan_name"),
            _instalments_paid,
            _payer_of_copy,
        )
        .select_from(start)
        .join(Player, Player.id == Order.player_id)
        .outerjoin(Team, Team.id == Player.team_id)
        .outerjoin(Product, Product.id == Order.product_id)
        .outerjoin(InstalmentPlan, InstalmentPlan.id == Order.instalment_plan_id)
        .where(Order.status.in_([OrderStatus.PENDING, OrderStatus.PROCESSING]), balance_cents > 0)
        .order_by(Parent.id, Player.first_name, Order.player_id, Order.due_date, Order.id)
    )


_readers = (
    values(column("parent_id", BigInteger), name="readers")
    .data([(Order.parent_id,), (case((_reads_along, Player.second_parent_id)),)])
    .lateral()
)
# Built once: composing them takes longer than PostgreSQL takes to answer for one family.
_OWED = _owed().join(Parent, Parent.id == Order.parent_id)
_READ = _owed().join(_readers, true()).join(Parent, Parent.id == _readers.c.parent_id)


def _own_and_copied(parent_id: ColumnElement[int]) -> tuple[Select[int], Select[int]]:
    own = select(Order.id).where(Order.parent_id == parent_id)
    copied = (
        select(Order.id)
        .join(Player, Player.id == Order.player_id)
        .where(Player.second_parent_id == parent_id, Player.second_share_percent.is_(None))
    )
    return own, copied


def orders_read_by(parent_id: ColumnElement[int]) -> Select[tuple[int]]:
    """Return the ids of the orders that a guardian pays, and of those that they get copies about."""
    return select(union_all(*_own_and_copied(parent_id)).subquery().c.id)


_named_parent = bindparam("parent_id", type_=BigInteger)
_FAMILY = (
    _owed()
    .join(Parent, Parent.id == _named_parent)
    .where(
        Order.tenant_id == bindparam("tenant_id"),
        Parent.tenant_id == Order.tenant_id,
        Order.id.in_(orders_read_by(_named_parent)),
    )
)


_named_parents = (
    func.unnest(bindparam("parent_ids", type_=ARRAY(BigInteger)))
    .table_valued(column("parent_id", BigInteger), name="named")
    .render_derived()
)
_read_by_named = union_all(
    *(orders.correlate(_named_parents) for orders in _own_and_copied(_named_parents.c.parent_id))
).lateral("read")
_FAMILIES = (
    _owed(_named_parents.join(_read_by_named, true()).join(Order, Order.id == _read_by_named.c.id))
    .join(Parent, Parent.id == _named_parents.c.parent_id)
    .where(Order.tenant_id == bindparam("tenant_id"), Parent.tenant_id == Order.tenant_id)
)


def orders_around(player_id: ColumnElement[int], parent_id: ColumnElement[int]) -> CompoundSelect[tuple[int]]:
    """Return the ids of what a coach sees of a player: the family's, and what another guardian pays for them."""
    return union_all(
        select(Order.id).where(Order.parent_id == parent_id),
        select(Order.id).where(Order.player_id == player_id, Order.parent_id != parent_id),
    )


def owed_items(tenant_id: int | ColumnElement[int], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the statement: what is owed in a club, payer by payer, the oldest debt of a player first."""
    return _OWED.where(Order.tenant_id == tenant_id, *conditions)


async def family_owes(
    conn: AsyncConnection, tenant_id: int, parent_id: int, *conditions: ColumnElement[bool]
) -> list[OwedItem]:
    """Return what a guardian is to know of: what they owe, and what they get copies about."""
    named = {"tenant_id": tenant_id, "parent_id": parent_id}
    statement = _FAMILY.where(*conditions) if conditions else _FAMILY
    return [OwedItem(*row) for row in await conn.execute(statement, named)]


async def families_owe(
    conn: AsyncConnection, tenant_id: int, parent_ids: Sequence[int], *conditions: ColumnElement[bool]
) -> dict[int, list[OwedItem]]:
    """Return the same for several guardians, with one statement; those with nothing are left out."""
    named = {"tenant_id": tenant_id, "parent_ids": list(parent_ids)}
    families: dict[int, list[OwedItem]] = {}
    statement = _FAMILIES.where(*conditions) if conditions else _FAMILIES
    for row in await conn.execute(statement, named):
        item = OwedItem(*row)
        families.setdefault(item.parent_id, []).append(item)
    return families


async def fetch_owed(conn: AsyncConnection, tenant_id: int, *conditions: ColumnElement[bool]) -> list[OwedItem]:
    """Return what is owed, narrowed by conditions on `Order`, `Player` or `Parent`."""
    rows = (await conn.execute(owed_items(tenant_id, *conditions))).all()
    return [OwedItem(*row) for row in rows]


def read_items(tenant_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the statement: what is owed in a club with everybody who reads it, guardian by guardian."""
    return _READ.where(Order.tenant_id == tenant_id, *conditions)


async def fetch_read(conn: AsyncConnection, tenant_id: int, *conditions: ColumnElement[bool]) -> list[OwedItem]:
    """Return what is owed with everybody who reads it: the payer, and who gets copies, guardian by guardian."""
    rows = (await conn.execute(read_items(tenant_id, *conditions))).all()
    return [OwedItem(*row) for row in rows]


@asynccontextmanager
async def stream_families(
    conn: AsyncConnection, tenant_id: int, *conditions: ColumnElement[bool]
) -> AsyncIterator[AsyncIterator[list[OwedItem]]]:
    """Give each guardian's items, copies included, reading the rows as they come: memory stays flat."""
    rows = stream_rows(conn, read_items(tenant_id, *conditions))
    # Closed here, whatever ends the reading: not when Python gets round to it, in another's transaction.
    async with aclosing(rows), aclosing(_families(rows)) as families:
        yield families


async def _families(pages: AsyncIterator[Sequence[tuple[Any, ...]]]) -> AsyncGenerator[list[OwedItem]]:
    family: list[OwedItem] = []
    async for rows in pages:
        for item in map(OwedItem._make, rows):
            if family and family[0].parent_id != item.parent_id:
                yield family
                family = []
            family.append(item)
    if family:
        yield family


def total_payable(items: Sequence[OwedItem]) -> int:
    """Return the cents that a mail about these items asks for."""
    return sum(item.balance_cents for item in items if item.is_payable)
