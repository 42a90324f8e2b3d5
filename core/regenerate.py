"""Re-billing a tournament's open orders: what names no order at Stripe is replaced through the one door.

A session or link whose metadata lacks the order's id can still be paid, but a payment through it is hard to match.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, exists, or_, select, update

from core.at_once import a_few_at_once
from core.balances import item_name, player_name
from core.club import Club
from core.database import Database
from core.errors import (
    InvalidInputError,
    NotFoundError,
    NotPayableError,
    StripeRefusedError,
    StripeUnavailableError,
)
from core.models import Order, PaymentLink, Player, Product, Tournament, TournamentProduct
from core.models.statuses import LinkStatus, OrderStatus
from core.payment_links import PaymentLinks
from core.references import reason_of
from core.stripe_gateway import StripeGateway
from core.stripe_reading import LinkAtStripe, SessionAtStripe

_its_link = and_(
    PaymentLink.tenant_id == Order.tenant_id,
    PaymentLink.player_id == Order.player_id,
    PaymentLink.product_id == Order.product_id,
)


@dataclass(frozen=True, slots=True)
class TournamentOrder:
    """A pending order of a tournament, and what we believe Stripe has of it."""

    order_id: int
    player_name: str
    description: str
    session_id: str | None
    url: str | None
    link_id: str | None
    link_url: str | None


class Action(StrEnum):
    """What an order needs, or what became of it."""

    REGENERATE = "regenerate"
    # The link is right; only its address is not on the order.
    STORE_URL = "store_url"
    NOTHING = "nothing"
    # Money is there or on its way: a fresh link would ask for it twice.
    HANDS_OFF = "hands_off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one order needs or got, and why."""

    order: TournamentOrder
    action: Action
    reason: str


class TournamentLinks:
    """Looks at and replaces what Stripe has of a tournament's orders."""

    def __init__(self, database: Database, gateway: StripeGateway | None, links: PaymentLinks) -> None:
        self._database = database
        self._gateway = gateway
        self._links = links

    async def find(self, club: Club, tournament_id: int, product_ids: Sequence[int] = ()) -> list[TournamentOrder]:
        """Return the tournament's pending orders, of these products where some are named.

        Raises:
            NotFoundError: no such tournament in this club.
        """
        async with self._database.transaction() as conn:
            known = select(Tournament.id).where(Tournament.id == tournament_id, Tournament.tenant_id == club.id)
            if await conn.scalar(known) is None:
                raise NotFoundError(
                    f"There is no tournament {tournament_id}; `sideline tournament list` shows all."
                )
            rows = await conn.execute(_orders(club.id, tournament_id, product_ids))
            return [TournamentOrder(*row) for row in rows]

    async def inspect(
        self, orders: Sequence[TournamentOrder], on_progress: Callable[[], None], *, force: bool
    ) -> list[Verdict]:
        """Ask Stripe what it has of these orders; writes nothing. With `force` none is good enough.

        Raises:
            StripeUnavailableError: where Stripe is off.
        """
        stripe, verdicts = self._stripe().read, dict[int, Verdict]()

        async def look(order: TournamentOrder) -> None:
            try:
                session = await stripe.session(order.session_id) if order.session_id else None
                link = await stripe.link(order.link_id) if order.link_id else None
                verdicts[order.order_id] = judge(order, session, link, force=force)
            except Exception as error:  # noqa: BLE001 - one failure stops nobody
                verdicts[order.order_id] = Verdict(order, Action.FAILED, reason_of(error))
            on_progress()

        await a_few_at_once(orders, look)
        return [verdicts[order.order_id] for order in orders]

    async def apply(
        self, club: Club, verdicts: Sequence[Verdict], on_progress: Callable[[], None]
    ) -> list[Verdict]:
        """Do what these orders need, and return what became of them; one failure stops nobody else.

        Stopped half way, the next run goes on where this one was.
        """
        results = dict[int, Verdict]()

        async def do(verdict: Verdict) -> None:
            order, result = verdict.order, verdict
            try:
                if verdict.action is Action.REGENERATE:
                    await self._regenerate(club.id, order)
                elif verdict.action is Action.STORE_URL:
                    await self._store(club.id, order, str(order.link_url))
            except Exception as error:  # noqa: BLE001 - one failure stops nobody
                result = Verdict(order, Action.FAILED, reason_of(error))
            results[order.order_id] = result
            on_progress()

        await a_few_at_once(verdicts, do)
        return [results[verdict.order.order_id] for verdict in verdicts]

    async def _regenerate(self, tenant_id: int, order: TournamentOrder) -> None:
        # First whether a fresh link can be had at all: a family must not be left with none.
        try:
            await self._links.check_payable(tenant_id, order.order_id)
        except NotPayableError as error:
            raise InvalidInputError(f"left as it is: {error}") from None
        if order.session_id is not None:
            await self._end_session(order.session_id)
        if order.link_id is not None:
            async with self._database.transaction() as conn:
                await self._links.retire(conn, tenant_id, order.order_id, "regenerated", only=order.link_id)
            await self._links.close_link(order.link_id)
        await self._store(tenant_id, order, await self._links.payable_url(tenant_id, order.order_id))

    async def _end_session(self, session_id: str) -> None:
        """Make sure that a session can't be paid any more.

        Raises:
            InvalidInputError: where somebody completed it: a fresh link would ask for the money twice.
        """
        gateway = self._stripe()
        try:
            await gateway.expire_session(session_id)
        except StripeRefusedError:
            session = await gateway.read.session(session_id)
            if session is not None and session.status != "expired":
                raise InvalidInputError(_PAID_AT_STRIPE) from None

    async def _store(self, tenant_id: int, order: TournamentOrder, url: str) -> None:
        """Keep the address with the order, unless another link took that one's place meanwhile."""
        is_current = exists().where(
            _its_link,
            PaymentLink.status == LinkStatus.ACTIVE,
            PaymentLink.stripe_payment_link_url == url,
        )
        async with self._database.transaction() as conn:
            # Whoever replaces the link right now holds the order's row; only then it shows which one is current.
            await conn.execute(select(Order.id).where(Order.id == order.order_id).with_for_update())
            await conn.execute(
                update(Order)
                .where(Order.id == order.order_id, Order.tenant_id == tenant_id, is_current)
                .values(stripe_checkout_url=url)
            )

    def _stripe(self) -> StripeGateway:
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        return self._gateway


