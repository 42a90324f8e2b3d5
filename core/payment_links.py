"""The one door for payment links: mints, reuses, replaces and closes them, for every kind of fee.

Our order comes first, the call to Stripe second and outside any transaction. Its idempotency key is made from
the order, the amount and how many links the order has had, so a crash anywhere is mended by doing it again.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import balance_cents, item_name, player_name
from core.clock import Clock
from core.database import Database
from core.errors import NotFoundError, NotPayableError, StripeUnavailableError
from core.fees import contract_allows, fee_rule
from core.jobs import JobQueue
from core.models import Order, PaymentLink, Player, Product, RetiredLink, Tenant
from core.models.statuses import LinkStatus, OrderStatus
from core.payments import LockedOrder
from core.stripe_gateway import LinkRequest, StripeGateway, StripeLink, link_parameters


class Obstacle(StrEnum):
    """Why an order can't be paid right now."""

    PAID = "paid"
    PROCESSING = "processing"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CONTRACT = "contract"


_OBSTACLES = {
    OrderStatus.PAID: Obstacle.PAID,
    OrderStatus.PROCESSING: Obstacle.PROCESSING,
    OrderStatus.CANCELED: Obstacle.CANCELED,
    OrderStatus.REFUNDED: Obstacle.REFUNDED,
    OrderStatus.PARTIALLY_REFUNDED: Obstacle.REFUNDED,
    OrderStatus.DISPUTED: Obstacle.DISPUTED,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order with all that decides whether it can be paid and by which link."""

    order_id: int
    tenant_id: int
    tenant_uid: str
    player_id: int
    parent_id: int
    product_id: int | None
    name: str
    player_name: str
    category: str | None
    contract_status: str
    status: str
    balance_cents: int
    currency: str
    link_id: int | None
    link_order_id: int | None
    link_amount_cents: int | None
    link_status: str | None
    stripe_link_id: str | None
    url: str | None
    links_before: int

    @property
    def obstacle(self) -> Obstacle | None:
        """Why it can't be paid now; None where it can."""
        if self.status != OrderStatus.PENDING:
            return _OBSTACLES[OrderStatus(self.status)]
        if self.balance_cents <= 0:
            return Obstacle.PAID
        return None if contract_allows(self.category, self.contract_status) else Obstacle.CONTRACT

    @property
    def current_url(self) -> str | None:
        """The address of its link, where that is open, this order's, and over what is owed now."""
        is_current = (
            self.link_status == LinkStatus.ACTIVE
            # A link that was imported without its order is the order's of the same player and product.
            and self.link_order_id in {self.order_id, None}
            and self.link_amount_cents == self.balance_cents
            and self.stripe_link_id is not None
        )
        return self.url if is_current else None


def _candidates() -> Select[*tuple[Any, ...]]:
    retired = (
        select(func.count()).select_from(RetiredLink).where(RetiredLink.order_id == Order.id).scalar_subquery()
    )
    same_product = and_(
        PaymentLink.tenant_id == Order.tenant_id,
        PaymentLink.player_id == Order.player_id,
        PaymentLink.product_id == Order.product_id,
    )
    without_product = and_(Order.product_id.is_(None), PaymentLink.order_id == Order.id)
    return (
        select(
            Order.id,
            Order.tenant_id,
            Tenant.uid,
            Order.player_id,
            Order.parent_id,
            Order.product_id,
            item_name,
            player_name,
            Product.category,
            Player.contract_status,
            Order.status,
            balance_cents,
            Order.currency,
            PaymentLink.id,
            PaymentLink.order_id,
            PaymentLink.amount_cents,
            PaymentLink.status,
            PaymentLink.stripe_payment_link_id,
            PaymentLink.stripe_payment_link_url,
            retired,
        )
        .join(Tenant, Tenant.id == Order.tenant_id)
        .join(Player, Player.id == Order.player_id)
        .outerjoin(Product, Product.id == Order.product_id)
        .outerjoin(PaymentLink, or_(same_product, without_product))
    )


_CANDIDATES = _candidates()

# Written out because it runs for every payment. A link that was imported without its order learns it here.
_MARK_PAID = text("""
    update payment_links set
        paid_at = :now, order_id = :order_id, status = case when :closes then 'paid' else status end
    where paid_at is null
        and (order_id = :order_id or (order_id is null and stripe_payment_link_id = cast(:paid_link_id as text)))
    returning stripe_payment_link_id
""")


class PaymentLinks:
    """Mints and closes links through one Stripe account."""

    def __init__(self, database: Database, gateway: StripeGateway | None, jobs: JobQueue, clock: Clock) -> None:
        self._database = database
        self._gateway = gateway
        self._jobs = jobs
        self._clock = clock

    async def payable_url(self, tenant_id: int, order_id: int, *, patience: float = 60.0) -> str:
        """Return the address at Stripe where the order's balance can be paid right now.

        Reuses the link where it fits, and mints or replaces it where it doesn't. A canceled order leads to the
        one that took its place, if there is one.

        Raises:
            NotFoundError: no such order in this club.
            NotPayableError: it can't be paid; `reason` holds an `Obstacle`.
            StripeUnavailableError, StripeRefusedError
        """
        async with self._database.transaction() as conn:
            candidate = await _load(conn, tenant_id, order_id)
            _check(candidate)
            if candidate.current_url is not None:
                return candidate.current_url
            candidate = await self._retire_current(conn, candidate)
        link = await self._mint(candidate, patience)
        async with self._database.transaction() as conn:
            is_in_place = await self._store(conn, candidate, link)
        # Where the order changed while Stripe was asked, look at it again.
        return link.url if is_in_place else await self.payable_url(tenant_id, order_id, patience=patience)

    async def check_payable(self, tenant_id: int, order_id: int) -> None:
        """Look at the order like `payable_url`, without minting or replacing anything.

        Raises:
            NotFoundError: no such order in this club.
            NotPayableError: it can't be paid; `reason` holds an `Obstacle`.
        """
        async with self._database.transaction() as conn:
            _check(await _load(conn, tenant_id, order_id))

    async def close_after_payment(
        self, conn: AsyncConnection, order: LockedOrder, paid_link_id: str | None, *, always: bool = False
    ) -> None:
        """Mark the paid order's link and have it closed at Stripe, like the one that was paid through.

        Kinds of fee whose links stay open on purpose (jerseys, tryouts, others) only get the date, unless
        `always`: paid outside of Stripe, an open link would only invite a second payment.
        """
        closes = always or fee_rule(order.category).closes_when_paid
        marked = {"order_id": order.id, "now": self._clock(), "closes": closes, "paid_link_id": paid_link_id}
        stripe_ids = await conn.scalars(_MARK_PAID, marked)
        if closes:
            await self._jobs.close_links(conn, *({*stripe_ids, paid_link_id} - {None}))

    async def close_link(self, stripe_payment_link_id: str) -> None:
        """Close a link at Stripe and write down that it is; doing it again changes nothing.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        await self._stripe().close_payment_link(stripe_payment_link_id)
        async with self._database.transaction() as conn:
            for table in (PaymentLink, RetiredLink):
                await conn.execute(
                    update(table)
                    .where(table.stripe_payment_link_id == stripe_payment_link_id)
                    .values(deactivated_at=func.coalesce(table.deactivated_at, self._clock()))
                )

    async def retire(
        self, conn: AsyncConnection, tenant_id: int, order_id: int, reason: str, *, only: str | None = None
    ) -> None:
        """Have an order's present link closed, if it has one: it asks for what is not owed like that any more.

        Where something is still owed, the next click on the family's own address mints a fresh one. `only` is
        the Stripe id of the one link that is meant; another that took its place meanwhile is left alone.

        Raises:
            NotFoundError: no such order in this club.
        """
        candidate = await _load(conn, tenant_id, order_id, follow=False)
        if only is not None and candidate.stripe_link_id != only:
            return
        if candidate.link_order_id in {order_id, None}:
            await self._retire(conn, candidate, reason)

    async def retire_misfit(self, conn: AsyncConnection, tenant_id: int, order_id: int) -> None:
        """Have an order's open link closed where it asks for another amount than is owed since money came in.

        Raises:
            NotFoundError: no such order in this club.
        """
        candidate = await _load(conn, tenant_id, order_id, follow=False)
        is_own = candidate.link_order_id in {order_id, None}
        if is_own and candidate.link_status == LinkStatus.ACTIVE and candidate.current_url is None:
            await self._retire(conn, candidate, "paid in part")

    async def retire_stray(
        self, conn: AsyncConnection, tenant_id: int, order_id: int, stripe_link_id: str, amount_cents: int
    ) -> None:
        """Have a link closed that was minted for an order and never stored, e.g. because the process died.

        It is kept as a replaced one: a payment through it finds its order, and the order's next link gets an
        idempotency key of its own instead of this closed one again.

        Raises:
            NotFoundError: no such order in this club.
        """
        await _load(conn, tenant_id, order_id, follow=False)
        stored = select(PaymentLink.id).where(PaymentLink.stripe_payment_link_id == stripe_link_id)
        if await conn.scalar(stored) is None:
            await self._close_replaced(conn, tenant_id, order_id, stripe_link_id, amount_cents, "never stored")

    async def _retire_current(self, conn: AsyncConnection, candidate: Candidate) -> Candidate:
        """Take the present link out, if any, so that a fresh one can take its place; returns the new state."""
        if candidate.link_id is None or candidate.stripe_link_id is None:
            return candidate
        await self._retire(conn, candidate, "replaced")
        return await _load(conn, candidate.tenant_id, candidate.order_id)

    async def _retire(self, conn: AsyncConnection, candidate: Candidate, reason: str) -> None:
        if candidate.link_id is None or candidate.stripe_link_id is None:
            return
        await conn.execute(
            update(PaymentLink)
            .where(PaymentLink.id == candidate.link_id)
            .values(status=LinkStatus.DEACTIVATED, stripe_payment_link_id=None, stripe_payment_link_url=None)
        )
        order_id = candidate.link_order_id or candidate.order_id
        amount_cents = candidate.link_amount_cents or 0
        await self._close_replaced(
            conn, candidate.tenant_id, order_id, candidate.stripe_link_id, amount_cents, reason
        )

    async def _mint(self, candidate: Candidate, patience: float) -> StripeLink:
        request = LinkRequest(
            name=f"{candidate.name} · {candidate.player_name}",
            amount_cents=candidate.balance_cents,
            currency=candidate.currency,
            saves_card=fee_rule(candidate.category).saves_card,
            order_id=candidate.order_id,
            player_id=candidate.player_id,
            product_id=candidate.product_id,
            tenant_id=candidate.tenant_id,
        )
        return await self._stripe().create_payment_link(
            request, _idempotency_key(candidate, request), patience=patience
        )

    async def _store(self, conn: AsyncConnection, minted: Candidate, link: StripeLink) -> bool:
        """Put a fresh link in its place, unless the order changed while Stripe was asked: then close it."""
        now = await _load(conn, minted.tenant_id, minted.order_id)
        if now.current_url is not None and now.stripe_link_id == link.id:
            return True  # somebody else asked at the same time, and Stripe gave both the same link
        is_same = now.order_id == minted.order_id and now.balance_cents == minted.balance_cents
        # Taken for a stray, and closed before it could be stored.
        is_retired = await conn.scalar(
            select(RetiredLink.order_id).where(RetiredLink.stripe_payment_link_id == link.id)
        )
        if now.obstacle is not None or now.current_url is not None or not is_same or is_retired is not None:
            await self._discard(conn, minted, link)
            return False
        values = {
            "tenant_id": now.tenant_id,
            "player_id": now.player_id,
            "parent_id": now.parent_id,
            "product_id": now.product_id,
            "order_id": now.order_id,
            "description": now.name,
            "amount_cents": now.balance_cents,
            "stripe_payment_link_id": link.id,
            "stripe_payment_link_url": link.url,
            "status": LinkStatus.ACTIVE,
            "paid_at": None,
            "deactivated_at": None,
        }
        if now.link_id is None:
            await conn.execute(insert(PaymentLink).values(values))
        else:
            await conn.execute(update(PaymentLink).where(PaymentLink.id == now.link_id).values(values))
        return True

    async def _discard(self, conn: AsyncConnection, minted: Candidate, link: StripeLink) -> None:
        await self._close_replaced(
            conn, minted.tenant_id, minted.order_id, link.id, minted.balance_cents, "no longer needed"
        )

    async def _close_replaced(
        self,
        conn: AsyncConnection,
        tenant_id: int,
        order_id: int,
        stripe_link_id: str,
        amount_cents: int,
        reason: str,
    ) -> None:
        """Keep a link as one that another takes the place of, and have it closed at Stripe."""
        await conn.execute(
            upsert(RetiredLink)
            .values(
                stripe_payment_link_id=stripe_link_id,
                tenant_id=tenant_id,
                order_id=order_id,
                amount_cents=amount_cents,
                reason=reason,
            )
            .on_conflict_do_nothing()
        )
        await self._jobs.close_links(conn, stripe_link_id)

    def _stripe(self) -> StripeGateway:
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        return self._gateway


def _check(candidate: Candidate) -> None:
    if candidate.obstacle is not None:
        raise NotPayableError(f"The order is not open: {candidate.obstacle}.", candidate.obstacle)


async def _load(conn: AsyncConnection, tenant_id: int, order_id: int, *, follow: bool = True) -> Candidate:
    """Return the order, its row locked; or, to `follow`, the one that took the place of a canceled one."""
    candidate = await _locked(conn, Order.id == order_id, Order.tenant_id == tenant_id)
    if candidate is None:
        raise NotFoundError("We don't know this payment link.")
    if not follow or candidate.obstacle is not Obstacle.CANCELED or candidate.product_id is None:
        return candidate
    successor = await _locked(
        conn,
        Order.tenant_id == tenant_id,
        Order.player_id == candidate.player_id,
        Order.product_id == candidate.product_id,
        Order.status != OrderStatus.CANCELED,
    )
    return successor or candidate


async def _locked(conn: AsyncConnection, *conditions: ColumnElement[bool]) -> Candidate | None:
    """Take the order's row, and only then look: one statement for both would not see a link stored meanwhile."""
    order_id = await conn.scalar(select(Order.id).where(*conditions).with_for_update())
    if order_id is None:
        return None
    return Candidate(*(await conn.execute(_CANDIDATES.where(Order.id == order_id))).one())


def _idempotency_key(candidate: Candidate, request: LinkRequest) -> str:
    """Name this one minting: the club's database, the order, the amount, the link's number, the request.

    The request's digest is in it because Stripe refuses a key that comes back with other parameters, e.g.
    after the order's description was mended.
    """
    digest = hashlib.sha256(orjson.dumps(link_parameters(request), option=orjson.OPT_SORT_KEYS)).hexdigest()
    return (
        f"sideline-link-{candidate.tenant_uid}-{candidate.order_id}"
        f"-{candidate.balance_cents}-{candidate.links_before}-{digest[:16]}"
    )
