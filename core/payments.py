"""The one door for changes of an order's status: money recorded, statuses derived, history written beside.

Every function here works inside the caller's transaction and locks the order's row first, so two payments of
one order come one after the other.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    case,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute, aliased

from core.models import CheckoutAttempt, Order, OrderHistory, Payment, StripeDispute, StripeRefund
from core.models.statuses import AttemptStatus, OrderStatus, PaymentMethod
from core.order_status import OrderFacts, derive_status

# Stripe's words (https://docs.stripe.com/api/disputes/object): over, and the club keeps the money.
HARMLESS_DISPUTES = ("won", "warning_closed", "prevented")


@dataclass(frozen=True, slots=True)
class LockedOrder:
    """An order whose row this transaction holds."""

    id: int
    tenant_id: int
    player_id: int
    parent_id: int
    product_id: int | None
    amount_cents: int
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What an order's status was and is now, and what is left to pay (negative: too much came in)."""

    before: OrderStatus
    after: OrderStatus
    balance_cents: int


_LOCK = select(
    Order.id,
    Order.tenant_id,
    Order.player_id,
    Order.parent_id,
    Order.product_id,
    Order.amount_cents,
    Order.currency,
    Order.status,
).with_for_update()


async def lock_order(conn: AsyncConnection, order_id: int) -> LockedOrder | None:
    """Take the order's row for this transaction; None where there is no such order."""
    row = (await conn.execute(_LOCK.where(Order.id == order_id))).one_or_none()
    return LockedOrder(*row) if row else None


async def record_payment(
    conn: AsyncConnection,
    order: LockedOrder,
    *,
    amount_cents: int,
    method: PaymentMethod,
    payment_intent_id: str | None,
    recorded_by: str = "stripe",
    at: datetime,
) -> int | None:
    """Write down money that came in, and any refund of it that was told earlier.

    Returns the payment's id, or None where this Stripe payment was already written down.
    """
    statement = (
        upsert(Payment)
        .values(
            order_id=order.id,
            amount_cents=amount_cents,
            method=method,
            stripe_payment_intent_id=payment_intent_id,
            recorded_by=recorded_by,
            created_at=at,
        )
        .on_conflict_do_nothing()
        .returning(Payment.id)
    )
    payment_id: int | None = await conn.scalar(statement)
    if payment_id is not None and payment_intent_id is not None:
        await settle_refunds(conn, payment_intent_id)
    return payment_id


async def settle_refunds(conn: AsyncConnection, payment_intent_id: str) -> None:
    """Bring the ledger in line with what is known of a payment's refunds.

    A refund that went through is a negative payment; one that failed after all is put back by a positive one.
    Where the payment itself is not known yet nothing is written: its recording calls this again.
    """
    went_through = StripeRefund.status == "succeeded"
    await conn.execute(_refund_entries(payment_intent_id, -StripeRefund.amount_cents, went_through))
    entered = aliased(Payment)
    put_back = StripeRefund.status.in_(["failed", "canceled"]) & exists().where(
        entered.stripe_refund_id == StripeRefund.id
    )
    await conn.execute(_refund_entries(payment_intent_id, StripeRefund.amount_cents, put_back))


def _refund_entries(
    payment_intent_id: str, amount: SQLColumnExpression[int], condition: ColumnElement[bool]
) -> Insert:
    refunds = (
        select(
            Payment.order_id,
            amount,
            Payment.method,
            Payment.stripe_payment_intent_id,
            StripeRefund.id,
            StripeRefund.created_at,
        )
        .join(Payment, Payment.stripe_payment_intent_id == StripeRefund.stripe_payment_intent_id)
        .where(
            StripeRefund.stripe_payment_intent_id == payment_intent_id,
            Payment.stripe_refund_id.is_(None),
            condition,
        )
    )
    columns = [
        Payment.order_id,
        Payment.amount_cents,
        Payment.method,
        Payment.stripe_payment_intent_id,
        Payment.stripe_refund_id,
        Payment.created_at,
    ]
    return upsert(Payment).from_select(columns, refunds).on_conflict_do_nothing()


async def record_attempt(
    conn: AsyncConnection,
    order_id: int,
    *,
    session_id: str,
    payment_intent_id: str | None,
    status: AttemptStatus,
) -> None:
    """Write down what became of a Checkout Session. What is final stays, whatever is told later."""
    told = upsert(CheckoutAttempt).values(
        stripe_checkout_session_id=session_id,
        order_id=order_id,
        stripe_payment_intent_id=payment_intent_id,
        status=status,
    )
    await conn.execute(
        told.on_conflict_do_update(
            index_elements=[CheckoutAttempt.stripe_checkout_session_id],
            set_={"status": status},
            where=_rank(CheckoutAttempt.status) < list(AttemptStatus).index(status),
        )
    )


