"""What Stripe tells of money going back: refunds and disputes, which may be told before the payment itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

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
        return await _wait_for_payment(context, StripeRefund, refund.id)
    await settle_refunds(context.conn, refund.payment_intent)
    await refresh_status(context.conn, order, context.reason)
    told = _ToldRefund(refund.id, refund.payment_intent, refund.amount, status)
    await _announce_refund(context.conn, context.jobs, order, told)
    return EventOutcome.APPLIED


@dataclass(frozen=True, slots=True)
class _ToldRefund:
    """A refund as Stripe tells of it, or as it was written down; amount in cents."""

    id: str
    payment_intent: str
    amount: int
    status: str


async def _announce_refund(conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, refund: _ToldRefund) -> None:
    facts: dict[str, Any] = {"order_id": order.id, "refund_id": refund.id, "amount_cents": refund.amount}
    if refund.status == "succeeded":
        await announce(conn, jobs, order.tenant_id, NoticeKind.REFUND, refund.id, facts)
    elif refund.status in REFUND_RUNGS[-1]:
        paid = select(Payment.id).where(
            Payment.stripe_payment_intent_id == refund.payment_intent, Payment.stripe_refund_id.is_(None)
        )
        facts["payment_id"] = await conn.scalar(paid)
        await announce(conn, jobs, order.tenant_id, NoticeKind.REFUND_FAILED, refund.id, facts)


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
        await _announce_unknown(context, dispute)
        return await _wait_for_payment(context, StripeDispute, dispute.id)
    await settle_disputes(context.conn, dispute.payment_intent)
    await refresh_status(context.conn, order, context.reason)
    await _announce_dispute(context.conn, context.jobs, order, dispute)
    return EventOutcome.APPLIED


async def _wait_for_payment(
    context: EventContext, table: type[StripeRefund] | type[StripeDispute], told_id: str
) -> EventOutcome:
    """Leave the event to the payment: recording that applies what was told before it, and says so."""
    waiting = func.array_append(table.waiting_event_ids, context.event_id)
    await context.conn.execute(update(table).where(table.id == told_id).values(waiting_event_ids=waiting))
    return EventOutcome.UNMATCHED


async def catch_up_on_returns(
    conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, payment_intent_id: str
) -> None:
    """Tell of the refunds and disputes of a payment that was heard of after them."""
    await _catch_up_on_refunds(conn, jobs, order, payment_intent_id)
    await _catch_up_on_disputes(conn, jobs, order, payment_intent_id)


async def _catch_up_on_refunds(
    conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, payment_intent_id: str
) -> None:
    """Recording the payment has put its refunds into the ledger; here the channel hears of them."""
    rows = await conn.execute(
        select(
            StripeRefund.id, StripeRefund.stripe_payment_intent_id, StripeRefund.amount_cents, StripeRefund.status
        ).where(StripeRefund.stripe_payment_intent_id == payment_intent_id)
    )
    for row in rows:
        await _announce_refund(conn, jobs, order, _ToldRefund(*row))


async def _catch_up_on_disputes(
    conn: AsyncConnection, jobs: JobQueue, order: LockedOrder, payment_intent_id: str
) -> None:
    """Money that was lost is taken off; deadlines of open disputes run all the same."""
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


async def _announce_unknown(context: EventContext, dispute: Dispute) -> None:
    """Tell of a dispute whose payment is not in the books, where it is clear whose channel it concerns."""
    conn, jobs, tenant_id = context.conn, context.jobs, context.only_tenant
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
    return None if order_id is None else await context.own(await lock_order(context.conn, order_id))


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
