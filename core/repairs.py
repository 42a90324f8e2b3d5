"""Addresses of payment pages that orders lack: asked for at Stripe, stored where they can still be had."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select, update

from core.at_once import a_few_at_once
from core.balances import item_name, player_name
from core.club import Club
from core.database import Database
from core.errors import StripeUnavailableError
from core.models import Order, Player, Product
from core.models.statuses import OrderStatus
from core.references import reason_of
from core.stripe_gateway import StripeGateway
from core.stripe_reading import SessionAtStripe


@dataclass(frozen=True, slots=True)
class OrderWithoutUrl:
    """An open order with a Checkout Session whose address we don't have."""

    order_id: int
    player_name: str
    description: str
    session_id: str


class Outcome(StrEnum):
    """What became of one order."""

    STORED = "stored"
    # It can't be had, and asking again won't help.
    LOST = "lost"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UrlResult:
    """What Stripe said about one order's session; `reason` says why there is no address."""

    order: OrderWithoutUrl
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UrlReport:
    """What the backfill did; `settled` counts orders that need no address any more."""

    results: tuple[UrlResult, ...]
    settled: int

    def of(self, outcome: Outcome) -> list[UrlResult]:
        """Return the orders with this outcome."""
        return [result for result in self.results if result.outcome is outcome]


class CheckoutUrls:
    """Asks Stripe for addresses."""

    def __init__(self, database: Database, gateway: StripeGateway | None) -> None:
        self._database = database
        self._gateway = gateway

    async def find(self, club: Club) -> tuple[list[OrderWithoutUrl], int]:
        """Return the open orders without an address, and how many settled ones lack it too."""
        statement = (
            select(Order.id, player_name, item_name, Order.stripe_checkout_session_id, Order.status)
            .join(Player, Player.id == Order.player_id)
            .outerjoin(Product, Product.id == Order.product_id)
            .where(
                Order.tenant_id == club.id,
                Order.stripe_checkout_session_id.is_not(None),
                Order.stripe_checkout_url.is_(None),
            )
            .order_by(Order.id)
        )
        async with self._database.transaction() as conn:
            rows = (await conn.execute(statement)).all()
        is_open = {OrderStatus.PENDING, OrderStatus.PROCESSING}
        waiting = [OrderWithoutUrl(*row[:4]) for row in rows if row[4] in is_open]
        return waiting, len(rows) - len(waiting)

    async def backfill(
        self, club: Club, waiting: list[OrderWithoutUrl], on_progress: Callable[[], None], *, keep: bool
    ) -> list[UrlResult]:
        """Ask Stripe for each address and, to `keep`, store it; one failure stops nobody else.

        Raises:
            StripeUnavailableError: where Stripe is off.
        """
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        gateway, results = self._gateway, dict[int, UrlResult]()

        async def ask(order: OrderWithoutUrl) -> None:
            try:
                session = await gateway.read.session(order.session_id)
            except Exception as error:  # noqa: BLE001 - one failure stops nobody
                results[order.order_id] = UrlResult(order, Outcome.FAILED, reason_of(error))
            else:
                results[order.order_id] = _judged(order, session)
                if keep and session is not None and session.url:
                    await self._store(club.id, order, session.url)
            on_progress()

        await a_few_at_once(waiting, ask)
        return [results[order.order_id] for order in waiting]

    async def _store(self, tenant_id: int, order: OrderWithoutUrl, url: str) -> None:
        """Store an address, unless the order got one or another session meanwhile."""
        async with self._database.transaction() as conn:
            await conn.execute(
                update(Order)
                .where(
                    Order.id == order.order_id,
                    Order.tenant_id == tenant_id,
                    Order.stripe_checkout_session_id == order.session_id,
                    Order.stripe_checkout_url.is_(None),
                )
                .values(stripe_checkout_url=url)
            )


def _judged(order: OrderWithoutUrl, session: SessionAtStripe | None) -> UrlResult:
    if session is None:
        reason = "Stripe doesn't know this session: it is another account's, or of the other mode (live or test)"
        return UrlResult(order, Outcome.LOST, reason)
    if session.is_open and session.url:
        return UrlResult(order, Outcome.STORED)
    if session.status == "expired":
        reason = "the session has expired, sessions last 24 hours; the family's own pay link makes a fresh one"
    elif session.payment_status == "unpaid":
        reason = "the session is completed and a bank payment is under way"
    else:
        reason = "the session is completed and paid; run `sideline reconcile` if the order is still open tomorrow"
    return UrlResult(order, Outcome.LOST, reason)
