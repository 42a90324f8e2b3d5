"""A local stand-in of Stripe that refuses what the real one refuses."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.stripe import payments, refunds, sessions
from sandbox.stripe.api import Api
from sandbox.stripe.books import Books, Json, utcnow
from sandbox.stripe.calls import RecordedRequest
from sandbox.stripe.courier import PAUSES_SECONDS, Attempt, Courier
from sandbox.stripe.errors import NotPossibleError
from sandbox.stripe.faults import Faults
from sandbox.stripe.pace import Pace
from sandbox.stripe.payments import Method
from sandbox.stripe.refunds import RefundStatus

PER_SECOND = 25
PAYER_EMAIL, PAYER_NAME = "parent@example.com", "Pat Parent"


class StripeStandIn:
    """One account with one webhook.

    Serve `app` somewhere and set `base_url` to that address; the product then gets it as Stripe's. Amounts are in
    cents, times in UTC.

    Args:
        secret_key: the key that opens the API.
        webhook_secret: signs what is sent to the webhook.
        webhook_url: where events go; None for nowhere. May be set later.
        clock: the time that everything goes by, except the rate limit.
        auto_deliver: whether events are delivered by themselves, in the background and with retries.
        max_per_second: how many requests an endpoint takes in a second; None for no limit.
        retry_pauses: seconds to wait before each further try to deliver.
    """

    def __init__(  # noqa: PLR0913 - all but three have Stripe's own values
        self,
        *,
        secret_key: str,
        webhook_secret: str,
        webhook_url: str | None = None,
        clock: Callable[[], datetime] = utcnow,
        auto_deliver: bool = True,
        max_per_second: int | None = PER_SECOND,
        retry_pauses: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self.books = Books(clock)
        self.auto_deliver = auto_deliver
        self._courier = Courier(webhook_url, webhook_secret, clock, retry_pauses)
        self.books.on_event = self._on_event
        self._api = Api(self.books, secret_key, Pace(max_per_second))
        self.app = Starlette(
            routes=[
                Route("/v1/{rest:path}", self._api.handle, methods=["GET", "POST", "DELETE"]),
            ]
        )

    @property
    def base_url(self) -> str:
        """Where `app` is served, without a slash at the end; links and sessions lead there."""
        return self.books.base_url

    @base_url.setter
    def base_url(self, address: str) -> None:
        self.books.base_url = address.rstrip("/")

    @property
    def webhook_url(self) -> str | None:
        """Where events go."""
        return self._courier.url

    @webhook_url.setter
    def webhook_url(self, address: str | None) -> None:
        self._courier.url = address

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to the API, oldest first."""
        return self._api.requests

    @property
    def faults(self) -> Faults:
        """What the next requests to the API go through."""
        return self._api.faults

    @property
    def payment_links(self) -> dict[str, Json]:
        """The links, by id."""
        return self.books.payment_links

    @property
    def sessions(self) -> dict[str, Json]:
        """The Checkout Sessions, by id."""
        return self.books.sessions

    @property
    def payment_intents(self) -> dict[str, Json]:
        """The PaymentIntents, by id."""
        return self.books.payment_intents

    @property
    def events(self) -> dict[str, Json]:
        """The events, by id, oldest first."""
        return self.books.events

    def attempts(self, event_id: str) -> list[Attempt]:
        """The tries so far to deliver an event."""
        return list(self._courier.attempts.get(event_id, ()))

    async def open_link(
        self, link_id: str, *, client_reference_id: str | None = None, prefilled_email: str | None = None
    ) -> str:
        """Visit a link's page, which makes a session; its id comes back.

        Raises:
            NotPossibleError: there is no such link, or it takes no more payments.
        """
        link = _known(self.payment_links, link_id)
        session = sessions.open_link(
            self.books, link, client_reference_id=client_reference_id, prefilled_email=prefilled_email
        )
        session_id: str = session["id"]
        return session_id

    async def pay(
        self, session_id: str, method: Method = "card", *, email: str | None = None, name: str = PAYER_NAME
    ) -> None:
        """Pay a session; a card that is declined leaves it open, a bank debit settles later.

        Raises:
            NotPossibleError: the session isn't open.
        """
        sessions.expire_the_old(self.books)
        session = _known(self.sessions, session_id)
        known = session["customer_email"] or (session["customer_details"] or {}).get("email")
        payments.pay(self.books, session, method, email=email or known or PAYER_EMAIL, name=name)

    async def settle(self, session_id: str, *, succeed: bool = True) -> None:
        """Let the bank say how a session's debit ended.

        Raises:
            NotPossibleError: there is no debit under way.
        """
        payments.settle(self.books, _known(self.sessions, session_id), succeed=succeed)

    async def expire(self, session_id: str) -> None:
        """Let a session's time run out.

        Raises:
            NotPossibleError: the session isn't open.
        """
        sessions.expire(self.books, _known(self.sessions, session_id))

    async def deactivate(self, link_id: str) -> None:
        """Switch a link off on the dashboard.

        Raises:
            NotPossibleError: there is no such link.
        """
        self.books.update("payment_link.updated", _known(self.payment_links, link_id), active=False)

    async def refund(
        self, payment_intent_id: str, amount_cents: int | None = None, status: RefundStatus = "succeeded"
    ) -> str:
        """Refund a payment, all that is left of it unless an amount is given; the refund's id comes back.

        Raises:
            NotPossibleError: it isn't paid, or there is less left than that.
        """
        refund = refunds.make_refund(self.books, self._charge(payment_intent_id), amount_cents, status=status)
        refund_id: str = refund["id"]
        return refund_id

    async def settle_refund(self, refund_id: str, *, succeed: bool = True) -> None:
        """Let the bank say how a pending refund ended.

        Raises:
            NotPossibleError: it isn't pending.
        """
        refunds.settle_refund(self.books, _known(self.books.refunds, refund_id), succeed=succeed)

    async def dispute(
        self, payment_intent_id: str, *, reason: str = "general", amount_cents: int | None = None
    ) -> str:
        """Let the payer's bank ask for the money back; the dispute's id comes back.

        Raises:
            NotPossibleError: the payment isn't paid or is disputed already.
        """
        charge = self._charge(payment_intent_id)
        dispute_id: str = refunds.open_dispute(self.books, charge, reason=reason, amount_cents=amount_cents)["id"]
        return dispute_id

    async def answer_dispute(self, dispute_id: str) -> None:
        """Send the club's evidence.

        Raises:
            NotPossibleError: the dispute doesn't wait for evidence.
        """
        refunds.answer_dispute(self.books, _known(self.books.disputes, dispute_id))

    async def close_dispute(self, dispute_id: str, outcome: Literal["won", "lost"]) -> None:
        """Let the bank decide.

        Raises:
            NotPossibleError: it has decided before.
        """
        refunds.close_dispute(self.books, _known(self.books.disputes, dispute_id), outcome)

    async def deliver(
        self, event: Json | str, *, times: int = 1, secret: str | None = None, timestamp: int | None = None
    ) -> list[httpx.Response]:
        """Send an event (or the one with this id) to the webhook now, `times` copies at once.

        Another secret makes a forgery; another timestamp (seconds since 1970) a replay.

        Raises:
            NotPossibleError: there is no such event.
            ValueError: there is no webhook.
            httpx.TransportError: no answer came.
        """
        whole = _known(self.events, event) if isinstance(event, str) else event
        return await asyncio.gather(
            *(self._courier.send(whole, secret=secret, timestamp=timestamp) for _ in range(times))
        )

    async def wait_for_deliveries(self) -> None:
        """Wait until every event is delivered or given up."""
        await self._courier.wait()

    async def close(self) -> None:
        """Give up deliveries under way."""
        await self._courier.stop()

    def _on_event(self, event: Json) -> None:
        if self.auto_deliver:
            self._courier.post(event)

    def _charge(self, payment_intent_id: str) -> Json:
        intent = _known(self.payment_intents, payment_intent_id)
        return _known(self.books.charges, intent["latest_charge"] or "")


def _known(table: dict[str, Json], object_id: str) -> Json:
    try:
        return table[object_id]
    except KeyError:
        raise NotPossibleError(f"There is no '{object_id}'.") from None
