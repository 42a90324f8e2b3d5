"""Turns verified Stripe events into changes: stored under their id, applied, and followed up, in one transaction.

Stripe delivers at least once, in any order and for days (https://docs.stripe.com/webhooks#best-practices). The
event's id is the primary key, so a copy changes nothing; what is told is written down as facts from which
statuses are derived, so the order of telling changes nothing either.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.database import Database
from core.jobs import FollowUp, JobQueue
from core.models import StripeEvent
from core.models.statuses import EventOutcome
from core.notices import NoticeKind, announce
from core.payment_links import PaymentLinks
from core.plain_payments import PlainPayments, Settled, read_plain
from core.stripe_checkout import (
    on_session_completed,
    on_session_expired,
    on_session_failed,
    on_session_settled,
)
from core.stripe_context import EventContext
from core.stripe_objects import CheckoutSession, Dispute, Envelope, Refund
from core.stripe_returns import on_dispute, on_refund
from core.tenancy import TENANT_ROLE, TENANT_SETTING, current_tenant, enter_tenant, tenant_scope

Apply = Callable[[EventContext, Any], Awaitable[EventOutcome]]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an event led to; None where it had been stored before, and nothing was done."""

    outcome: EventOutcome | None


# What is not here is stored and otherwise left alone.
HANDLERS: Mapping[str, tuple[type[BaseModel], Apply]] = {
    "checkout.session.completed": (CheckoutSession, on_session_completed),
    "checkout.session.async_payment_succeeded": (CheckoutSession, on_session_settled),
    "checkout.session.async_payment_failed": (CheckoutSession, on_session_failed),
    "checkout.session.expired": (CheckoutSession, on_session_expired),
    "refund.created": (Refund, on_refund),
    "refund.updated": (Refund, on_refund),
    "refund.failed": (Refund, on_refund),
    "charge.dispute.created": (Dispute, on_dispute),
    "charge.dispute.updated": (Dispute, on_dispute),
    "charge.dispute.closed": (Dispute, on_dispute),
}


# Written out because it runs for every event. One that failed before is taken in again.
_STORE = text("""
    insert into stripe_events as known (id, type, payload, received_at, processed_at, outcome)
    values (:id, :type, :payload, :now, :now, 'applied')
    on conflict (id) do update set processed_at = :now, outcome = 'applied', error = null
    where known.outcome = 'failed'
    returning id
""")

# Where one club alone has the account, the transaction is bound to it in the same round trip.
_CLUBS_OF_ACCOUNT = text(f"""
    select clubs.ids, case when cardinality(clubs.ids) = 1 then
        set_config('role', '{TENANT_ROLE}', true) || set_config('{TENANT_SETTING}', clubs.ids[1]::text, true)
    end
    from (
        select array_agg(id) as ids from tenants
        where stripe_account_id is not distinct from cast(:account as text)
    ) as clubs
""")


class StripeEvents:
    """Takes in events, each once."""

    def __init__(self, database: Database, jobs: JobQueue, links: PaymentLinks, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._links = links
        self._clock = clock
        self._plain = PlainPayments(database, jobs, clock)

    async def ingest(self, event: dict[str, Any], raw: bytes) -> Ingested:
        """Store a verified event and apply it; both are committed when this returns.

        An event that can't be read is kept as `failed`: hearing it again won't help. Whatever else goes wrong
        leaves it as `failed` too but is raised, so that Stripe delivers it again, and then it is applied.
        """
        # What comes together belongs to several clubs; work for one of them (a repair) goes its own way.
        plain = read_plain(event, raw) if current_tenant() is None else None
        settled = await self._plain.settle(plain) if plain else None
        if settled is Settled.APPLIED:
            return Ingested(EventOutcome.APPLIED)
        if settled is Settled.KNOWN:
            return Ingested(None)
        with tenant_scope(current_tenant()):
            return await self._ingest(event, raw)

    async def follow_up(self, tenant_id: int, payments: Sequence[dict[str, Any]]) -> None:  # noqa: ARG002 - whose it is
        """Enqueue what comes after several payments of a club, each given as a `FollowUp` (the background's task).

        Twice does no harm: each of the jobs looks whether its work was done, and two about one notice wait for
        each other.
        """
        async with self._database.transaction() as conn:
            await self._jobs.follow_up_each(conn, [FollowUp(**payment) for payment in payments])

    async def _ingest(self, event: dict[str, Any], raw: bytes) -> Ingested:
        try:
            async with self._database.transaction() as conn:
                if not await self._store(conn, event, raw):
                    return Ingested(None)
                outcome = await self._apply(conn, event)
                if outcome is not EventOutcome.APPLIED:
                    await conn.execute(
                        update(StripeEvent).where(StripeEvent.id == event["id"]).values(outcome=outcome)
                    )
                return Ingested(outcome)
        except ValidationError as error:
            await self._keep_failure(event, raw, f"unreadable: {error.error_count()} fields", is_final=True)
            return Ingested(EventOutcome.FAILED)
        except Exception as error:
            await self._keep_failure(event, raw, f"{type(error).__name__}: {error}")
            raise

    async def _apply(self, conn: AsyncConnection, event: dict[str, Any]) -> EventOutcome:
        known = HANDLERS.get(event["type"])
        if known is None:
            return EventOutcome.IGNORED
        model, apply = known
        envelope = Envelope.model_validate(event)
        tenant_ids = await _clubs_of(conn, event)
        if not tenant_ids:
            return EventOutcome.IGNORED
        context = EventContext(conn, self._jobs, self._links, event["id"], envelope.created, tenant_ids)
        return await apply(context, model.model_validate(envelope.data.object))

    async def _store(self, conn: AsyncConnection, event: dict[str, Any], raw: bytes) -> bool:
        """Store the event as applied; False where that had been done, which a copy waits to learn."""
        stored = {"id": event["id"], "type": event["type"], "payload": raw, "now": self._clock()}
        return await conn.scalar(_STORE, stored) is not None

    async def _keep_failure(
        self, event: dict[str, Any], raw: bytes, error: str, *, is_final: bool = False
    ) -> None:
        now = self._clock()
        failed = {"processed_at": now, "outcome": EventOutcome.FAILED, "error": error.replace("\0", "")}
        statement = upsert(StripeEvent).values(
            id=event["id"], type=event["type"], payload=raw, received_at=now, **failed
        )
        async with self._database.transaction() as conn:
            await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=[StripeEvent.id],
                    set_=failed,
                    where=StripeEvent.outcome == EventOutcome.FAILED,
                )
            )
            # Stripe won't tell of it again, so somebody has to look.
            clubs = await _clubs_of(conn, event) if is_final else []
            if len(clubs) == 1:
                facts = {"event_id": event["id"], "event_type": event["type"]}
                await announce(conn, self._jobs, clubs[0], NoticeKind.UNREADABLE_EVENT, event["id"], facts)


async def _clubs_of(conn: AsyncConnection, event: Mapping[str, Any]) -> Sequence[int]:
    """Return the clubs that an event may be about, and bind the transaction where it is one alone.

    An account's word counts for its own clubs only: `account` is set on what a connected account tells
    (https://docs.stripe.com/connect/webhooks), and the rest is about the clubs of the key's own.
    """
    current = current_tenant()
    if current is not None:
        return [current]
    found = await conn.execute(_CLUBS_OF_ACCOUNT, {"account": event.get("account")})
    tenant_ids: Sequence[int] = found.one().ids or []
    if len(tenant_ids) == 1:
        enter_tenant(tenant_ids[0])
    return tenant_ids
