"""Looking at what Stripe has, in pages of a hundred, without changing anything.

Part of the gateway: every call goes through its pacing and retries. Parameters and fields follow
https://docs.stripe.com/api/pagination, …/api/events/list, …/api/payment-link/list, …/api/checkout/sessions/list
and …/api/refunds/list.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, Field

from core.errors import StripeUnknownIdError
from core.stripe_objects import Cents, StripeId

PAGE = 100
# Bank debits; everything else counts as a card (https://docs.stripe.com/payments/payment-methods/overview).
_BANK_METHODS = {"us_bank_account", "acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit"}

Json = dict[str, Any]


class Caller(Protocol):
    """The gateway's way to call: paced on the endpoint's own limit, retried, with our own errors."""

    async def __call__(self, endpoint: str, call: Callable[[], Awaitable[Any]], /) -> Any:  # noqa: ANN401 - the SDK's
        """Call."""


class _LineItem(BaseModel):
    amount_total: Cents
    currency: str


class _LineItems(BaseModel):
    data: list[_LineItem] = Field(default_factory=list)


class LinkAtStripe(BaseModel):
    """A payment link as Stripe has it now."""

    id: StripeId
    url: str
    active: bool
    metadata: dict[str, str] = Field(default_factory=dict)
    line_items: _LineItems = Field(default_factory=_LineItems)

    @property
    def amount_cents(self) -> int:
        """What a visitor is asked for, in the smallest unit of its currency."""
        return sum(item.amount_total for item in self.line_items.data)

    @property
    def currency(self) -> str:
        """The currency of its line items."""
        return next((item.currency for item in self.line_items.data), "")


class SessionAtStripe(BaseModel):
    """A Checkout Session as Stripe has it now."""

    id: StripeId
    # open, complete or expired
    status: str | None = None
    payment_status: str
    url: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still be paid."""
        return self.status == "open"


class StripeReader:
    """Reads one Stripe account."""

    def __init__(self, client: Any, call: Caller) -> None:  # noqa: ANN401 - the SDK is the gateway's alone
        self._api = client.v1
        self._call = call

    def event_pages(self, types: Sequence[str], since: datetime, until: datetime) -> AsyncIterator[list[Json]]:
        """Yield the events of these types (at most 20) that happened in this time, the newest first.

        Stripe keeps events for 30 days.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        wanted = {"types": list(types), "created": _between(since, until)}
        return self._pages("events", self._api.events.list_async, wanted)

    def paid_session_pages(self, since: datetime, until: datetime) -> AsyncIterator[list[Json]]:
        """Yield the completed Checkout Sessions that were opened in this time, the newest first.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        wanted = {"status": "complete", "created": _between(since, until)}
        return self._pages("checkout_sessions", self._api.checkout.sessions.list_async, wanted)

    def refund_pages(self, since: datetime, until: datetime) -> AsyncIterator[list[Json]]:
        """Yield the refunds that were made in this time, the newest first.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        return self._pages("refunds", self._api.refunds.list_async, {"created": _between(since, until)})

    async def active_link_pages(self) -> AsyncIterator[list[LinkAtStripe]]:
        """Yield the payment links that are open, the newest first, with their line items.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        wanted = {"active": True, "expand": ["data.line_items"]}
        async for rows in self._pages("payment_links", self._api.payment_links.list_async, wanted):
            yield [LinkAtStripe.model_validate(row) for row in rows]

    async def link(self, link_id: str) -> LinkAtStripe | None:
        """Return a payment link with its line items; None where this account has none of this id.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        expand = {"expand": ["line_items"]}
        found = await self._one("payment_links", lambda: self._api.payment_links.retrieve_async(link_id, expand))
        return None if found is None else LinkAtStripe.model_validate(found)

    async def session(self, session_id: str) -> SessionAtStripe | None:
        """Return a Checkout Session; None where this account has none of this id.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        retrieve = self._api.checkout.sessions.retrieve_async
        found = await self._one("checkout_sessions", lambda: retrieve(session_id))
        return None if found is None else SessionAtStripe.model_validate(found)

    async def session_with_charge(self, session_id: str) -> Json | None:
        """Return a whole Checkout Session, its payment intent and charge expanded; None where there is none.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        expand = {"expand": ["payment_intent.latest_charge"]}
        retrieve = self._api.checkout.sessions.retrieve_async
        return await self._one("checkout_sessions", lambda: retrieve(session_id, expand))

    async def event(self, event_id: str) -> Json | None:
        """Return a whole event; None where there is none (any more).

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        return await self._one("events", lambda: self._api.events.retrieve_async(event_id))

    async def refund(self, refund_id: str) -> Json | None:
        """Return a whole refund; None where there is none.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        return await self._one("refunds", lambda: self._api.refunds.retrieve_async(refund_id))

    async def _one(self, endpoint: str, call: Callable[[], Awaitable[Any]]) -> Json | None:
        try:
            found = await self._call(endpoint, call)
        except StripeUnknownIdError:
            return None
        return _plain(found)

    async def _pages(
        self, endpoint: str, list_page: Callable[[Json], Awaitable[Any]], wanted: Json
    ) -> AsyncIterator[list[Json]]:
        wanted = wanted | {"limit": PAGE}
        while True:
            page = await self._call(endpoint, lambda params=wanted: list_page(params))  # type: ignore[misc] # ditto
            rows = [_plain(each) for each in page.data]
            if rows:
                yield rows
            if not rows or not page.has_more:
                return
            wanted = wanted | {"starting_after": rows[-1]["id"]}


def is_bank_payment(session: Json) -> bool:
    """Say whether a session with its charge was paid by a bank debit."""
    intent = session.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, dict) else None
    details = charge.get("payment_method_details") if isinstance(charge, dict) else None
    return isinstance(details, dict) and details.get("type") in _BANK_METHODS


def paid_at(session: Json) -> datetime:
    """Return when a session with its charge was paid, in UTC; when it was opened where there was no charge."""
    intent = session.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, dict) else None
    created = charge.get("created") if isinstance(charge, dict) else None
    return datetime.fromtimestamp(int(created or session["created"]), UTC)


def _between(since: datetime, until: datetime) -> dict[str, int]:
    return {"gte": int(since.timestamp()), "lte": int(until.timestamp())}


def _plain(found: Any) -> Json:  # noqa: ANN401 - the SDK's own object
    plain: Json = found.to_dict(for_json=True)
    return plain
