"""The plainest of payments, many at a time: an untouched order, paid in full, by card, for the first time.

Nearly every event is one of these, and they come in bursts when a blast went out. Those that arrive together are
stored, applied, announced and followed up in one transaction with a fixed number of statements. Nothing here waits
for a lock, and whatever is not as plain as that is left to `core.stripe_events`, one by one: both lead to the same
rows, which a test compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from itertools import accumulate
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.batches import Batches
from core.clock import Clock
from core.database import Database
from core.fees import FEE_RULES
from core.jobs import FollowUp, JobQueue
from core.order_matching import named_in
from core.prepared import prepared
from core.stripe_objects import CheckoutSession, Envelope

EVENT_TYPE = "checkout.session.completed"


@dataclass(frozen=True, slots=True)
class PlainPayment:
    """An event that says that a session was paid, and names its order. Amount in cents, `created` in UTC."""

    event_id: str
    raw: bytes
    # The connected Stripe account that it happened on; None: the key's own.
    account: str | None
    created: datetime
    order_id: int
    tenant_id: int | None
    session_id: str
    payment_key: str
    link_id: str | None
    amount_cents: int
    currency: str | None


class Settled(Enum):
    """What became of an event here."""

    APPLIED = "applied"
    # It had been applied before.
    KNOWN = "known"
    # It needs a closer look; it is kept as failed until it had that.
    LEFT = "left"


def read_plain(event: dict[str, Any], raw: bytes) -> PlainPayment | None:
    """Return what a verified event says, where it may be a plain payment."""
    if event["type"] != EVENT_TYPE:
        return None
    try:
        envelope = Envelope.model_validate(event)
        session = CheckoutSession.model_validate(envelope.data.object)
    except ValidationError:
        return None
    named = named_in(session)
    if not session.is_paid or not session.amount_total or named.order_id is None:
        return None
    return PlainPayment(
        event_id=event["id"],
        raw=raw,
        account=event.get("account"),
        created=envelope.created,
        order_id=named.order_id,
        tenant_id=named.tenant_id,
        session_id=session.id,
        payment_key=session.payment_key,
        link_id=session.payment_link,
        amount_cents=session.amount_total,
        currency=session.currency,
    )


# Locks that are not free at once are left to others, so that a batch never waits for a single event and holds
# nothing up while it does. The intent is locked before the order, as everywhere.
_TAKE = prepared(
    f"""
    with given as (
        select * from jsonb_to_recordset(cast(:payments as jsonb)) as g (
            event_id text, payment_key text, order_id bigint, tenant_id bigint, account text,
            body_at integer, body_bytes integer
        )
    ),
    stored as (
        insert into stripe_events as known (id, type, payload, received_at, processed_at, outcome)
        select event_id, '{EVENT_TYPE}', substring(cast(:bodies as bytea) from body_at for body_bytes),
            :now, :now, 'applied'
        from given order by event_id
        on conflict (id) do update set processed_at = excluded.processed_at, outcome = 'applied', error = null
        where known.outcome = 'failed'
        returning id
    ),
    free as materialized (
        select g.* from stored join given g on g.event_id = stored.id
        where pg_try_advisory_xact_lock(hashtextextended(g.payment_key, 0))
    ),
    locked as materialized (
        select f.event_id from free f join orders o
            on o.id = f.order_id and o.tenant_id = coalesce(f.tenant_id, o.tenant_id) and o.status = 'pending'
            -- No account's word counts for another's clubs.
            and exists (
                select from tenants t
                where t.id = o.tenant_id and t.stripe_account_id is not distinct from f.account
            )
        for update of o skip locked
    )
    select stored.id, locked.event_id is not null as is_locked
    from stored left join locked on locked.event_id = stored.id
