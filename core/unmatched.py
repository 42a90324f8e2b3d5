"""Payments that no order could be found for: kept, put before people, and matched by one of them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import OwedItem, fetch_owed
from core.clock import Clock
from core.database import Database
from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError
from core.jobs import JobQueue
from core.models import Order, Parent, StripeEvent, UnmatchedPayment
from core.models.statuses import EventOutcome, OrderStatus, PaymentMethod, UnmatchedStatus
from core.notices import NoticeKind, announce
from core.payment_links import PaymentLinks
from core.payments import Income, lock_named_order, lock_order, record_payment, refresh_status
from core.stripe_context import EventContext
from core.stripe_objects import CheckoutSession
from core.stripe_returns import catch_up_on_returns

CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A payment that waits to be matched, or was. Amount in the smallest unit of `currency`."""

    id: int
    tenant_id: int
    session_id: str | None
    payment_intent_id: str
    amount_cents: int
    currency: str
    method: str
    payer_name: str | None
    payer_email: str | None
    status: str
    matched_order_id: int | None
    matched_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether nobody has said yet whose it is."""
        return self.status == UnmatchedStatus.OPEN


_UNMATCHED = select(
    UnmatchedPayment.id,
    UnmatchedPayment.tenant_id,
    UnmatchedPayment.stripe_checkout_session_id,
    UnmatchedPayment.stripe_payment_intent_id,
    UnmatchedPayment.amount_cents,
    UnmatchedPayment.currency,
    UnmatchedPayment.method,
    UnmatchedPayment.payer_name,
    UnmatchedPayment.payer_email,
    UnmatchedPayment.status,
    UnmatchedPayment.matched_order_id,
    UnmatchedPayment.matched_by,
)


async def keep_unmatched(context: EventContext, session: CheckoutSession, method: PaymentMethod) -> EventOutcome:
    """Keep a payment that matches no order, and have somebody asked whose it is."""
    tenant_id = _tenant_of(context, session)
    if tenant_id is None or not session.is_paid or not session.amount_total:
        return EventOutcome.UNMATCHED
    details = session.customer_details
    unmatched_id = await context.conn.scalar(
        upsert(UnmatchedPayment)
        .values(
            tenant_id=tenant_id,
            stripe_event_id=context.event_id,
            stripe_checkout_session_id=session.id,
            stripe_payment_intent_id=session.payment_key,
            amount_cents=session.amount_total,
            currency=session.currency or "",
            method=method,
            payer_name=details.name if details else None,
            payer_email=details.email if details else None,
            created_at=context.created,
        )
        .on_conflict_do_nothing()
        .returning(UnmatchedPayment.id)
    )
    if unmatched_id is not None:
        facts = {"unmatched_id": unmatched_id}
        key = session.payment_key
        await announce(context.conn, context.jobs, tenant_id, NoticeKind.UNMATCHED, key, facts)
    return EventOutcome.UNMATCHED


def _tenant_of(context: EventContext, session: CheckoutSession) -> int | None:
    """Return whose payment it must be: the account's only club's, or its one that the metadata names."""
    if context.only_tenant is not None:
        return context.only_tenant
    named = (session.metadata or {}).get("tenant_id")
    return next((tenant_id for tenant_id in context.tenant_ids if str(tenant_id) == named), None)


async def load_unmatched(conn: AsyncConnection, tenant_id: int, unmatched_id: int) -> Unmatched:
    """Return an unmatched payment of this club.

    Raises:
        NotFoundError: where there is none.
    """
    found = _UNMATCHED.where(UnmatchedPayment.id == unmatched_id, UnmatchedPayment.tenant_id == tenant_id)
    row = (await conn.execute(found)).one_or_none()
    if row is None:
        raise NotFoundError("That payment isn't waiting to be matched here.")
    columns: tuple[Any, ...] = tuple(row)
    return Unmatched(*columns)


async def likely_orders(conn: AsyncConnection, payment: Unmatched) -> list[OwedItem]:
    """Return the open orders it may be for: the payer's own address first, then the same amount."""
    by_email = func.lower(Parent.email) == func.lower(payment.payer_email or "")
    by_name = func.lower(Parent.last_name) == func.lower((payment.payer_name or "").rpartition(" ")[2])
    by_amount = Order.amount_cents == payment.amount_cents
    items = await fetch_owed(
        conn,
        payment.tenant_id,
        Order.id.in_(
            select(Order.id)
            .join(Parent, Parent.id == Order.parent_id)
            .where(
                Order.tenant_id == payment.tenant_id,
                Order.status == OrderStatus.PENDING,
                Order.currency == payment.currency,
                or_(by_email, by_name, by_amount),
            )
            .order_by(case((by_email, 0), (by_name & by_amount, 1), (by_name, 2), else_=3), Order.id)
            .limit(CANDIDATES)
        ),
    )
    email = (payment.payer_email or "").lower()
    return sorted(
        items,
        key=lambda item: (
            (item.parent_email or "").lower() != email,
            item.balance_cents != payment.amount_cents,
        ),
    )


