"""What Stripe tells that we never wrote down: events, payments, refunds; page by page, one or two statements each.

Another program may use the account too. Ours is what names a club's order, link, session or payment; and, as long
as there is only one club here, money that came in since it was set up and names nobody else, since the webhook
would have asked whose it is.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database
from core.models import Tenant
from core.reconcile_findings import Difference, FindingKind
from core.stripe_events import HANDLERS
from core.stripe_reading import StripeReader
from core.tenancy import tenant_scope

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose books are compared, over which time (UTC)."""

    tenant_id: int
    since: datetime
    until: datetime


@dataclass(slots=True)
class _Told:
    """One thing that Stripe tells and we have not written down."""

    difference: Difference
    # The event's or session's own object: what its owner is found by.
    subject: Json
    created: int


@dataclass(slots=True)
class Missed:
    """What was found so far, and how much was looked at."""

    differences: list[Difference] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=lambda: {"events": 0, "payments": 0, "refunds": 0})
    # Sessions and refunds that a missed event is about already.
    covered: set[str] = field(default_factory=set)
    # The payment intents of what is missing: refunds of them are ours too.
    intents: set[str] = field(default_factory=set)
    # Refunds and disputes of payments that nobody knows (yet).
    adrift: list[_Told] = field(default_factory=list)


# What is told of a payment that came in with another program's orders is known too.
_EVENTS_KNOWN = text("""
    select id from stripe_events where id = any(cast(:ids as text[])) and outcome is distinct from 'failed'
    union
    select told.id
    from unnest(cast(:ids as text[]), cast(:paid as text[])) as told (id, intent_id)
    join payments on stripe_payment_intent_id = told.intent_id and stripe_refund_id is null
        and recorded_by = 'import'
""")
# An unmatched payment is known: somebody is being asked about it.
_PAYMENTS_KNOWN = text("""
    select stripe_payment_intent_id from payments
    where stripe_payment_intent_id = any(cast(:ids as text[])) and stripe_refund_id is null
    union all
    select stripe_payment_intent_id from unmatched_payments
    where stripe_payment_intent_id = any(cast(:ids as text[]))
""")
_REFUNDS_KNOWN = text("select id || ':' || status from stripe_refunds where id = any(cast(:ids as text[]))")
_OWNERS = text("""
    select coalesce(
        (select tenant_id from orders where id = w.order_id and tenant_id = coalesce(w.tenant_id, tenant_id)),
        (select tenant_id from payment_links where stripe_payment_link_id = w.link_id),
        (select tenant_id from retired_links where stripe_payment_link_id = w.link_id),
        (select tenant_id from orders where stripe_checkout_session_id = w.session_id limit 1),
        (select tenant_id from orders where stripe_payment_intent_id = w.intent_id limit 1),
        (
            select o.tenant_id from checkout_attempts a join orders o on o.id = a.order_id
            where a.stripe_checkout_session_id = w.session_id
        ),
        (
            select o.tenant_id from payments p join orders o on o.id = p.order_id
            where p.stripe_payment_intent_id = w.intent_id and p.stripe_refund_id is null
        )
    )
    from unnest(
        cast(:orders as bigint[]), cast(:tenants as bigint[]), cast(:links as text[]), cast(:sessions as text[]),
        cast(:intents as text[])
    ) with ordinality as w(order_id, tenant_id, link_id, session_id, intent_id, number)
    order by w.number
""")


class MissedEvents:
    """Looks through one club's share of what Stripe tells."""

    def __init__(self, database: Database, stripe: StripeReader) -> None:
        self._database = database
        self._stripe = stripe

    async def find(self, scope: Scope) -> Missed:
        """Return everything that is missing here, the oldest first.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        missed = Missed()
        async with self._of_all_clubs() as conn:
            own_since = await _only_club_since(conn, scope.tenant_id)
        async for events in self._stripe.event_pages(list(HANDLERS), scope.since, scope.until):
            missed.looked_at["events"] += len(events)
            await self._add(missed, scope, own_since, await self._new_events(events))
        async for sessions in self._stripe.paid_session_pages(scope.since, scope.until):
            missed.looked_at["payments"] += len(sessions)
            await self._add(missed, scope, own_since, await self._new_payments(sessions, missed.covered))
        async for refunds in self._stripe.refund_pages(scope.since, scope.until):
            missed.looked_at["refunds"] += len(refunds)
            await self._add(missed, scope, own_since, await self._new_refunds(refunds, missed.covered))
        missed.differences += [
            told.difference for told in missed.adrift if _id_in(told.subject, "payment_intent") in missed.intents
        ]
        missed.differences.sort(key=lambda each: int(each.facts["created"]))
        return missed

    async def _new_events(self, events: Sequence[Json]) -> list[_Told]:
        subjects = [event["data"]["object"] for event in events]
        paid = [_id_in(each, "payment_intent") if _is_session(each) else None for each in subjects]
        known = await self._known(_EVENTS_KNOWN, [event["id"] for event in events], paid=paid)
        return [_told_event(event) for event in events if event["id"] not in known]

    async def _new_payments(self, sessions: Sequence[Json], covered: set[str]) -> list[_Told]:
        # Nothing was taken where the whole amount was waived by a promotion: there is no payment to record.
        paid = [each for each in sessions if each.get("payment_status") == "paid" and each.get("amount_total")]
        known = await self._known(_PAYMENTS_KNOWN, [_payment_key(session) for session in paid])
        return [
            _told_payment(session)
            for session in paid
            if _payment_key(session) not in known and session["id"] not in covered
        ]

    async def _new_refunds(self, refunds: Sequence[Json], covered: set[str]) -> list[_Told]:
        # Until it went through (or came back) a refund changes nothing.
        settled = [each for each in refunds if each.get("status") not in {None, "pending", "requires_action"}]
        known = await self._known(_REFUNDS_KNOWN, [each["id"] for each in settled])
        return [
            _told_refund(refund)
            for refund in settled
            if f"{refund['id']}:{refund['status']}" not in known and refund["id"] not in covered
        ]

    @asynccontextmanager
    async def _of_all_clubs(self) -> AsyncIterator[AsyncConnection]:
        """Look at all clubs: several may share one Stripe account, and what is another's is not missing here."""
        with tenant_scope(None):
            async with self._database.transaction() as conn:
                yield conn

    async def _known(self, statement: TextClause, ids: list[str], **named: object) -> set[str]:
        async with self._of_all_clubs() as conn:
            return set(await conn.scalars(statement, {"ids": ids, **named}))

    async def _add(self, missed: Missed, scope: Scope, own_since: datetime | None, told: Sequence[_Told]) -> None:
        """Keep what is this club's."""
        if not told:
            return
        async with self._of_all_clubs() as conn:
            owners = await _owners(conn, [each.subject for each in told])
        for each, owner in zip(told, owners, strict=True):
            missed.covered.add(str(each.subject.get("id")))
            if owner is None and _is_about_earlier_payment(each.subject):
                missed.adrift.append(each)
            elif owner == scope.tenant_id or (owner is None and _is_nobody_elses(each, own_since)):
                missed.differences.append(each.difference)
                missed.intents.update(_ids_in(each.subject, "payment_intent"))


