"""The one door for changes of an order's status: money recorded, statuses derived, history written beside.

Every function here works inside the caller's transaction, on an order whose row was locked first, so two payments
of one order come one after the other.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, SQLColumnExpression, exists, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core import payment_statements as statements
from core.errors import InvalidInputError
from core.models import Payment, StripeRefund
from core.models.statuses import AttemptStatus, OrderStatus, PaymentMethod
from core.order_status import OrderFacts, derive_status


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
    category: str | None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What an order's status was and is now, and what is left to pay (negative: too much came in)."""

    before: OrderStatus
    after: OrderStatus
    balance_cents: int


@dataclass(frozen=True, slots=True)
class Income:
    """Money that came in, in cents of the order's currency, at a moment in UTC."""

    amount_cents: int
    method: PaymentMethod
    at: datetime
    payment_intent_id: str | None = None
    session_id: str | None = None
    recorded_by: str = "stripe"
    # A check's number, or why a debt was waived.
    reference: str | None = None
    # What makes one press of a button one payment.
    request_key: str | None = None


async def lock_order(conn: AsyncConnection, order_id: int) -> LockedOrder | None:
    """Take the order's row for this transaction; None where there is no such order."""
    row = (await conn.execute(statements.LOCK_ORDER, {"order_id": order_id})).one_or_none()
    return LockedOrder(*row) if row else None


async def lock_named_order(
    conn: AsyncConnection, payment_key: str, order_id: int | None, tenant_id: int | None
) -> LockedOrder | None:
    """Take a payment intent, and the order that its metadata names, for this transaction.

    A payment and its refund may arrive together: without the lock on the intent neither would see the other. It
    is taken before the order's row, here as everywhere, so that no two transactions wait for each other.

    Returns None where no order is named or it is another club's; the intent is locked all the same.
    """
    named = {"payment_key": payment_key, "order_id": order_id, "tenant_id": tenant_id}
    row = (await conn.execute(statements.LOCK_NAMED_ORDER, named)).one()
    return None if row.id is None else LockedOrder(*row)


async def record_payment(conn: AsyncConnection, order: LockedOrder, income: Income) -> int | None:
    """Write down money that came in, the session it came through, and any refund of it that was told earlier.

    Returns the payment's id, or None where this payment was already written down.
    """
    payment_id: int | None = await conn.scalar(
        statements.RECORD_PAYMENT, asdict(income) | {"order_id": order.id, "method": income.method.value}
    )
    return payment_id


async def settle_refunds(conn: AsyncConnection, payment_intent_id: str) -> None:
    """Bring the ledger in line with what is known of a payment's refunds.

    A refund that went through is a negative payment; one that failed after all is put back by a positive one.
    Where the payment itself is not known yet nothing is written: its recording looks at the refunds.
    """
    went_through = StripeRefund.status == "succeeded"
    await conn.execute(_refund_entries(payment_intent_id, -StripeRefund.amount_cents, went_through))
    entered = aliased(Payment)
    put_back = StripeRefund.status.in_(["failed", "canceled"]) & exists().where(
        entered.stripe_refund_id == StripeRefund.id
    )
    await conn.execute(_refund_entries(payment_intent_id, StripeRefund.amount_cents, put_back))


async def settle_disputes(conn: AsyncConnection, payment_intent_id: str) -> None:
    """Bring the ledger in line with what is known of a payment's disputes: Stripe took back what was lost."""
    await conn.execute(statements.SETTLE_DISPUTES, {"payment_intent_id": payment_intent_id})


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
    conn: AsyncConnection, order_id: int, *, session_id: str, payment_intent_id: str, status: AttemptStatus
) -> None:
    """Write down what became of a Checkout Session. What is final stays, whatever is told later."""
    told = {
        "order_id": order_id,
        "session_id": session_id,
        "payment_intent_id": payment_intent_id,
        "status": status.value,
    }
    await conn.execute(statements.RECORD_ATTEMPT, told)


async def refresh_status(conn: AsyncConnection, order: LockedOrder, reason: str) -> StatusChange:
    """Derive the order's status from the facts, store it and, where it changed, add to its history."""
    row = (await conn.execute(statements.FACTS, {"order_id": order.id})).one()
    facts = OrderFacts(
        amount=order.amount_cents,
        received=row.received,
        returned=row.returned,
        is_canceled=order.status == OrderStatus.CANCELED,
        is_processing=row.is_processing,
        is_disputed=row.is_disputed,
    )
    before, after = OrderStatus(order.status), derive_status(facts)
    if facts.received or before is not after:
        is_settled = after not in {OrderStatus.PENDING, OrderStatus.PROCESSING, OrderStatus.CANCELED}
        change = {
            "order_id": order.id,
            "before": before.value,
            "after": after.value,
            "paid_at": row.last_received_at if is_settled else None,
            "payment_intent_id": row.payment_intent_id,
            "session_id": row.session_id,
            "reason": reason,
        }
        await conn.execute(statements.STORE_STATUS, change)
    return StatusChange(before, after, facts.balance)


async def cancel_order(conn: AsyncConnection, order: LockedOrder, reason: str) -> None:
    """Take a locked order off the family's list. Its link is the caller's to retire.

    Raises:
        InvalidInputError: where money came in or is on its way; that has to be given back first.
    """
    if order.status != OrderStatus.PENDING:
        raise InvalidInputError(f"Only what is still owed can be canceled; this is {order.status}.")
    row = (await conn.execute(statements.FACTS, {"order_id": order.id})).one()
    if row.received:
        raise InvalidInputError("Part of this was paid already; undo or refund that first.")
    change = {
        "order_id": order.id,
        "before": order.status,
        "after": OrderStatus.CANCELED.value,
        "paid_at": None,
        "payment_intent_id": None,
        "session_id": None,
        "reason": reason,
    }
    await conn.execute(statements.STORE_STATUS, change)


async def change_amount(conn: AsyncConnection, order: LockedOrder, amount_cents: int, reason: str) -> StatusChange:
    """Give a locked order another amount; its status follows. Its link is the caller's to retire.

    Raises:
        InvalidInputError: where the order is canceled.
    """
    if order.status == OrderStatus.CANCELED:
        raise InvalidInputError("This was taken off the family's list; charge it anew instead.")
    await conn.execute(statements.CHANGE_AMOUNT, {"order_id": order.id, "amount_cents": amount_cents})
    return await refresh_status(conn, replace(order, amount_cents=amount_cents), reason)
