"""What a parent is told of an item whose pay link can't lead to a payment."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import item_name, player_name
from core.club import Club, club_by_id
from core.errors import NotFoundError
from core.models import Order, Player, Product


@dataclass(frozen=True, slots=True)
class PayItem:
    """The item behind a pay link: what it is, and for whom."""

    club: Club
    description: str
    player_name: str


async def load_pay_item(conn: AsyncConnection, tenant_id: int, order_id: int) -> PayItem:
    """Return the item.

    Raises:
        NotFoundError: no such order in this club.
    """
    row = (
        await conn.execute(
            select(item_name, player_name)
            .select_from(Order)
            .join(Player, Player.id == Order.player_id)
            .outerjoin(Product, Product.id == Order.product_id)
            .where(Order.id == order_id, Order.tenant_id == tenant_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("We don't know this payment link.")
    return PayItem(await club_by_id(conn, tenant_id), *row)
