"""What Stripe tells of money going back: refunds and disputes, which may be told before the payment itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, case, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from core.club import only_club
from core.jobs import JobQueue
from core.models import Payment, StripeDispute, StripeRefund
from core.models.statuses import EventOutcome
from core.notices import NoticeKind, announce
from core.order_matching import order_of_payment_intent
from core.payments import (
    LockedOrder,
    lock_named_order,
    lock_order,
    refresh_status,
    settle_disputes,
    settle_refunds,
)
from core.stripe_context import EventContext
from core.stripe_objects import Dispute, Refund

# Later words win over earlier ones, in whatever order they arrive; words on one rung may follow each other.
REFUND_RUNGS: Sequence[Sequence[str]] = (
    ("pending", "requires_action"),
    ("succeeded",),
    ("failed", "canceled"),
)
DISPUTE_RUNGS: Sequence[Sequence[str]] = (
    ("warning_needs_response", "needs_response"),
    ("warning_under_review", "under_review"),
    ("won", "lost", "warning_closed", "prevented"),
)


async def on_refund(context: EventContext, refund: Refund) -> EventOutcome:
    """A refund was made, changed or failed."""
    if refund.payment_intent is None:
        return EventOutcome.UNMATCHED
    await lock_named_order(context.conn, refund.payment_intent, None, None)
    order = await _order(context, refund.payment_intent)
    status = refund.status or "pending"
    await context.conn.execute(
        _keep(
            StripeRefund,
            StripeRefund.status,
            REFUND_RUNGS,
            id=refund.id,
            stripe_payment_intent_id=refund.payment_intent,
            amount_cents=refund.amount,
            status=status,
            created_at=context.created,
        )
    )
    if order is None:
        return EventOutcome.UNMATCHED
    await settle_refunds(context.conn, refund.payment_intent)
    await refresh_status(context.conn, order, context.reason)
    await _announce_refund(context, order, refund, status)
    return EventOutcome.APPLIED


async def _announce_refund(context: EventContext, order: LockedOrder, refund: Refund, status: str) -> None:
    facts: dict[str, Any] = {"order_id": order.id, "refund_id": refund.id, "amount_cents": refund.amount}
    if status == "succeeded":
        await announce(context.conn, context.jobs, order.tenant_id, NoticeKind.REFUND, refund.id, facts)
    elif status in REFUND_RUNGS[-1]:
        paid = select(Payment.id).where(
            Payment.stripe_payment_intent_id == refund.payment_intent, Payment.stripe_refund_id.is_(None)
        )
        facts["payment_id"] = await context.conn.scalar(paid)
        await announce(context.conn, context.jobs, order.tenant_id, NoticeKind.REFUND_FAILED, refund.id, facts)


async def on_dispute(context: EventContext, dispute: Dispute) -> EventOutcome:
    """A payer's bank asks for the money back, or has decided."""
    if dispute.payment_intent is None:
        return EventOutcome.UNMATCHED
    await lock_named_order(context.conn, dispute.payment_intent, None, None)
    order = await _order(context, dispute.payment_intent)
    await context.conn.execute(
        _keep(
            StripeDispute,
            StripeDispute.status,
            DISPUTE_RUNGS,
            id=dispute.id,
            stripe_payment_intent_id=dispute.payment_intent,
            amount_cents=dispute.amount,
            status=dispute.status,
            reason=dispute.reason,
            evidence_due_by=dispute.evidence_due_by,
            created_at=context.created,
        )
    )
    if order is None:
        await _announce_unknown(context.conn, context.jobs, dispute)
        return EventOutcome.UNMATCHED
    await settle_disputes(context.conn, dispute.payment_intent)
    await refresh_status(context.conn, order, context.reason)
    await _announce_dispute(context.conn, context.jobs, order, dispute)
    return EventOutcome.APPLIED


async def catch_up_on_disputes(
    conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, payment_intent_id: str
) -> None:
    """Deal with the disputes of a payment that was heard of after them: their deadlines run all the same."""
    await settle_disputes(conn, payment_intent_id)
    rows = await conn.execute(
        select(
            StripeDispute.id,
            StripeDispute.amount_cents.label("amount"),
            StripeDispute.status,
            StripeDispute.reason,
            StripeDispute.evidence_due_by,
        ).where(StripeDispute.stripe_payment_intent_id == payment_intent_id)
    )
    for row in rows:
        await _announce_dispute(conn, jobs, order, row)


async def _announce_unknown(conn: AsyncConnection, jobs: JobQueue, dispute: Dispute) -> None:
    """Tell of a dispute whose payment is not in the books, where it is clear whose channel it concerns."""
    tenant_id = await only_club(conn)
    if tenant_id is not None and dispute.status not in DISPUTE_RUNGS[-1]:
        await announce(conn, jobs, tenant_id, NoticeKind.UNKNOWN_DISPUTE, dispute.id, _dispute_facts(dispute))


class _ToldDispute(Protocol):
    """A dispute as Stripe tells of it, or as it was written down."""

    @property
    def id(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def evidence_due_by(self) -> datetime | None: ...


def _dispute_facts(dispute: _ToldDispute) -> dict[str, Any]:
    return {
        "dispute_id": dispute.id,
        "amount_cents": dispute.amount,
        "reason": dispute.reason,
        "status": dispute.status,
        "due_by": dispute.evidence_due_by.isoformat() if dispute.evidence_due_by else None,
    }


async def _announce_dispute(
    conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, dispute: _ToldDispute
) -> None:
    facts = {"order_id": order.id} | _dispute_facts(dispute)
    is_over = dispute.status in DISPUTE_RUNGS[-1]
    kind = NoticeKind.DISPUTE_CLOSED if is_over else NoticeKind.DISPUTE_OPENED
    await announce(conn, jobs, order.tenant_id, kind, dispute.id, facts)


async def _order(context: EventContext, payment_intent_id: str) -> LockedOrder | None:
    order_id = await order_of_payment_intent(context.conn, payment_intent_id)
    return None if order_id is None else await lock_order(context.conn, order_id)


def _keep(
    table: type[StripeRefund] | type[StripeDispute],
    known_status: InstrumentedAttribute[str],
    rungs: Sequence[Sequence[str]],
    **values: object,
) -> Any:  # noqa: ANN401 - SQLAlchemy's own statement type has no parameter that fits both tables
    """Return the statement that writes a fact down, unless something later is known already."""
    statement = upsert(table).values(**values)
    changes = {key: value for key, value in values.items() if key not in {"id", "created_at"}}
    return statement.on_conflict_do_update(
        index_elements=[table.id],
        set_=changes,
        where=_rung(known_status, rungs) <= _rung_of(str(values["status"]), rungs),
    )


def _rung(status: InstrumentedAttribute[str], rungs: Sequence[Sequence[str]]) -> ColumnElement[int]:
    known = {word: rung for rung, words in enumerate(rungs) for word in words}
    return case(known, value=status, else_=0)


def _rung_of(status: str, rungs: Sequence[Sequence[str]]) -> int:
    return next((rung for rung, words in enumerate(rungs) if status in words), 0)
