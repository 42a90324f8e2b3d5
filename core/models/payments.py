"""Links and the money that came in."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, PrimaryKey, TenantId, one_of
from core.models.statuses import AttemptStatus, LinkStatus, PaymentMethod, RefundStatus


class PaymentLink(Base):
    """The one payment link of a player and product. A row exists only once Stripe has the link."""

    __tablename__ = "payment_links"
    __table_args__ = (
        UniqueConstraint("player_id", "product_id", "tenant_id"),
        ForeignKeyConstraint(["player_id", "tenant_id"], ["players.id", "players.tenant_id"]),
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        ForeignKeyConstraint(["product_id", "tenant_id"], ["products.id", "products.tenant_id"]),
        ForeignKeyConstraint(["order_id", "tenant_id"], ["orders.id", "orders.tenant_id"]),
        CheckConstraint(one_of("status", LinkStatus), name="status_known"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        CheckConstraint("product_id is not null or order_id is not null", name="is_about_something"),
        Index("uq_payment_links_order_id", "order_id", unique=True, postgresql_where=sql("product_id is null")),
        Index("ix_payment_links_order_id", "order_id"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    player_id: Mapped[int]
    parent_id: Mapped[int]
    product_id: Mapped[int | None]
    description: Mapped[str] = mapped_column(server_default="")
    amount_cents: Mapped[int]
    stripe_payment_link_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_payment_link_url: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=LinkStatus.ACTIVE)
    order_id: Mapped[int | None]
    paid_at: Mapped[datetime | None]
    # When Stripe confirmed that the link is closed.
    deactivated_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class RetiredLink(Base):
    """A Stripe link that another one took the place of. Late payments through it still find their order."""

    __tablename__ = "retired_links"
    __table_args__ = (Index("ix_retired_links_order_id", "order_id"),)

    stripe_payment_link_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[TenantId]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    amount_cents: Mapped[int]
    reason: Mapped[str]
    retired_at: Mapped[CreatedAt]
    deactivated_at: Mapped[datetime | None]


class Payment(Base):
    """Money in (positive) or back (negative, a refund). Append-only."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint(one_of("method", PaymentMethod), name="method_known"),
        CheckConstraint("amount_cents <> 0", name="amount_not_zero"),
        Index("ix_payments_order_id", "order_id"),
        Index("ix_payments_created_at", "created_at"),
        # Stripe tells of a payment more than once and through several events: it is recorded once.
        Index(
            "uq_payments_stripe_payment_intent_id",
            "stripe_payment_intent_id",
            unique=True,
            postgresql_where=sql("stripe_refund_id is null"),
        ),
        Index(
            "uq_payments_stripe_refund_id",
            "stripe_refund_id",
            sql("(amount_cents < 0)"),
            unique=True,
            postgresql_where=sql("stripe_refund_id is not null"),
        ),
        # Undone once; and what a person recorded with one press of a button is recorded once.
        Index("uq_payments_voids_payment_id", "voids_payment_id", unique=True),
        Index("uq_payments_request_key", "request_key", unique=True),
        CheckConstraint(
            "stripe_payment_intent_id is null or voids_payment_id is null", name="stripe_payments_are_refunded"
        ),
    )

    id: Mapped[PrimaryKey]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    amount_cents: Mapped[int]
    method: Mapped[str]
    stripe_payment_intent_id: Mapped[str | None]
    stripe_refund_id: Mapped[str | None]
    recorded_by: Mapped[str] = mapped_column(server_default="stripe")
    # A check's number, or why a debt was waived.
    reference: Mapped[str | None]
    # The payment, recorded by a person, that this entry undoes.
    voids_payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    request_key: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class CheckoutAttempt(Base):
    """What is known of one Checkout Session of an order."""

    __tablename__ = "checkout_attempts"
    __table_args__ = (
        CheckConstraint(one_of("status", AttemptStatus), name="status_known"),
        Index("ix_checkout_attempts_order_id", "order_id"),
    )

    stripe_checkout_session_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    stripe_payment_intent_id: Mapped[str | None]
    status: Mapped[str]
    created_at: Mapped[CreatedAt]


class StripeRefund(Base):
    """What Stripe last said of a refund; it may be told before the payment it gives back."""

    __tablename__ = "stripe_refunds"
    __table_args__ = (Index("ix_stripe_refunds_stripe_payment_intent_id", "stripe_payment_intent_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    stripe_payment_intent_id: Mapped[str]
    amount_cents: Mapped[int]
    status: Mapped[str]
    # Events that told of it before its payment was known: they are applied with that.
    waiting_event_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'::text[]"))
    created_at: Mapped[CreatedAt]


class StripeDispute(Base):
    """What Stripe last said of a dispute; it may be told before the payment it is about."""

    __tablename__ = "stripe_disputes"
    __table_args__ = (Index("ix_stripe_disputes_stripe_payment_intent_id", "stripe_payment_intent_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    stripe_payment_intent_id: Mapped[str]
    amount_cents: Mapped[int]
    status: Mapped[str]
    reason: Mapped[str]
    evidence_due_by: Mapped[datetime | None]
    # Events that told of it before its payment was known: they are applied with that.
    waiting_event_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'::text[]"))
    created_at: Mapped[CreatedAt]


class RefundRequest(Base):
    """A refund that an admin asked for; Stripe's own webhook then says whether it went through."""

    __tablename__ = "refund_requests"
    __table_args__ = (
        CheckConstraint(one_of("status", RefundStatus), name="status_known"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"), unique=True)
    amount_cents: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=RefundStatus.REQUESTED)
    stripe_refund_id: Mapped[str | None]
    requested_by: Mapped[str]
    # Asked again after a refusal: Stripe would repeat its no under the same idempotency key.
    attempt: Mapped[int] = mapped_column(server_default=sql("1"))
    # What Stripe said when it refused or, while requested, why it could not be asked yet.
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
