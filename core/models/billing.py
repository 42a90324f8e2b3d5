"""Products, orders, links and the money that came in."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Currency, PrimaryKey, TenantId, one_of
from core.models.statuses import (
    AttemptStatus,
    Category,
    EntryStatus,
    LinkStatus,
    OrderStatus,
    PaymentMethod,
)


class Product(Base):
    """Something a family pays for. Monthly fees are one product a price tier and month."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        CheckConstraint(one_of("category", Category), name="category_known"),
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name="period_is_month"),
        Index(
            "uq_products_monthly_tier",
            "tenant_id",
            "period",
            "price_cents",
            unique=True,
            postgresql_where=sql("category = 'monthly' and period is not null"),
        ),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    category: Mapped[str]
    name: Mapped[str]
    price_cents: Mapped[int]
    period: Mapped[str | None]
    currency: Mapped[Currency]
    created_at: Mapped[CreatedAt]


class Tournament(Base):
    """A tournament that teams enter."""

    __tablename__ = "tournaments"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        UniqueConstraint("tenant_id", "name", "starts_on"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    name: Mapped[str]
    starts_on: Mapped[date] = mapped_column(Date)
    created_at: Mapped[CreatedAt]


class TournamentProduct(Base):
    """What a tournament costs a player of one team."""

    __tablename__ = "tournament_products"
    __table_args__ = (
        ForeignKeyConstraint(["tournament_id", "tenant_id"], ["tournaments.id", "tournaments.tenant_id"]),
        ForeignKeyConstraint(["team_id", "tenant_id"], ["teams.id", "teams.tenant_id"]),
        ForeignKeyConstraint(["product_id", "tenant_id"], ["products.id", "products.tenant_id"]),
    )

    tournament_id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int]
    tenant_id: Mapped[TenantId]


class TournamentEntry(Base):
    """A player who is committed to a tournament."""

    __tablename__ = "tournament_entries"
    __table_args__ = (
        UniqueConstraint("tournament_id", "player_id"),
        ForeignKeyConstraint(["tournament_id", "tenant_id"], ["tournaments.id", "tournaments.tenant_id"]),
        ForeignKeyConstraint(["player_id", "tenant_id"], ["players.id", "players.tenant_id"]),
        CheckConstraint(one_of("status", EntryStatus), name="status_known"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    tournament_id: Mapped[int]
    player_id: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=EntryStatus.COMMITTED)
    created_at: Mapped[CreatedAt]


class Order(Base):
    """What a family owes for one product and player. `amount_cents` rules, never the product's price."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        ForeignKeyConstraint(["player_id", "tenant_id"], ["players.id", "players.tenant_id"]),
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        ForeignKeyConstraint(["product_id", "tenant_id"], ["products.id", "products.tenant_id"]),
        CheckConstraint(one_of("status", OrderStatus), name="status_known"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        # Billing the same thing twice bills it once.
        Index(
            "uq_orders_player_product",
            "tenant_id",
            "player_id",
            "product_id",
            unique=True,
            postgresql_where=sql("product_id is not null and status <> 'canceled'"),
        ),
        Index("ix_orders_parent_id", "parent_id"),
        Index("ix_orders_player_id", "player_id"),
        Index("ix_orders_product_id", "product_id"),
        Index("ix_orders_owed", "tenant_id", "parent_id", postgresql_where=sql("status = 'pending'")),
        Index("ix_orders_stripe_checkout_session_id", "stripe_checkout_session_id"),
        Index("ix_orders_stripe_payment_intent_id", "stripe_payment_intent_id"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    player_id: Mapped[int]
    parent_id: Mapped[int]
    product_id: Mapped[int | None]
    description: Mapped[str] = mapped_column(server_default="")
    amount_cents: Mapped[int]
    currency: Mapped[Currency]
    status: Mapped[str] = mapped_column(server_default=OrderStatus.PENDING)
    due_date: Mapped[date | None] = mapped_column(Date)
    stripe_checkout_session_id: Mapped[str | None]
    stripe_checkout_url: Mapped[str | None]
    stripe_payment_intent_id: Mapped[str | None]
    custom_data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    paid_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class OrderHistory(Base):
    """Every status an order went through, and why. Append-only."""

    __tablename__ = "order_history"
    __table_args__ = (Index("ix_order_history_order_id", "order_id"),)

    id: Mapped[PrimaryKey]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[CreatedAt]


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
    )

    id: Mapped[PrimaryKey]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    amount_cents: Mapped[int]
    method: Mapped[str]
    stripe_payment_intent_id: Mapped[str | None]
    stripe_refund_id: Mapped[str | None]
    recorded_by: Mapped[str] = mapped_column(server_default="stripe")
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
    created_at: Mapped[CreatedAt]
