"""Charges of any kind: jerseys, tryouts and whatever else a club asks for, at once or in instalments.

A product is made when missing, one a kind, name and price; a plan has a product for each of its parts. The same
thing is charged to a player once: a second run finds it and goes on with the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from unicodedata import normalize

from sqlalchemy import ARRAY, BigInteger, Text, bindparam, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.charging import Charge, NewOrder, lock_billing, make_orders
from core.club import Club
from core.errors import InvalidInputError
from core.instalments import split_evenly
from core.models import Product
from core.models.statuses import Category
from core.money import format_money

ITEM_CATEGORIES = (Category.JERSEY, Category.TRYOUT, Category.GENERIC)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be charged. The price is in cents of the club's currency."""

    name: str
    category: Category
    price_cents: int


@dataclass(frozen=True, slots=True)
class NotCharged:
    """A player who was left out; `reason` is a phrase for people."""

    player_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemBill:
    """What charging an item did. `already_billed` counts players."""

    charges: tuple[Charge, ...]
    already_billed: int
    problems: tuple[NotCharged, ...]

    @property
    def total_cents(self) -> int:
        """What was newly charged."""
        return sum(charge.amount_cents for charge in self.charges)


def new_item(name: str, category: str, price_cents: int) -> Item:
    """Return an item as somebody named it.

    Raises:
        InvalidInputError: where the name, the kind or the price can't be an item's; says what to write.
    """
    tidy = " ".join(normalize("NFC", name).split())
    if not tidy or len(tidy) > LONGEST_NAME or not tidy.isprintable():
        raise InvalidInputError(f"Give the item a name of at most {LONGEST_NAME} characters, like Home jersey.")
    if category not in ITEM_CATEGORIES:
        raise InvalidInputError(f"“{category}” is not a kind of item; write {', '.join(ITEM_CATEGORIES)}.")
    if price_cents <= 0:
        raise InvalidInputError("The price has to be more than nothing, like 65.00.")
    return Item(tidy, Category(category), price_cents)


async def charge_item(
    conn: AsyncConnection,
    club: Club,
    player_ids: Sequence[int],
    item: Item,
    due_date: date | None,
    *,
    actor: str,
) -> ItemBill:
    """Charge an item to these players of the club; a fixed number of statements.

    `actor` is a Slack user id or `cli`.
    """
    chargeable, billed, problems = await _look(conn, club, player_ids, item)
    if not chargeable:
        return ItemBill((), billed, problems)
    products = await _make_products(conn, club, [item])
    wanted = [
        NewOrder(player_id, products[item], item.name, item.price_cents, due_date) for player_id in chargeable
    ]
    charges = await make_orders(conn, club.id, wanted)
    await _record(conn, club, actor, item, charges)
    return ItemBill(tuple(charges), billed, problems)


async def charge_in_parts(
    conn: AsyncConnection,
    club: Club,
    player_ids: Sequence[int],
    item: Item,
    dates: Sequence[date],
    *,
    actor: str,
) -> ItemBill:
    """Charge an item in as many parts as there are dates; a fixed number of statements. One date is no plan.

    Raises:
        InvalidInputError: where the price is less than a cent for each part.
    """
    if len(dates) == 1:
        return await charge_item(conn, club, player_ids, item, dates[0], actor=actor)
    amounts = split_evenly(item.price_cents, len(dates))
    parts = [
        Item(f"{item.name}, {number} of {len(dates)}", item.category, cents)
        for number, cents in enumerate(amounts, start=1)
    ]
    chargeable, billed, problems = await _look(conn, club, player_ids, item)
    if not chargeable:
        return ItemBill((), billed, problems)
    products = await _make_products(conn, club, parts)
    wanted = [
        NewOrder(player_id, products[part], part.name, part.price_cents, due)
        for player_id in chargeable
        for part, due in zip(parts, dates, strict=True)
    ]
    charges = await make_orders(conn, club.id, wanted)
    await _store_plans(conn, club, item, [products[part] for part in parts], charges)
    await _record(conn, club, actor, item, charges)
    return ItemBill(tuple(charges), billed, problems)


