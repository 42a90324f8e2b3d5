"""When families are reminded, what was done of it, and who is left alone for a while."""

from datetime import date, datetime, time
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Time,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, PrimaryKey, TenantId, one_of
from core.models.statuses import ReminderRunStatus


class ReminderRule(Base):
    """A club's reminders; off until somebody switches them on. Times and days are the club's own."""

    __tablename__ = "reminder_rules"
    __table_args__ = (
        CheckConstraint("min_gap_days >= 0", name="gap_not_negative"),
        CheckConstraint(
            "weekdays <@ array[1, 2, 3, 4, 5, 6, 7]::smallint[] and cardinality(weekdays) > 0",
            name="weekdays_known",
        ),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenants.id"), primary_key=True)
    is_on: Mapped[bool] = mapped_column(server_default=sql("false"))
    needs_approval: Mapped[bool] = mapped_column(server_default=sql("true"))
    days_before: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default=sql("'{3}'::smallint[]"))
    days_after: Mapped[list[int]] = mapped_column(
        ARRAY(SmallInteger), server_default=sql("'{1,7,14}'::smallint[]")
    )
    # ISO weekdays, Monday is 1.
    weekdays: Mapped[list[int]] = mapped_column(
        ARRAY(SmallInteger), server_default=sql("'{1,2,3,4,5}'::smallint[]")
    )
    send_at: Mapped[time] = mapped_column(Time, server_default=sql("'09:00'::time"))
    # No mail of a reminder goes out between these, however late a run is; the first may be after the second.
    quiet_from: Mapped[time] = mapped_column(Time, server_default=sql("'20:00'::time"))
    quiet_until: Mapped[time] = mapped_column(Time, server_default=sql("'08:00'::time"))
    # Days between two mails to a family, whoever asked for them.
    min_gap_days: Mapped[int] = mapped_column(SmallInteger, server_default=sql("2"))
    # The last day whose reminders were dealt with: what was missed is caught up once from here.
    done_through: Mapped[date | None] = mapped_column(Date)
    # Families who still wait since an earlier day, having been mailed just before: {"parent id": "that day"}.
    waiting: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))


class ReminderRun(Base):
    """One day's reminders of a club: made once, however many processes try."""

    __tablename__ = "reminder_runs"
    __table_args__ = (CheckConstraint(one_of("status", ReminderRunStatus), name="status_known"),)

    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenants.id"), primary_key=True)
    run_on: Mapped[date] = mapped_column(Date, primary_key=True)
    blast_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("blasts.id"))
    status: Mapped[str]
    # Who waits after it; becomes the rules' own once the run is settled, that is decided about.
    waiting: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    created_at: Mapped[CreatedAt]


class FamilyHold(Base):
    """A family that gets no reminders for now, e.g. because somebody talks with them."""

    __tablename__ = "family_holds"
    __table_args__ = (
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        CheckConstraint("reason <> ''", name="reason_given"),
        Index("uq_family_holds_parent_id", "parent_id", unique=True, postgresql_where=sql("lifted_at is null")),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    parent_id: Mapped[int]
    # The last day of the hold; without one it lasts until somebody lifts it.
    until: Mapped[date | None] = mapped_column(Date)
    reason: Mapped[str]
    created_by: Mapped[str]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]