def _rank(status: InstrumentedAttribute[str]) -> ColumnElement[int]:
    return case({member.value: rank for rank, member in enumerate(AttemptStatus)}, value=status)


async def refresh_status(conn: AsyncConnection, order: LockedOrder, reason: str) -> StatusChange:
    """Derive the order's status from the facts, store it and, where it changed, add to its history."""
    row = (await conn.execute(_FACTS.where(Order.id == order.id))).one()
    facts = OrderFacts(
        amount=order.amount_cents,
        received=int(row.received),
        returned=int(row.returned),
        is_canceled=order.status == OrderStatus.CANCELED,
        is_processing=row.is_processing,
        is_disputed=row.is_disputed,
    )
    before, after = OrderStatus(order.status), derive_status(facts)
    if facts.received or before is not after:
        await _store(conn, order.id, after, row)
    if before is not after:
        await _write_history(conn, order.id, before, after, reason)
    return StatusChange(before, after, facts.balance)


async def cancel_order(conn: AsyncConnection, order: LockedOrder, reason: str) -> bool:
    """Cancel an order that nothing was paid on. Returns whether it was canceled now."""
    if order.status != OrderStatus.PENDING:
        return False
    paid = await conn.scalar(select(func.count()).where(Payment.order_id == order.id))
    if paid:
        return False
    await conn.execute(update(Order).where(Order.id == order.id).values(status=OrderStatus.CANCELED))
    await _write_history(conn, order.id, OrderStatus.PENDING, OrderStatus.CANCELED, reason)
    return True


async def _store(conn: AsyncConnection, order_id: int, status: OrderStatus, row: Row[Any]) -> None:
    is_settled = status not in {OrderStatus.PENDING, OrderStatus.PROCESSING, OrderStatus.CANCELED}
    await conn.execute(
        update(Order)
        .where(Order.id == order_id)
        .values(
            status=status,
            paid_at=row.last_received_at if is_settled else None,
            stripe_payment_intent_id=func.coalesce(row.payment_intent_id, Order.stripe_payment_intent_id),
            stripe_checkout_session_id=func.coalesce(row.session_id, Order.stripe_checkout_session_id),
        )
    )


async def _write_history(
    conn: AsyncConnection, order_id: int, before: OrderStatus, after: OrderStatus, reason: str
) -> None:
    await conn.execute(
        insert(OrderHistory).values(order_id=order_id, from_status=before, to_status=after, reason=reason)
    )


def _facts() -> Select[*tuple[Any, ...]]:
    """Build the statement that gathers everything an order's status depends on."""
    is_income = Payment.stripe_refund_id.is_(None) & (Payment.amount_cents > 0)
    ledger = select(Payment).where(Payment.order_id == Order.id).correlate(Order)
    income = ledger.where(is_income)
    attempts = select(CheckoutAttempt).where(CheckoutAttempt.order_id == Order.id).correlate(Order)

    def total(amount: SQLColumnExpression[int], rows: Select[Any]) -> ScalarSelect[int]:
        return rows.with_only_columns(func.coalesce(func.sum(amount), 0)).scalar_subquery()

    disputed = (
        income.with_only_columns(Payment.id)
        .join(StripeDispute, StripeDispute.stripe_payment_intent_id == Payment.stripe_payment_intent_id)
        .where(StripeDispute.status.not_in(HARMLESS_DISPUTES))
    )
    # The first payment's ids, whatever the order in which payments are heard of.
    first = income.order_by(Payment.created_at, Payment.id).limit(1)
    paying = attempts.join(
        Payment, Payment.stripe_payment_intent_id == CheckoutAttempt.stripe_payment_intent_id
    ).order_by(Payment.created_at, Payment.id)
    return select(
        total(Payment.amount_cents, income).label("received"),
        total(-Payment.amount_cents, ledger.where(~is_income)).label("returned"),
        income.with_only_columns(func.max(Payment.created_at)).scalar_subquery().label("last_received_at"),
        first.with_only_columns(Payment.stripe_payment_intent_id).scalar_subquery().label("payment_intent_id"),
        paying.with_only_columns(CheckoutAttempt.stripe_checkout_session_id)
        .limit(1)
        .scalar_subquery()
        .label("session_id"),
        attempts.where(CheckoutAttempt.status == AttemptStatus.PROCESSING).exists().label("is_processing"),
        disputed.exists().label("is_disputed"),
    ).select_from(Order)


_FACTS = _facts()