async def _only_club_since(conn: AsyncConnection, tenant_id: int) -> datetime | None:
    """Return when the club was set up; None where there are others beside it on its Stripe account."""
    account = select(Tenant.stripe_account_id).where(Tenant.id == tenant_id).scalar_subquery()
    row = (
        await conn.execute(
            select(func.count(), func.min(Tenant.created_at).filter(Tenant.id == tenant_id))
            .select_from(Tenant)
            .where(Tenant.stripe_account_id.is_not_distinct_from(account))
        )
    ).one()
    return row[1] if row[0] == 1 else None


async def _owners(conn: AsyncConnection, subjects: Sequence[Json]) -> list[int | None]:
    """Return whose each of these objects is, with one statement."""
    named: dict[str, list[Any]] = {"orders": [], "tenants": [], "links": [], "sessions": [], "intents": []}
    for subject in subjects:
        metadata = _metadata(subject)
        tenant_id = number_in(metadata, "tenant_id")
        is_ours = "tenant_id" not in metadata or tenant_id is not None
        named["orders"].append(number_in(metadata, "order_id") if is_ours else None)
        named["tenants"].append(tenant_id)
        named["links"].append(_id_in(subject, "payment_link"))
        named["sessions"].append(subject.get("id") if _is_session(subject) else None)
        named["intents"].append(_id_in(subject, "payment_intent"))
    return list(await conn.scalars(_OWNERS, named))


def _is_session(subject: Json) -> bool:
    return subject.get("object") == "checkout.session"


def _is_about_earlier_payment(subject: Json) -> bool:
    return not _is_session(subject)


def _is_nobody_elses(told: _Told, own_since: datetime | None) -> bool:
    """Say whether money without a sign on it came to the only club there is, after it was set up."""
    is_signed = "tenant_id" in _metadata(told.subject)
    return own_since is not None and not is_signed and told.created >= int(own_since.timestamp())


def _told_event(event: Json) -> _Told:
    subject = event["data"]["object"]
    facts = {
        "event_id": event["id"],
        "type": event["type"],
        "object_id": subject.get("id"),
        **_amount(subject),
    }
    return _told(FindingKind.EVENT_MISSED, event["id"], facts, subject, event["created"])


def _told_payment(session: Json) -> _Told:
    facts = {"session_id": session["id"], **_amount(session)}
    return _told(FindingKind.PAYMENT_MISSING, session["id"], facts, session, session["created"])


def _told_refund(refund: Json) -> _Told:
    facts = {"refund_id": refund["id"], "status": refund["status"], **_amount(refund)}
    return _told(FindingKind.REFUND_MISSING, refund["id"], facts, refund, refund["created"])


def _told(kind: FindingKind, key: str, facts: Json, subject: Json, created: int) -> _Told:
    return _Told(Difference(kind, key, facts | {"created": created}), subject, created)


def _amount(subject: Json) -> Json:
    amount = subject.get("amount_total", subject.get("amount"))
    return {"amount_cents": amount, "currency": subject.get("currency")}


def _payment_key(session: Json) -> str:
    return _id_in(session, "payment_intent") or str(session["id"])


def _id_in(subject: Json, name: str) -> str | None:
    value = subject.get(name)
    return value.get("id") if isinstance(value, dict) else value


def _ids_in(subject: Json, name: str) -> Iterable[str]:
    found = _id_in(subject, name)
    return () if found is None else (found,)


def _metadata(subject: Json) -> Json:
    return subject.get("metadata") or {}


def number_in(metadata: Json, name: str) -> int | None:
    """Return an id of ours as metadata holds it; what is longer than a bigint is none."""
    value = metadata.get(name)
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19
    return int(str(value)) if is_number else None
