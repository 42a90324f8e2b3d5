"""What Stripe tells of money going back: refunds and disputes, which may be told before the payment itself."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute

from core.models import StripeDispute, StripeRefund
from core.models.statuses import EventOutcome
from core.notices import NoticeKind, announce
from core.order_matching import order_of_payment_intent
from core.payments import LockedOrder, lock_named_order, lock_order, refresh_status, settle_refunds
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
    if status == "succeeded":
        facts = {"order_id": order.id, "refund_id": refund.id, "amount_cents": refund.amount}
        await announce(context.conn, context.jobs, order.tenant_id, NoticeKind.REFUND, refund.id, facts)
    return EventOutcome.APPLIED


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
        return EventOutcome.UNMATCHED
    await refresh_status(context.conn, order, context.reason)
    await _announce_dispute(context, order, dispute)
    return EventOutcome.APPLIED


async def _announce_dispute(context: EventContext, order: LockedOrder, dispute: Dispute) -> None:
    facts: dict[str, Any] = {
        "order_id": order.id,
        "dispute_id": dispute.id,
        "amount_cents": dispute.amount,
        "reason": dispute.reason,
        "status": dispute.status,
        "due_by": dispute.evidence_due_by.isoformat() if dispute.evidence_due_by else None,
    }
    is_over = dispute.status in DISPUTE_RUNGS[-1]
    kind = NoticeKind.DISPUTE_CLOSED if is_over else NoticeKind.DISPUTE_OPENED
    await announce(context.conn, context.jobs, order.tenant_id, kind, dispute.id, facts)


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
