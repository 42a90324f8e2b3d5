"""What was told to whom: mails, blasts and notices."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, PrimaryKey, TenantId, one_of
from core.models.statuses import BlastStatus, EmailStatus, EmailType, NoticeStatus, RecipientStatus


class Blast(Base):
    """One mailing to many families, sent after somebody approved it."""

    __tablename__ = "blasts"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        CheckConstraint(one_of("status", BlastStatus), name="status_known"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=BlastStatus.DRAFT)
    requested_by: Mapped[str]
    approved_by: Mapped[str | None]
    canceled_by: Mapped[str | None]
    # Who it reaches, as the audience's own parameters, e.g. {"team_id": 3}.
    audience: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    note: Mapped[str] = mapped_column(server_default="")
    total_cents: Mapped[int] = mapped_column(server_default=sql("0"))
    slack_channel: Mapped[str | None]
    slack_ts: Mapped[str | None]
    progress_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class BlastRecipient(Base):
    """One family of a blast; frozen with the draft, claimed before its mail is handed over."""

    __tablename__ = "blast_recipients"
    __table_args__ = (
        CheckConstraint(one_of("status", RecipientStatus), name="status_known"),
        Index("ix_blast_recipients_blast_id_status", "blast_id", "status"),
    )

    blast_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("blasts.id"), primary_key=True)
    parent_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("parents.id"), primary_key=True)
    status: Mapped[str] = mapped_column(server_default=RecipientStatus.PENDING)
    # Why it was skipped or failed, in words for people.
    error: Mapped[str | None]
    total_cents: Mapped[int] = mapped_column(server_default=sql("0"))
    attempts: Mapped[int] = mapped_column(server_default=sql("0"))


class EmailLog(Base):
    """One attempt at one mail."""

    __tablename__ = "email_logs"
    __table_args__ = (
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        CheckConstraint(one_of("email_type", EmailType), name="email_type_known"),
        CheckConstraint(one_of("status", EmailStatus), name="status_known"),
        Index("ix_email_logs_parent_id_created_at", "parent_id", "created_at"),
        Index("ix_email_logs_blast_id", "blast_id", postgresql_where=sql("blast_id is not null")),
        Index("ix_email_logs_created_at", "created_at"),
        # A payment has one receipt for each guardian; further tries have a higher number.
        Index(
            "uq_email_logs_receipt",
            "payment_id",
            "parent_id",
            "attempt",
            unique=True,
            postgresql_where=sql("payment_id is not null"),
        ),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    parent_id: Mapped[int | None]
    email_type: Mapped[str]
    to_address: Mapped[str]
    subject: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=EmailStatus.QUEUED)
    message_id: Mapped[str | None]
    error: Mapped[str | None]
    blast_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("blasts.id"))
    # What a receipt is about.
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    # What the mail lists: a re-send of the same items within a minute is refused.
    order_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=sql("'{}'::bigint[]"))
    attempt: Mapped[int] = mapped_column(server_default=sql("1"))
    requested_by: Mapped[str | None]
    # What led to it, as the log has it (`core.traces`).
    trace: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class Notice(Base):
    """Something the club's channel is told once; the text is made from the facts when it is posted."""

    __tablename__ = "notices"
    __table_args__ = (
        # The key names the fact (a payment, a refund): told once, however often it is heard.
        UniqueConstraint("tenant_id", "key"),
        CheckConstraint(one_of("status", NoticeStatus), name="status_known"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    kind: Mapped[str]
    key: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(server_default=NoticeStatus.QUEUED)
    slack_channel: Mapped[str | None]
    slack_ts: Mapped[str | None]
    error: Mapped[str | None]
    # What led to it, as the log has it (`core.traces`).
    trace: Mapped[str | None]
    created_at: Mapped[CreatedAt]
