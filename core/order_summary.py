"""One order in a few words and numbers: what a window, a command or an answer about it says."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import balance_cents, item_name, player_name
from core.errors import InvalidInputError, NotFoundError
from core.models import Order, Player, Product
from core.models.statuses import OrderStatus

_NOT_OPEN: Mapping[OrderStatus, str] = {
    OrderStatus.PROCESSING: "A bank payment for this is on its way; wait until it has arrived or come back.",
    OrderStatus.PAID: "This is paid already.",
    OrderStatus.CANCELED: "This was taken off the family's list; charge it anew instead.",
    OrderStatus.PARTIALLY_REFUNDED: "Part of this was given back, and nothing more is asked for; charge it anew.",
    OrderStatus.REFUNDED: "This was given back and is not owed any more; charge it anew instead.",
    OrderStatus.DISPUTED: "The bank is asked to give this payment back; wait until the dispute is over.",
}


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """An order as people name it. Amounts in cents; `balance_cents` is negative where too much came in."""

    order_id: int
    description: str
    player_id: int
    player_name: str
    amount_cents: int
    balance_cents: int
    currency: str
    status: OrderStatus

    @property
    def paid_cents(self) -> int:
        """What came in and was not given back."""
        return self.amount_cents - self.balance_cents

    def require_owed(self) -> None:
        """Make sure that something is still owed on it.

        Raises:
            InvalidInputError: saying why nothing is.
        """
        if self.status is not OrderStatus.PENDING:
            raise InvalidInputError(_NOT_OPEN[self.status])
        if self.balance_cents <= 0:
            raise InvalidInputError("Nothing is left to pay on this.")


_SUMMARY = (
    select(
        Order.id.label("order_id"),
        item_name.label("description"),
        Order.player_id,
        player_name.label("player_name"),
        Order.amount_cents,
        balance_cents.label("balance_cents"),
        Order.currency,
        Order.status,
    )
    .join(Player, Player.id == Order.player_id)
    .outerjoin(Product, Product.id == Order.product_id)
    .where(Order.id == bindparam("order_id"), Order.tenant_id == bindparam("tenant_id"))
)


async def load_order_summary(conn: AsyncConnection, tenant_id: int, order_id: int) -> OrderSummary:
    """Return an order of this club.

    Raises:
        NotFoundError: where there is none.
    """
    row = (await conn.execute(_SUMMARY, {"order_id": order_id, "tenant_id": tenant_id})).one_or_none()
    if row is None:
        raise NotFoundError("That item doesn't exist here; please look the player up again.")
    known = dict(row._mapping)
    return OrderSummary(**known | {"status": OrderStatus(row.status)})
