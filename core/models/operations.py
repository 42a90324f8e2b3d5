"""What happened: Stripe's events, people's changes, failed jobs, and the pace of calls."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, PrimaryKey, TenantId, one_of
from core.models.statuses import EventOutcome, UnmatchedStatus


class StripeEvent(Base):
    """A verified event of Stripe, stored under its own id: heard twice, applied once."""

    __tablename__ = "stripe_events"
    __table_args__ = (
        CheckConstraint(one_of("outcome", EventOutcome), name="outcome_known"),
        Index(
            "ix_stripe_events_attention",
            "received_at",
            postgresql_where=sql("outcome in ('unmatched', 'failed')"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    # The bytes as they came: jsonb refuses a signed body that holds \u0000.
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[CreatedAt]
    processed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[str | None]


class UnmatchedPayment(Base):
    """A payment that no order could be found for; somebody picks the order in Slack."""

    __tablename__ = "unmatched_payments"
    __table_args__ = (
        CheckConstraint(one_of("status", UnmatchedStatus), name="status_known"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    stripe_event_id: Mapped[str] = mapped_column(ForeignKey("stripe_events.id"))
    stripe_checkout_session_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_payment_intent_id: Mapped[str] = mapped_column(unique=True)
    amount_cents: Mapped[int]
    currency: Mapped[str]
    method: Mapped[str]
    payer_name: Mapped[str | None]
    payer_email: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=UnmatchedStatus.OPEN)
    matched_order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("orders.id"))
    matched_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class AuditLog(Base):
    """Every change a person made: who, what, before and after. Append-only."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_tenant_id_created_at", "tenant_id", "created_at"),)

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class JobFailure(Base):
    """A background job's exception; the queue itself keeps none."""

    __tablename__ = "job_failures"
    __table_args__ = (
        Index("ix_job_failures_created_at", "created_at"),
        Index("ix_job_failures_job_id", "job_id"),
    )

    id: Mapped[PrimaryKey]
    # Whose job it was, where that is known.
    tenant_id: Mapped[int | None]
    job_id: Mapped[int]
    task: Mapped[str]
    attempt: Mapped[int]
    reference: Mapped[str]
    error: Mapped[str]
    # The same for people, where it is an expected failure.
    words: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class RateSlot(Base):
    """When the next call to a paced outside service may start; one row a key, shared by all processes."""

    __tablename__ = "rate_slots"

    key: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime]
