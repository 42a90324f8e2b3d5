"""What comparing our books with Stripe's found."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, PrimaryKey, TenantId, one_of
from core.models.statuses import FindingStatus


class ReconcileRun(Base):
    """One comparison of a club's books with Stripe's."""

    __tablename__ = "reconcile_runs"
    __table_args__ = (
        Index("ix_reconcile_runs_tenant_id_created_at", "tenant_id", "created_at"),
        # Every night compares once, however many processes run.
        Index(
            "uq_reconcile_runs_night", "tenant_id", "night", unique=True, postgresql_where=sql("night is not null")
        ),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    # What was looked at, by kind, e.g. {"events": 812, "links": 2931}.
    looked_at: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    # The night (UTC) that it was run for; null where somebody asked for it. Only a night's is told in Slack.
    night: Mapped[date | None] = mapped_column(Date)
    # What its message in Slack lists, also once a later run has found the same again.
    finding_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=sql("'{}'::bigint[]"))
    finished_at: Mapped[datetime | None]
    slack_channel: Mapped[str | None]
    slack_ts: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class ReconcileFinding(Base):
    """One difference. The same difference found again by a later run is the same row."""

    __tablename__ = "reconcile_findings"
    __table_args__ = (
        CheckConstraint(one_of("status", FindingStatus), name="status_known"),
        Index(
            "uq_reconcile_findings_open",
            "tenant_id",
            "kind",
            "key",
            unique=True,
            postgresql_where=sql("status in ('open', 'failed')"),
        ),
        Index("ix_reconcile_findings_run_id", "run_id"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    # The last run that found it.
    run_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("reconcile_runs.id"))
    kind: Mapped[str]
    # What it is about: an event's, a session's, a link's or an order's id.
    key: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    status: Mapped[str] = mapped_column(server_default=FindingStatus.OPEN)
    error: Mapped[str | None]
    # Of an open one: who is having it repaired right now.
    resolved_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
