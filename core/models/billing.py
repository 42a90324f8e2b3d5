"""Products, tournaments, instalment plans and orders: what families owe."""

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
    Category,
    EntryStatus,
    OrderStatus,
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
            postgresql_where=sql("category = 'monthly' and period is not null and share_of is null"),
        ),
        Index(
            "uq_products_item",
            "tenant_id",
            "category",
            "name",
            "price_cents",
            unique=True,
            postgresql_where=sql("category in ('jersey', 'tryout', 'generic') and share_of is null"),
        ),
        ForeignKeyConstraint(["share_of", "tenant_id"], ["products.id", "products.tenant_id"]),
        Index("uq_products_share_of", "share_of", unique=True, postgresql_where=sql("share_of is not null")),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    category: Mapped[str]
    name: Mapped[str]
    price_cents: Mapped[int]
    period: Mapped[str | None]
    currency: Mapped[Currency]
    # The product whose fee two guardians share, where this is the second one's part of it: each part has an order
    # and a link of its own, and a link belongs to a player and a product.
    share_of: Mapped[int | None]
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
        Index("ix_tournament_products_product_id", "product_id"),
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


class InstalmentPlan(Base):
    """A fee that one family pays in parts: each part is an order with its own date and link."""

    __tablename__ = "instalment_plans"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        # Planning the same thing twice plans it once.
        UniqueConstraint("tenant_id", "player_id", "parent_id", "category", "name"),
        ForeignKeyConstraint(["player_id", "tenant_id"], ["players.id", "players.tenant_id"]),
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        CheckConstraint(one_of("category", Category), name="category_known"),
        CheckConstraint("instalments between 2 and 60", name="instalments_sensible"),
        CheckConstraint("total_cents >= 0", name="total_not_negative"),
        Index("ix_instalment_plans_parent_id", "parent_id"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    player_id: Mapped[int]
    parent_id: Mapped[int]
    category: Mapped[str]
    name: Mapped[str]
    total_cents: Mapped[int]
    # How many parts there are; a late joiner has fewer than the club planned.
    instalments: Mapped[int]
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
        ForeignKeyConstraint(
            ["instalment_plan_id", "tenant_id"], ["instalment_plans.id", "instalment_plans.tenant_id"]
        ),
        CheckConstraint(
            "(instalment_plan_id is null) = (instalment_number is null)", name="instalment_is_numbered"
        ),
        Index(
            "uq_orders_instalment",
            "instalment_plan_id",
            "instalment_number",
            unique=True,
            postgresql_where=sql("instalment_plan_id is not null and status <> 'canceled'"),
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
    instalment_plan_id: Mapped[int | None]
    instalment_number: Mapped[int | None]
    # What nobody asks for in a query, e.g. why an amount is special; never shown to families.
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
