"""Mending one difference through the doors that are there for it.

Nothing is taken from the finding but ids: both sides are looked at again, so a repair that comes late, or twice,
does what is right now.
"""

from datetime import datetime
from typing import Any

import orjson

from core.database import Database
from core.errors import InvalidInputError, NotFoundError, NotPayableError
from core.models.statuses import EventOutcome, FindingStatus, OrderStatus
from core.payment_links import PaymentLinks
from core.payments import lock_order
from core.reconcile_findings import Difference, Finding, FindingKind
from core.reconcile_links import LinkComparer
from core.stripe_events import StripeEvents
from core.stripe_reading import StripeReader, is_bank_payment, paid_at

Json = dict[str, Any]


class Repairs:
    """Mends differences."""

    def __init__(
        self, database: Database, stripe: StripeReader, links: PaymentLinks, events: StripeEvents
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._links = links
        self._events = events
        self._comparer = LinkComparer(database, stripe)

    async def repair(self, finding: Finding) -> FindingStatus:
        """Mend a difference: `repaired`, or `gone` where there was nothing left to mend.

        Raises:
            NotFoundError: where Stripe does not have it any more.
            InvalidInputError: where Stripe tells something that can't be read.
            StripeUnavailableError, StripeRefusedError
        """
        match finding.kind:
            case FindingKind.EVENT_MISSED:
                mended = await self._take_event(finding.facts["event_id"])
            case FindingKind.PAYMENT_MISSING:
                mended = await self._take_payment(finding.facts["session_id"])
            case FindingKind.REFUND_MISSING:
                mended = await self._take_refund(finding.facts["refund_id"])
            case FindingKind.DEBT_WITHOUT_LINK:
                mended = await self._mint(finding.tenant_id, finding.facts["order_id"])
            case FindingKind.LINK_WITHOUT_DEBT | FindingKind.LINK_AMOUNT_DIFFERS | FindingKind.LINK_STATE_DIFFERS:
                mended = await self._mend_link(finding.tenant_id, finding.facts["link_id"])
        return FindingStatus.REPAIRED if mended else FindingStatus.GONE

    async def _take_event(self, event_id: str) -> bool:
        event = await self._stripe.event(event_id)
        if event is None:
            raise NotFoundError(
                "Stripe keeps events for 30 days, and this one is gone; "
                "`sideline reconcile` shows what is still missing."
            )
        return await self._take(event)

    async def _take_payment(self, session_id: str) -> bool:
        """Take a paid session in as the event that was never told, under an id made from the session's."""
        session = await self._stripe.session_with_charge(session_id)
        if session is None:
            raise NotFoundError("Stripe doesn't know this payment any more.")
        if session.get("payment_status") != "paid":
            return False
        kind = "async_payment_succeeded" if is_bank_payment(session) else "completed"
        event = _made_up(f"reconcile_{session_id}", f"checkout.session.{kind}", paid_at(session), session)
        return await self._take(event)

    async def _take_refund(self, refund_id: str) -> bool:
        refund = await self._stripe.refund(refund_id)
        if refund is None:
            raise NotFoundError("Stripe doesn't know this refund any more.")
        # With its status: a refund that fails later is told again.
        event_id = f"reconcile_{refund_id}_{refund.get('status')}"
        return await self._take(_made_up(event_id, "refund.updated", int(refund["created"]), refund))

    async def _take(self, event: Json) -> bool:
        ingested = await self._events.ingest(event, orjson.dumps(event))
        if ingested.outcome is EventOutcome.FAILED:
            raise InvalidInputError("What Stripe tells can't be read; the event is kept as failed.")
        return ingested.outcome is not None

    async def _mint(self, tenant_id: int, order_id: int) -> bool:
        try:
            await self._links.payable_url(tenant_id, order_id)
        except NotPayableError:
            return False  # paid, canceled or not signed any more
        return True

    async def _mend_link(self, tenant_id: int, link_id: str) -> bool:
        differences = await self._comparer.compare_some(tenant_id, [link_id])
        for difference in differences:
            await self._mend(tenant_id, difference)
        return bool(differences)

    async def _mend(self, tenant_id: int, difference: Difference) -> None:
        facts = difference.facts
        link_id, order_id = str(facts["link_id"]), facts["order_id"]
        here, at_stripe = facts.get("here", "open"), facts.get("at_stripe", "open")
        if here == "unknown":
            await self._retire_stray(tenant_id, order_id, link_id)
        elif difference.kind is FindingKind.LINK_WITHOUT_DEBT:
            await self._close_paid(tenant_id, order_id, link_id)
        elif here == "open":
            await self._retire(tenant_id, order_id, link_id)
        if at_stripe == "open":
            await self._links.close_link(link_id)
        if difference.kind is not FindingKind.LINK_WITHOUT_DEBT and here == "open":
            await self._mint(tenant_id, order_id)

    async def _retire(self, tenant_id: int, order_id: int, link_id: str) -> None:
        async with self._database.transaction() as conn:
            await self._links.retire(conn, tenant_id, order_id, "reconciled", only=link_id)

    async def _retire_stray(self, tenant_id: int, order_id: int, link_id: str) -> None:
        link = await self._stripe.link(link_id)
        async with self._database.transaction() as conn:
            amount_cents = link.amount_cents if link is not None else 0
            await self._links.retire_stray(conn, tenant_id, order_id, link_id, amount_cents)

    async def _close_paid(self, tenant_id: int, order_id: int, link_id: str) -> None:
        """Mark the link as paid where its order is; one that no payment closed is retired."""
        async with self._database.transaction() as conn:
            order = await lock_order(conn, order_id)
            if order is not None and order.status == OrderStatus.PAID:
                await self._links.close_after_payment(conn, order, link_id)
            else:
                await self._links.retire(conn, tenant_id, order_id, "reconciled", only=link_id)


def _made_up(event_id: str, kind: str, created: datetime | int, subject: Json) -> Json:
    return {"id": event_id, "object": "event", "type": kind, "created": created, "data": {"object": subject}}