_PAID_AT_STRIPE = "its payment page was completed at Stripe; `sideline reconcile` records the payment"


def judge(
    order: TournamentOrder, session: SessionAtStripe | None, link: LinkAtStripe | None, *, force: bool
) -> Verdict:
    """Say what an order needs, given what Stripe has of it."""
    if session is not None and session.status == "complete":
        return Verdict(order, Action.HANDS_OFF, _PAID_AT_STRIPE)
    fault = _fault(order, session, link)
    if fault or force:
        return Verdict(order, Action.REGENERATE, fault or "asked for with --force")
    if order.url != order.link_url:
        return Verdict(order, Action.STORE_URL, "its address is not on the order")
    return Verdict(order, Action.NOTHING, "its link is right")


def _fault(order: TournamentOrder, session: SessionAtStripe | None, link: LinkAtStripe | None) -> str:
    is_named = {"order_id": str(order.order_id)}.items()
    if session is not None and session.is_open and not is_named <= (session.metadata or {}).items():
        return "its payment page at Stripe does not name the order"
    if order.link_id is None:
        return "it has no open link"
    if link is None or not link.active:
        return "its link is not open at Stripe"
    return "" if is_named <= link.metadata.items() else "its link at Stripe does not name the order"


def _orders(tenant_id: int, tournament_id: int, product_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    # A second guardian's part belongs to a product of its own that shares the team's.
    of_tournament = select(TournamentProduct.product_id).where(
        TournamentProduct.tournament_id == tournament_id, TournamentProduct.tenant_id == tenant_id
    )
    product_of_team = or_(Product.id.in_(of_tournament), Product.share_of.in_(of_tournament))
    statement = (
        select(
            Order.id,
            player_name,
            item_name,
            Order.stripe_checkout_session_id,
            Order.stripe_checkout_url,
            PaymentLink.stripe_payment_link_id,
            PaymentLink.stripe_payment_link_url,
        )
        .join(Player, Player.id == Order.player_id)
        .join(Product, Product.id == Order.product_id)
        .outerjoin(PaymentLink, _its_link)
        .where(Order.tenant_id == tenant_id, Order.status == OrderStatus.PENDING, product_of_team)
        .order_by(Order.id)
    )
    if not product_ids:
        return statement
    return statement.where(or_(Product.id.in_(product_ids), Product.share_of.in_(product_ids)))
