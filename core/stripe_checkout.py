"""What Stripe tells of Checkout Sessions: paid, under way, failed, expired."""

from typing import Any

from core.models.statuses import AttemptStatus, EventOutcome, OrderStatus, PaymentMethod
from core.notices import NoticeKind, announce
from core.order_matching import named_in, order_of_session
from core.payments import (
    Income,
    LockedOrder,
    lock_named_order,
    lock_order,
    record_attempt,
    record_payment,
    refresh_status,
)
from core.stripe_context import EventContext
from core.stripe_objects import CheckoutSession
from core.stripe_returns import catch_up_on_returns
from core.unmatched import keep_unmatched


async def on_session_completed(context: EventContext, session: CheckoutSession) -> EventOutcome:
    """A parent finished the page: paid by card, or unpaid because a bank debit takes days."""
    return await _on_completed(context, session, PaymentMethod.CARD)


async def on_session_settled(context: EventContext, session: CheckoutSession) -> EventOutcome:
    """A bank debit went through after all."""
    return await _on_completed(context, session, PaymentMethod.BANK)


async def on_session_failed(context: EventContext, session: CheckoutSession) -> EventOutcome:
    """A bank debit came back: the family owes it again, and the link is still open."""
    order = await _order(context, session)
    if order is None:
        return EventOutcome.UNMATCHED
    await _record(context, order, session, AttemptStatus.FAILED)
    await refresh_status(context.conn, order, context.reason)
    facts = {"order_id": order.id, "amount_cents": session.amount_total or order.amount_cents}
    await announce(
        context.conn, context.jobs, order.tenant_id, NoticeKind.PAYMENT_FAILED, session.payment_key, facts
    )
    return EventOutcome.APPLIED


async def on_session_expired(context: EventContext, session: CheckoutSession) -> EventOutcome:
    """A parent left the page without paying."""
    order = await _order(context, session)
    if order is None:
        return EventOutcome.IGNORED
    await _record(context, order, session, AttemptStatus.EXPIRED)
    await refresh_status(context.conn, order, context.reason)
    return EventOutcome.APPLIED


async def _on_completed(context: EventContext, session: CheckoutSession, method: PaymentMethod) -> EventOutcome:
    named = named_in(session)
    order = await lock_named_order(context.conn, session.payment_key, named.order_id, named.tenant_id)
    order = await context.own(order)
    if order is None:
        order = await _order(context, session)
    # Money in another currency can't be set against the order: somebody has to look at it.
    if order is None or (session.currency or order.currency) != order.currency:
        return await keep_unmatched(context, session, method)
    if not session.is_paid:
        return await _note_processing(context, order, session)
    await take_payment(context, order, session, method)
    return EventOutcome.APPLIED


async def take_payment(
    context: EventContext, order: LockedOrder, session: CheckoutSession, method: PaymentMethod
) -> None:
    """Record a settled session's money on the order, close its link, and have the channel told."""
    amount = session.amount_total or 0
    payment_id = None
    if amount:
        income = Income(amount, method, context.created, session.payment_key, session.id)
        payment_id = await record_payment(context.conn, order, income)
    else:
        await _record(context, order, session, AttemptStatus.SUCCEEDED)
    change = await refresh_status(context.conn, order, context.reason)
    if change.after is OrderStatus.PAID:
        await context.links.close_after_payment(context.conn, order, session.payment_link)
    elif change.after in {OrderStatus.PENDING, OrderStatus.PROCESSING}:
        # Paid through a link that another had taken the place of: the new one asks for too much now.
        await context.links.retire_misfit(context.conn, order.tenant_id, order.id)
    if payment_id is None:
        return
    was_settled = change.balance_cents + amount <= 0
    kind = NoticeKind.SECOND_PAYMENT if was_settled else NoticeKind.PAYMENT
    facts: dict[str, Any] = {
        "order_id": order.id,
        "payment_id": payment_id,
        "amount_cents": amount,
        "method": method.value,
    }
    if change.balance_cents < 0 and not was_settled:
        facts["over_cents"] = -change.balance_cents
    await announce(context.conn, context.jobs, order.tenant_id, kind, session.payment_key, facts)
    await context.jobs.send_receipts(context.conn, payment_id)
    await catch_up_on_returns(context.conn, context.jobs, order, session.payment_key)


async def _note_processing(context: EventContext, order: LockedOrder, session: CheckoutSession) -> EventOutcome:
    await _record(context, order, session, AttemptStatus.PROCESSING)
    change = await refresh_status(context.conn, order, context.reason)
    if change.after is OrderStatus.PROCESSING:
        facts = {"order_id": order.id, "amount_cents": session.amount_total or order.amount_cents}
        await announce(
            context.conn, context.jobs, order.tenant_id, NoticeKind.PROCESSING, session.payment_key, facts
        )
    return EventOutcome.APPLIED


async def _order(context: EventContext, session: CheckoutSession) -> LockedOrder | None:
    order_id = await order_of_session(context.conn, session)
    return None if order_id is None else await context.own(await lock_order(context.conn, order_id))


async def _record(
    context: EventContext, order: LockedOrder, session: CheckoutSession, status: AttemptStatus
) -> None:
    await record_attempt(
        context.conn,
        order.id,
        session_id=session.id,
        payment_intent_id=session.payment_key,
        status=status,
    )