class UnmatchedPayments:
    """Lets people say whose a payment is."""

    def __init__(self, database: Database, jobs: JobQueue, links: PaymentLinks, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._links = links
        self._clock = clock

    async def match(self, tenant_id: int, unmatched_id: int, order_id: int, actor: str) -> Unmatched:
        """Record the payment on the order. One person wins; the next is told who did.

        Raises:
            NotFoundError, AlreadyDoneError
            InvalidInputError: where the order is in another currency.
        """
        async with self._database.transaction() as conn:
            known = await load_unmatched(conn, tenant_id, unmatched_id)
            # A refund that arrives meanwhile has to see the payment, or the payment the refund.
            await lock_named_order(conn, known.payment_intent_id, None, None)
            payment = await self._claim(conn, tenant_id, unmatched_id, order_id, actor)
            order = await lock_order(conn, order_id)
            if order is None or order.tenant_id != tenant_id:
                raise NotFoundError("That order doesn't exist here.")
            if order.currency != payment.currency:
                raise InvalidInputError("That order is in another currency; pick one in the payment's own.")
            income = Income(
                payment.amount_cents,
                PaymentMethod(payment.method),
                self._clock(),
                payment.payment_intent_id,
                payment.session_id,
                recorded_by=actor,
            )
            payment_id = await record_payment(conn, order, income)
            change = await refresh_status(conn, order, f"matched by {actor}")
            if change.after is OrderStatus.PAID:
                await self._links.close_after_payment(conn, order, None)
            await self._resolve_event(conn, payment)
            if payment_id is not None:
                await self._jobs.send_receipts(conn, payment_id)
            await catch_up_on_returns(conn, self._jobs, order, payment.payment_intent_id)
            after = {"order_id": order_id, "payment_id": payment_id, "status": change.after.value}
            await record_change(conn, tenant_id, actor, "payment.match", f"unmatched:{unmatched_id}", after=after)
        return payment

    async def _claim(
        self, conn: AsyncConnection, tenant_id: int, unmatched_id: int, order_id: int, actor: str
    ) -> Unmatched:
        claimed = await conn.scalar(
            update(UnmatchedPayment)
            .where(
                UnmatchedPayment.id == unmatched_id,
                UnmatchedPayment.tenant_id == tenant_id,
                UnmatchedPayment.status == UnmatchedStatus.OPEN,
            )
            .values(
                status=UnmatchedStatus.MATCHED,
                matched_order_id=select(Order.id)
                .where(Order.id == order_id, Order.tenant_id == tenant_id)
                .scalar_subquery(),
                matched_by=actor,
            )
            .returning(UnmatchedPayment.id)
        )
        payment = await load_unmatched(conn, tenant_id, unmatched_id)
        if claimed is None:
            who = payment.matched_by or "somebody"
            raise AlreadyDoneError(f"Already matched by {who}.", people=[who])
        return payment

    @staticmethod
    async def _resolve_event(conn: AsyncConnection, payment: Unmatched) -> None:
        event = select(UnmatchedPayment.stripe_event_id).where(UnmatchedPayment.id == payment.id)
        await conn.execute(
            update(StripeEvent)
            .where(StripeEvent.id == event.scalar_subquery())
            .values(outcome=EventOutcome.APPLIED)
        )
