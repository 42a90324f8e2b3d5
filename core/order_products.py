"""The products that imported orders are for: found by kind, name and price, or made."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from core import order_import_statements as statements
from core.club import Club
from core.models.statuses import Category
from core.monthly_fees import make_tiers
from core.order_rows import OrderRow

# Kind; month or name; price in cents; whether it is the second guardian's part of a shared fee.
ProductKey = tuple[str, str, int, bool]


def product_key(row: OrderRow, *, is_share: bool) -> ProductKey:
    """Return what tells a row's product from others; a monthly fee is one product a month and price."""
    return row.category, row.period or row.item, row.amount_cents, is_share


async def find_or_make_products(
    conn: AsyncConnection, club: Club, wanted: Sequence[tuple[OrderRow, bool]]
) -> dict[ProductKey, int]:
    """Return the products of these rows, each with whether it is a second guardian's; makes those missing.

    Two statements for each month that monthly fees are for, and five besides.
    """
    if not wanted:
        return {}
    await _make_tiers(conn, club, [row for row, _ in wanted if row.category is Category.MONTHLY])
    found = await _load(conn, club)
    whole = {product_key(row, is_share=False): row for row, _ in wanted}
    await _make(conn, club, [_product(row) for key, row in whole.items() if key not in found])
    found = await _load(conn, club)
    shared = {product_key(row, is_share=True): row for row, is_share in wanted if is_share}
    parts = [
        _product(row)
        | {"name": f"{row.item} (second guardian)", "share_of": found[product_key(row, is_share=False)]}
        for key, row in shared.items()
        if key not in found
    ]
    if not parts:
        return found
    await _make(conn, club, parts)
    return await _load(conn, club)


def _product(row: OrderRow) -> dict[str, Any]:
    return {
        "category": row.category,
        "name": row.item,
        "price_cents": row.amount_cents,
        "period": row.period,
        "share_of": None,
    }


async def _make_tiers(conn: AsyncConnection, club: Club, rows: Sequence[OrderRow]) -> None:
    months: dict[str, set[int]] = {}
    for row in rows:
        months.setdefault(row.period or "", set()).add(row.amount_cents)
    for period, prices in months.items():
        await make_tiers(conn, club, period, prices)


async def _make(conn: AsyncConnection, club: Club, rows: list[dict[str, Any]]) -> None:
    if rows:
        named = {"tenant_id": club.id, "currency": club.currency, "rows": orjson.dumps(rows).decode()}
        await conn.execute(statements.ADD_PRODUCTS, named)


async def _load(conn: AsyncConnection, club: Club) -> dict[ProductKey, int]:
    rows = (await conn.execute(statements.PRODUCTS, {"tenant_id": club.id})).all()
    keys = {
        row.id: (
            row.category,
            (row.period if row.category == Category.MONTHLY else None) or row.name,
            row.price_cents,
        )
        for row in rows
    }
    found: dict[ProductKey, int] = {}
    for row in rows:
        # A share is looked for by what it is a share of.
        found.setdefault((*keys[row.share_of or row.id], row.share_of is not None), row.id)
    return found
