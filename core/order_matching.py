"""Finding the order that something from Stripe is about."""

from dataclasses import dataclass

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import CheckoutAttempt, Order, Payment, PaymentLink, RetiredLink
from core.models.statuses import OrderStatus
from core.stripe_objects import CheckoutSession


@dataclass(frozen=True, slots=True)
class Named:
    """The ids that a session's metadata names; both None where they are not ours."""

    order_id: int | None
    tenant_id: int | None


def named_in(session: CheckoutSession) -> Named:
    """Return what the metadata names. A tenant in it that can't be read means that the metadata is not ours."""
    metadata = session.metadata or {}
    order_id, tenant_id = _number(metadata.get("order_id")), _number(metadata.get("tenant_id"))
    is_ours = order_id is not None and ("tenant_id" not in metadata or tenant_id is not None)
    return Named(order_id, tenant_id) if is_ours else Named(None, None)


async def order_of_session(conn: AsyncConnection, session: CheckoutSession) -> int | None:
    """Return the id of a session's order: by metadata, then link, then session, then payment intent."""
    named = named_in(session)
    if named.order_id is not None:
        is_tenants = Order.tenant_id == named.tenant_id if named.tenant_id is not None else true()
        order_id = await conn.scalar(select(Order.id).where(Order.id == named.order_id, is_tenants))
        if order_id is not None:
            return int(order_id)
    if session.payment_link is not None:
        order_id = await _order_of_link(conn, session.payment_link)
        if order_id is not None:
            return order_id
    by_session = await _order_of_session_id(conn, session.id)
    return by_session or await order_of_payment_intent(conn, session.payment_intent)


async def order_of_payment_intent(conn: AsyncConnection, payment_intent_id: str | None) -> int | None:
    """Return the id of the order that a payment intent paid or is paying."""
    if payment_intent_id is None:
        return None
    found = (
        select(Payment.order_id)
        # Its refunds are this order's too; without them the index holds exactly the one row.
        .where(Payment.stripe_payment_intent_id == payment_intent_id, Payment.stripe_refund_id.is_(None))
        .union_all(
            select(CheckoutAttempt.order_id).where(CheckoutAttempt.stripe_payment_intent_id == payment_intent_id),
            select(Order.id).where(Order.stripe_payment_intent_id == payment_intent_id),
        )
        .limit(1)
    )
    return await conn.scalar(found)


async def _order_of_link(conn: AsyncConnection, link_id: str) -> int | None:
    by_product = (
        (Order.tenant_id == PaymentLink.tenant_id)
        & (Order.player_id == PaymentLink.player_id)
        & (Order.product_id == PaymentLink.product_id)
        & (Order.status != OrderStatus.CANCELED)
    )
    found = (
        select(PaymentLink.order_id)
        .where(PaymentLink.stripe_payment_link_id == link_id, PaymentLink.order_id.is_not(None))
        .union_all(
            select(RetiredLink.order_id).where(RetiredLink.stripe_payment_link_id == link_id),
            # A link that was imported without its order.
            select(Order.id)
            .join(PaymentLink, by_product)
            .where(PaymentLink.stripe_payment_link_id == link_id, PaymentLink.order_id.is_(None)),
        )
        .limit(1)
    )
    return await conn.scalar(found)


async def _order_of_session_id(conn: AsyncConnection, session_id: str) -> int | None:
    found = (
        select(Order.id)
        .where(Order.stripe_checkout_session_id == session_id)
        .union_all(
            select(CheckoutAttempt.order_id).where(CheckoutAttempt.stripe_checkout_session_id == session_id)
        )
        .limit(1)
    )
    return await conn.scalar(found)


def _number(value: object) -> int | None:
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()):
        return None
    return int(value) if len(value) < 19 else None  # longer is no bigint, so no id of ours