# Of each player: whether the item was charged already, whole or as a plan, and what is owed under its name at
# another price: a family would be asked for the same thing twice.
_LOOK = text("""
    select p.id, btrim(p.first_name || ' ' || p.last_name) as name,
        coalesce(same.is_billed, false) as is_billed, same.other_cents
    from players p
    left join lateral (
        select
            bool_or(base.price_cents = :price_cents or o.instalment_plan_id is not null) as is_billed,
            max(base.price_cents) filter (where o.status in ('pending', 'processing')) as other_cents
        from orders o
        join products own on own.id = o.product_id
        join products base on base.id = coalesce(own.share_of, own.id)
        left join instalment_plans plan on plan.id = o.instalment_plan_id
        where o.player_id = p.id and o.status <> 'canceled' and base.category = :category
            and lower(coalesce(plan.name, base.name)) = lower(:name)
    ) same on true
    where p.tenant_id = :tenant_id and p.id = any(:players)
    order by p.last_name, p.first_name, p.id
""").bindparams(bindparam("players", type_=ARRAY(BigInteger())))


async def _look(
    conn: AsyncConnection, club: Club, player_ids: Sequence[int], item: Item
) -> tuple[list[int], int, tuple[NotCharged, ...]]:
    """Return who can be charged, how many were before, and who can't be, with the reason."""
    # Before looking: somebody else may charge the same thing right now.
    await lock_billing(conn, club.id)
    named = {
        "tenant_id": club.id,
        "players": list(player_ids),
        "name": item.name,
        "category": item.category.value,
        "price_cents": item.price_cents,
    }
    chargeable, billed, problems = list[int](), 0, list[NotCharged]()
    for row in await conn.execute(_LOOK, named):
        if row.is_billed:
            billed += 1
        elif row.other_cents is not None:
            other = format_money(row.other_cents, club.currency)
            reason = f"owes “{item.name}” at {other} already; change that one, or give this one another name"
            problems.append(NotCharged(row.name, reason))
        else:
            chargeable.append(row.id)
    return chargeable, billed, tuple(problems)


async def _make_products(conn: AsyncConnection, club: Club, items: Sequence[Item]) -> dict[Item, int]:
    """Make the products of these items where missing, and return their ids."""
    rows = [
        {
            "tenant_id": club.id,
            "category": item.category,
            "name": item.name,
            "price_cents": item.price_cents,
            "currency": club.currency,
        }
        for item in items
    ]
    await conn.execute(upsert(Product).values(rows).on_conflict_do_nothing())
    found = await conn.execute(
        select(Product.id, Product.name, Product.category, Product.price_cents).where(
            Product.tenant_id == club.id,
            Product.share_of.is_(None),
            tuple_(Product.category, Product.name, Product.price_cents).in_(
                [(item.category, item.name, item.price_cents) for item in items]
            ),
        )
    )
    return {Item(row.name, Category(row.category), row.price_cents): row.id for row in found}


async def _record(conn: AsyncConnection, club: Club, actor: str, item: Item, charges: Sequence[Charge]) -> None:
    if not charges:
        return
    after = {
        "category": item.category,
        "price_cents": item.price_cents,
        "order_ids": [charge.order_id for charge in charges],
    }
    await record_change(conn, club.id, actor, "item.charge", f"item:{item.name}", after=after)


# A plan that was taken off the list before is taken up again. Each payer of a split fee has a plan of their own.
_MAKE_PLANS = text("""
    insert into instalment_plans (tenant_id, player_id, parent_id, category, name, total_cents, instalments)
    select :tenant_id, o.player_id, o.parent_id, :category, :name, sum(o.amount_cents), :instalments
    from orders o where o.id = any(:orders)
    group by o.player_id, o.parent_id
    on conflict (tenant_id, player_id, parent_id, category, name)
        do update set total_cents = excluded.total_cents, instalments = excluded.instalments
""").bindparams(bindparam("orders", type_=ARRAY(BigInteger())))
_NUMBER_PARTS = text("""
    update orders o set instalment_plan_id = plan.id, instalment_number = part.number
    from products own, instalment_plans plan, unnest(:products) with ordinality as part(product_id, number)
    where o.id = any(:orders) and own.id = o.product_id and part.product_id = coalesce(own.share_of, own.id)
        and plan.tenant_id = :tenant_id and plan.player_id = o.player_id and plan.parent_id = o.parent_id
        and plan.category = :category and plan.name = :name
""").bindparams(
    bindparam("orders", type_=ARRAY(BigInteger())),
    bindparam("products", type_=ARRAY(BigInteger())),
    bindparam("name", type_=Text()),
)


async def _store_plans(
    conn: AsyncConnection, club: Club, item: Item, product_ids: list[int], charges: Sequence[Charge]
) -> None:
    if not charges:
        return
    named = {
        "tenant_id": club.id,
        "category": item.category.value,
        "name": item.name,
        "orders": [charge.order_id for charge in charges],
    }
    await conn.execute(_MAKE_PLANS, named | {"instalments": len(product_ids)})
    await conn.execute(_NUMBER_PARTS, named | {"products": product_ids})
