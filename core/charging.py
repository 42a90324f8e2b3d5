"""The one door through which orders are made, whatever the kind of fee.

An order belongs to a player and a product, and is made once however often it is asked for. Where two guardians
share a player's fees, each gets an order over their part; the second one's belongs to a product of its own, since
a payment link belongs to a player and a product.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import player_name
from core.models import Player


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be made. `custom_data` is for the club's eyes only."""

    player_id: int
    product_id: int
    description: str
    amount_cents: int
    due_date: date | None
    custom_data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Charge:
    """An order that was made."""

    order_id: int
    player_id: int
    player_name: str
    payer_id: int
    description: str
    amount_cents: int
    due_date: date | None


@dataclass(frozen=True, slots=True)
class _Guardians:
    name: str
    first_id: int
    second_id: int | None
    second_share_percent: int | None


def split_cents(amount_cents: int, second_share_percent: int) -> tuple[int, int]:
    """Return the first and the second guardian's parts; they sum to the amount, the second is rounded half up."""
    second = (amount_cents * second_share_percent + 50) // 100
    return amount_cents - second, second


async def lock_billing(conn: AsyncConnection, tenant_id: int) -> None:
    """Have everybody else who makes orders of this club wait until this transaction ends.

    Two people billing at once come one after the other, so neither half of a split is ever made twice. Whoever
    decides by what was billed so far takes it before looking; taking it again costs nothing.
    """
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"billing:{tenant_id}", 0))))


async def make_orders(conn: AsyncConnection, tenant_id: int, wanted: Sequence[NewOrder]) -> list[Charge]:
    """Make these orders, except where the player has one for the product already; five statements for any number.

    Orders of nothing are not made. Returns what was made, in the order it was asked for.
    """
    wanted = [order for order in wanted if order.amount_cents > 0]
    if not wanted:
        return []
    await lock_billing(conn, tenant_id)
    wanted = await _not_billed_yet(conn, wanted)
    guardians = await _guardians(conn, tenant_id, {order.player_id for order in wanted})
    split = {order.product_id for order in wanted if guardians[order.player_id].second_share_percent}
    shares = await _share_products(conn, split) if split else {}
    rows = [row for order in wanted for row in _rows(order, guardians[order.player_id], shares)]
    made = await _insert(conn, tenant_id, rows) if rows else []
    return [
        Charge(order_id, player_id, guardians[player_id].name, payer_id, description, cents, due)
        for order_id, player_id, payer_id, description, cents, due in made
    ]


def _rows(order: NewOrder, guardians: _Guardians, shares: dict[int, int]) -> Iterable[dict[str, Any]]:
    row = {
        "player_id": order.player_id,
        "parent_id": guardians.first_id,
        "product_id": order.product_id,
        "description": order.description,
        "amount_cents": order.amount_cents,
        "due_date": order.due_date,
        "custom_data": order.custom_data,
    }
    if guardians.second_share_percent is None:
        return [row]
    first, second = split_cents(order.amount_cents, guardians.second_share_percent)
    other = {"parent_id": guardians.second_id, "product_id": shares[order.product_id], "amount_cents": second}
    parts = [row | {"amount_cents": first}, row | other]
    return [part for part in parts if part["amount_cents"]]


_NOT_BILLED = text("""
    select w.number from unnest(cast(:players as bigint[]), cast(:products as bigint[]))
        with ordinality as w(player_id, product_id, number)
    where not exists (
        select from orders o left join products p on p.id = o.product_id
        where o.player_id = w.player_id and o.status <> 'canceled'
            and (o.product_id = w.product_id or p.share_of = w.product_id)
    )
    order by w.number
""")


async def _not_billed_yet(conn: AsyncConnection, wanted: Sequence[NewOrder]) -> list[NewOrder]:
    # The same thing asked for twice at once is one thing.
    wanted = list({(order.player_id, order.product_id): order for order in wanted}.values())
    named = {
        "players": [order.player_id for order in wanted],
        "products": [order.product_id for order in wanted],
    }
    return [wanted[number - 1] for number in await conn.scalars(_NOT_BILLED, named)]


async def _guardians(conn: AsyncConnection, tenant_id: int, player_ids: set[int]) -> dict[int, _Guardians]:
    rows = await conn.execute(
        select(
            Player.id, player_name, Player.parent_id, Player.second_parent_id, Player.second_share_percent
        ).where(Player.tenant_id == tenant_id, Player.id.in_(player_ids))
    )
    return {row[0]: _Guardians(*row[1:]) for row in rows}


_MAKE_SHARES = text("""
    insert into products (tenant_id, category, name, price_cents, period, currency, share_of)
    select tenant_id, category, name || ' (second guardian)', price_cents, period, currency, id
    from products where id = any(cast(:products as bigint[]))
    on conflict do nothing
""")
_SHARES = text("select share_of, id from products where share_of = any(cast(:products as bigint[]))")


async def _share_products(conn: AsyncConnection, products: set[int]) -> dict[int, int]:
    named = {"products": sorted(products)}
    await conn.execute(_MAKE_SHARES, named)
    return {row.share_of: row.id for row in await conn.execute(_SHARES, named)}


# The unique order of a player and product stands behind all of this.
_INSERT = text("""
    insert into orders
        (tenant_id, player_id, parent_id, product_id, description, amount_cents, currency, due_date, custom_data)
    select :tenant_id, r.player_id, r.parent_id, r.product_id, r.description, r.amount_cents, p.currency,
        r.due_date, r.custom_data
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(
        player_id bigint, parent_id bigint, product_id bigint, description text, amount_cents bigint,
        due_date date, custom_data jsonb
    )
    join products p on p.id = r.product_id and p.tenant_id = :tenant_id
    on conflict do nothing
    returning id, player_id, parent_id, description, amount_cents, due_date
""")


async def _insert(conn: AsyncConnection, tenant_id: int, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    named = {"tenant_id": tenant_id, "rows": orjson.dumps(rows).decode()}
    return [tuple(row) for row in await conn.execute(_INSERT, named)]
