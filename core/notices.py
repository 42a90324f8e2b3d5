"""What the club's payments channel is told, each fact once.

A notice is a row with the fact's own key, written in the transaction that establishes the fact; a job posts it.
Its text is made when it is posted, from what is true then.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.jobs import JobQueue
from core.models import Notice
from core.traces import current_trace


class NoticeKind(StrEnum):
    """What a notice is about; `facts` holds the ids and amounts named here."""

    # order_id, payment_id, amount_cents, method, over_cents (what came in beyond the amount, if anything)
    PAYMENT = "payment"
    # the same; the item had been paid before
    SECOND_PAYMENT = "second_payment"
    # order_id, payment_id, amount_cents, method, actor, check_number (checks only): a person recorded it
    RECORDED = "recorded"
    # order_id, payment_id, amount_cents, method, actor: what a person had recorded was taken back
    UNDONE = "undone"
    # order_id, amount_cents: a bank debit is under way
    PROCESSING = "processing"
    # order_id, amount_cents: a bank debit came back
    PAYMENT_FAILED = "payment_failed"
    # order_id, refund_id, amount_cents
    REFUND = "refund"
    # the same, payment_id (null where only the order is known); the bank sent the money back to the club
    REFUND_FAILED = "refund_failed"
    # order_id, dispute_id, amount_cents, reason, due_by (ISO date-time or null)
    DISPUTE_OPENED = "dispute_opened"
    # order_id, dispute_id, amount_cents, status (won, lost, …)
    DISPUTE_CLOSED = "dispute_closed"
    # dispute_id, amount_cents, reason, due_by: of a payment that is not in the books
    UNKNOWN_DISPUTE = "unknown_dispute"
    # unmatched_id
    UNMATCHED = "unmatched"
    # event_id, event_type: what Stripe told could not be read
    UNREADABLE_EVENT = "unreadable_event"


# Built once: it runs for every payment.
_ADD = (
    upsert(Notice)
    .values({name: bindparam(name) for name in ("tenant_id", "kind", "key", "facts", "trace")})
    .on_conflict_do_nothing()
    .returning(Notice.id)
)


async def announce(
    conn: AsyncConnection, jobs: JobQueue, tenant_id: int, kind: NoticeKind, key: str, facts: dict[str, Any]
) -> None:
    """Have the channel told of a fact; a fact whose key was announced before is not told again."""
    new: dict[str, Any] = {"tenant_id": tenant_id, "kind": kind.value, "key": f"{kind}:{key}", "facts": facts}
    new["trace"] = current_trace()
    notice_id = await conn.scalar(_ADD, new)
    if notice_id is not None:
        await jobs.post_notices(conn, notice_id)