""",
    "id",
    "is_locked",
)

# A statement of its own: it has to see what was committed while the rows were being locked.
_SETTLE = prepared(
    """
    with given as (
        select * from jsonb_to_recordset(cast(:payments as jsonb)) as g (
            event_id text, order_id bigint, session_id text, payment_key text, link_id text, amount_cents bigint,
            currency text, created timestamptz
        )
    ),
    plain as materialized (
        select g.*, o.tenant_id,
            coalesce((select category from products p where p.id = o.product_id) = any(:closing), false) as closes
        from given g join orders o on o.id = g.order_id
        where o.status = 'pending' and o.amount_cents = g.amount_cents
            and o.currency = coalesce(g.currency, o.currency)
            -- Each by its index (`offset 0` keeps them from becoming joins): tables that fill up are read from one
            -- end to the other while their statistics still say that they are empty.
            and not exists (select from payments where order_id = g.order_id offset 0)
            -- Without refunds, which are never alone: the index has none.
            and not exists (
                select from payments where stripe_payment_intent_id = g.payment_key and stripe_refund_id is null
                offset 0
            )
            and not exists (
                select from checkout_attempts where order_id = g.order_id and status = 'processing' offset 0
            )
            and not exists (select from checkout_attempts where stripe_checkout_session_id = g.session_id offset 0)
            and not exists (select from stripe_refunds where stripe_payment_intent_id = g.payment_key offset 0)
            and not exists (select from stripe_disputes where stripe_payment_intent_id = g.payment_key offset 0)
            and not exists (
                select from payment_links where stripe_payment_link_id = g.link_id and order_id is null offset 0
            )
    ),
    attempt as (
        insert into checkout_attempts (stripe_checkout_session_id, order_id, stripe_payment_intent_id, status)
        select session_id, order_id, payment_key, 'succeeded' from plain
    ),
    payment as (
        insert into payments (order_id, amount_cents, method, stripe_payment_intent_id, created_at)
        select order_id, amount_cents, 'card', payment_key, created from plain
        returning id, order_id
    ),
    paid as (
        update orders o set status = 'paid', paid_at = p.created,
            stripe_payment_intent_id = p.payment_key, stripe_checkout_session_id = p.session_id
        from plain p where o.id = p.order_id
    ),
    history as (
        insert into order_history (order_id, from_status, to_status, reason)
        select order_id, 'pending', 'paid', 'stripe:' || event_id from plain
    ),
    link as (
        update payment_links l set paid_at = :now, status = case when p.closes then 'paid' else l.status end
        from plain p where l.order_id = p.order_id and l.paid_at is null
        returning l.order_id, l.stripe_payment_link_id
    ),
    notice as (
        insert into notices (tenant_id, kind, key, trace, facts)
        select p.tenant_id, 'payment', 'payment:' || p.payment_key, p.event_id, jsonb_build_object(
            'order_id', p.order_id, 'payment_id', payment.id, 'amount_cents', p.amount_cents, 'method', 'card'
        )
        from plain p join payment on payment.order_id = p.order_id
        on conflict do nothing
        returning id, key
    )
    select p.event_id, p.tenant_id, payment.id as payment_id, notice.id as notice_id,
        case when p.closes then
            array(
                select stripe_payment_link_id from link
                where link.order_id = p.order_id and stripe_payment_link_id is not null
                union select p.link_id where p.link_id is not null
            )
        else '{}' end as links_to_close
    from plain p
    join payment on payment.order_id = p.order_id
    left join notice on notice.key = 'payment:' || p.payment_key
""",
    "event_id",
    "tenant_id",
    "payment_id",
    "notice_id",
    "links_to_close",
)

# `core.stripe_events` takes in again what is kept like that; should that never come, Stripe delivers it again.
_LEAVE = text("update stripe_events set outcome = 'failed', error = 'needs a closer look' where id = any(:ids)")

_IN_JSON = [field.name for field in fields(PlainPayment) if field.name != "raw"]
_CLOSING = [str(category) for category, rule in FEE_RULES.items() if rule.closes_when_paid]


class PlainPayments:
    """Settles plain payments, those that come together in one transaction."""

    def __init__(self, database: Database, jobs: JobQueue, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._batches = Batches[PlainPayment, Settled](
            self._settle, lambda each: (each.event_id, each.order_id, each.payment_key)
        )

    async def settle(self, payment: PlainPayment) -> Settled | None:
        """Store an event and apply it; committed when this returns. None where nothing was done."""
        return await self._batches.add(payment)

    async def _settle(self, payments: Sequence[PlainPayment]) -> list[Settled]:
        async with self._database.transaction() as conn:
            taken = await self._take(conn, payments)
            locked = [each for each in payments if taken.get(each.event_id)]
            rows = await self._apply(conn, locked) if locked else []
            applied = {row.event_id for row in rows}
            left = taken.keys() - applied
            if left:
                await conn.execute(_LEAVE, {"ids": list(left)})
            await self._follow_up(conn, rows)
        return [_what_became(each.event_id, applied, left) for each in payments]

    async def _take(self, conn: AsyncConnection, payments: Sequence[PlainPayment]) -> dict[str, bool]:
        """Store the events that are new; returns those, and whether their orders are free to be paid."""
        bodies = b"".join(payment.raw for payment in payments)
        rows = await _TAKE.rows(conn, payments=_as_json(payments), bodies=bodies, now=self._clock())
        return {row.id: row.is_locked for row in rows}

    async def _apply(self, conn: AsyncConnection, payments: Sequence[PlainPayment]) -> list[Any]:
        return await _SETTLE.rows(conn, payments=_as_json(payments), now=self._clock(), closing=_CLOSING)

    async def _follow_up(self, conn: AsyncConnection, rows: Sequence[Any]) -> None:
        # Each job belongs to its own event, whichever request the batch runs in.
        after = [
            FollowUp(row.tenant_id, row.event_id, row.payment_id, row.notice_id, row.links_to_close)
            for row in rows
        ]
        await self._jobs.follow_up_payments(conn, after)


def _as_json(payments: Sequence[PlainPayment]) -> str:
    """Return everything but the bodies: one parameter costs the driver far less than a list for each column.

    The bodies are one parameter too; the rows say where theirs begins, counted from 1, and how long it is.
    """
    lengths = [len(payment.raw) for payment in payments]
    begins = accumulate(lengths, initial=1)
    rows = [
        {name: getattr(payment, name) for name in _IN_JSON} | {"body_at": begin, "body_bytes": length}
        for payment, begin, length in zip(payments, begins, lengths, strict=False)
    ]
    return orjson.dumps(rows).decode()


def _what_became(event_id: str, applied: set[str], left: set[str]) -> Settled:
    if event_id in applied:
        return Settled.APPLIED
    return Settled.LEFT if event_id in left else Settled.KNOWN
