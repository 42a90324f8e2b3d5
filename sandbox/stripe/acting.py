"""Acting as the parent, the payer's bank and the treasurer at Stripe's dashboard."""

import asyncio
from typing import Literal

import httpx

from sandbox.stripe import payments, refunds, sessions
from sandbox.stripe.books import Books, Json
from sandbox.stripe.courier import Attempt, Courier
from sandbox.stripe.errors import NotPossibleError
from sandbox.stripe.payments import Method
from sandbox.stripe.refunds import RefundStatus

PAYER_EMAIL, PAYER_NAME = "parent@example.com", "Pat Parent"


class Acting:
    """What people and banks do to one account.

    Amounts are in cents, times in UTC.

    Args:
        books: the account.
        courier: carries its events.
    """

    def __init__(self, books: Books, courier: Courier) -> None:
        self.books = books
        self._courier = courier

    @property
    def webhook_url(self) -> str | None:
        """Where events go."""
        return self._courier.url

    @webhook_url.setter
    def webhook_url(self, address: str | None) -> None:
        self._courier.url = address

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

    def _charge(self, payment_intent_id: str) -> Json:
        intent = _known(self.payment_intents, payment_intent_id)
        return _known(self.books.charges, intent["latest_charge"] or "")


def _known(table: dict[str, Json], object_id: str) -> Json:
    try:
        return table[object_id]
    except KeyError:
        raise NotPossibleError(f"There is no '{object_id}'.") from None
