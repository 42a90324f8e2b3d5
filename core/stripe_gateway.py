"""The one door to Stripe: calls out, and the signature check on what comes in.

Returns the project's own types and raises its own errors. Calls are paced below Stripe's documented limits
(100 a second live, 25 in a sandbox, 25 a second on one endpoint: https://docs.stripe.com/rate-limits) and
retried with the same idempotency key where trying again can help.
"""

import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import stamina
import stripe

from core.errors import (
    InvalidInputError,
    StripeRefusedError,
    StripeUnavailableError,
    StripeUnknownIdError,
)
from core.pace import Pacer
from core.stripe_reading import StripeReader

T = TypeVar("T")

# What an event's id and type are made of.
_NAME = re.compile(r"^[A-Za-z0-9_.]{1,255}\Z")

# Stripe's limit on one endpoint is 25 a second; a tenth below, so that other programs on the account get in.
CALLS_PER_SECOND = 22.0
ATTEMPTS = 5
TIMEOUT_SECONDS = 20
PATIENCE_SECONDS = 60.0
NEW_KEY_SECONDS = 5
SIGNATURE_TOLERANCE_SECONDS = 300
INACTIVE_MESSAGE = "This payment link is closed. Nothing was charged. Please ask your club for what is still owed."


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a payment link is made from. `amount_cents` is what the order still owes."""

    name: str
    amount_cents: int
    currency: str
    saves_card: bool
    order_id: int
    player_id: int
    product_id: int | None
    tenant_id: int

    @property
    def metadata(self) -> dict[str, str]:
        """The ids by which a webhook finds its order again."""
        ids = {
            "order_id": self.order_id,
            "player_id": self.player_id,
            "product_id": self.product_id,
            "tenant_id": self.tenant_id,
        }
        return {key: str(value) for key, value in ids.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StripeLink:
    """A payment link as Stripe made it."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class MadeRefund:
    """A refund as Stripe made it; its status may change later, which a webhook tells."""

    id: str
    status: str


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Whose Stripe account the key belongs to."""

    id: str
    name: str
    is_live: bool


def link_parameters(request: LinkRequest) -> dict[str, Any]:
    """Return the parameters of https://docs.stripe.com/api/payment-link/create for a request."""
    intent: dict[str, Any] = {"metadata": request.metadata}
    if request.saves_card:
        intent["setup_future_usage"] = "off_session"
    price = {
        "currency": request.currency,
        "unit_amount": request.amount_cents,
        # Stripe takes up to 250 characters.
        "product_data": {"name": request.name[:250]},
    }
    return {
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": request.metadata,
        "payment_intent_data": intent,
        "inactive_message": INACTIVE_MESSAGE,
    }


# The connected account that the calls of this piece of work are for.
_account: ContextVar[str | None] = ContextVar("stripe_account", default=None)


class _ForAccount(stripe.HTTPXClient):
    """Says with every request which connected account it is for (https://docs.stripe.com/connect/authentication)."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        account = _account.get()
        if account is not None:
            headers = {**headers, "Stripe-Account": account}
        return await super().request_async(method, url, headers, post_data)


class StripeGateway:
    """Talks to Stripe with one key; `read` only looks.

    `account_of_club` tells, when it is called, the connected account of the club that the work is for; None for
    the key's own.
    """

    def __init__(
        self,
        secret_key: str,
        pacer: Pacer,
        *,
        api_base: str | None = None,
        account_of_club: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        # Telemetry would send timings of earlier requests along with each call.
        stripe.enable_telemetry = False
        addresses: Any = {"api": api_base.rstrip("/")} if api_base else {}
        self._http = _ForAccount(timeout=TIMEOUT_SECONDS)
        self._account_of_club = account_of_club
        self._client = stripe.StripeClient(secret_key, base_addresses=addresses, http_client=self._http)
        self._is_live = secret_key.startswith(("sk_live_", "rk_live_"))
        self._pacer = pacer
        self.read = StripeReader(self._client, self._call)

    async def create_payment_link(
        self, request: LinkRequest, idempotency_key: str, *, patience: float = PATIENCE_SECONDS
    ) -> StripeLink:
        """Mint a payment link. The same key and request give the same link again.

        Stripe remembers a server error of its own under the key too, and repeats it for a day
        (https://docs.stripe.com/api/idempotent_requests): after one, the next try has a key of its own. Should
        the first have made a link all the same, nobody knows its address, and the reconciliation closes it.

        `patience` is how many seconds to keep trying; short where somebody waits for the page.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        parameters: Any = link_parameters(request)
        key = idempotency_key

        async def create() -> stripe.PaymentLink:
            nonlocal key
            try:
                return await self._client.v1.payment_links.create_async(parameters, {"idempotency_key": key})
            except stripe.APIError as error:
                if (error.http_status or 0) >= 500:
                    # The same for everybody who tries again in these seconds.
                    key = f"{idempotency_key}-{int(time.time()) // NEW_KEY_SECONDS}"
                raise

        link = await self._call("payment_links", create, patience)
        return StripeLink(link.id, link.url)

    async def close_payment_link(self, link_id: str) -> None:
        """Deactivate a link, then expire the Checkout Sessions that are still open on it.

        In this order, so that no session is opened behind our back. Doing it again changes nothing.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        await self._call(
            "payment_links",
            lambda: self._client.v1.payment_links.update_async(link_id, {"active": False}),
        )
        sessions = await self._call(
            "checkout_sessions",
            lambda: self._client.v1.checkout.sessions.list_async(
                {"payment_link": link_id, "status": "open", "limit": 100}
            ),
        )
        for session in sessions.data:
            # Refused: completed or expired between the listing and now; the webhook tells which.
            with contextlib.suppress(StripeRefusedError):
                await self.expire_session(session.id)

    async def expire_session(self, session_id: str) -> None:
        """End an open Checkout Session, so that it can't be paid any more.

        Raises:
            StripeUnavailableError
            StripeRefusedError: where it is not open (any more).
        """
        await self._call("checkout_sessions", lambda: self._client.v1.checkout.sessions.expire_async(session_id))

    async def refund(self, payment_intent_id: str, amount_cents: int, idempotency_key: str) -> MadeRefund:
        """Give part or all of a payment back. The same key and amount give the same refund again.

        Follows https://docs.stripe.com/api/refunds/create.

        Raises:
            StripeUnavailableError
            StripeRefusedError: e.g. where it was given back before, or the account's balance is too low.
        """
        parameters: Any = {"payment_intent": payment_intent_id, "amount": amount_cents}
        refund = await self._call(
            "refunds",
            lambda: self._client.v1.refunds.create_async(parameters, {"idempotency_key": idempotency_key}),
        )
        return MadeRefund(refund.id, refund.status or "pending")

    async def account(self) -> StripeAccount:
        """Return whose account the key belongs to.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        account = await self._call("accounts", self._client.v1.accounts.retrieve_current_async)
        business = account.business_profile.name if account.business_profile else None
        return StripeAccount(account.id, business or account.email or account.id, self._is_live)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close_async()  # type: ignore[no-untyped-call] # untyped in the SDK

    async def _call(
        self, endpoint: str, call: Callable[[], Awaitable[T]], patience: float = PATIENCE_SECONDS
    ) -> T:
        before = _account.set(await self._account_of_club() if self._account_of_club else None)
        try:
            async for attempt in stamina.retry_context(
                on=_pause_before_retry, attempts=ATTEMPTS, timeout=patience
            ):
                with attempt:
                    await self._pacer.wait(f"stripe:{endpoint}", CALLS_PER_SECOND)
                    return await call()
        except stripe.StripeError as error:
            raise _translated(error) from error
        finally:
            _account.reset(before)
        raise AssertionError("the retry loop returns or raises")  # pragma: no cover


def _pause_before_retry(error: Exception) -> bool | float:
    """Say whether another try can help and, where Stripe says so, after how many seconds."""
    if not isinstance(error, stripe.StripeError) or not _is_passing(error):
        return False
    retry_after = (error.headers or {}).get("retry-after", "")
    return min(float(retry_after), 20.0) if retry_after.isdecimal() else True


def _is_passing(error: stripe.StripeError) -> bool:
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return True
    # 409: another request with this key is under way. No status: the answer was not Stripe's.
    status = error.http_status
    return isinstance(error, stripe.APIError) and (status is None or status in {200, 409} or status >= 500)


def _translated(error: stripe.StripeError) -> StripeUnavailableError | StripeRefusedError:
    reference = f" (request {error.request_id})" if error.request_id else ""
    if _is_passing(error):
        return StripeUnavailableError(f"Stripe can't be reached right now; try again in a few minutes{reference}.")
    words = error.user_message or str(error) or type(error).__name__
    refused = StripeUnknownIdError if error.http_status == 404 else StripeRefusedError
    return refused(f"Stripe said no: {words}{reference}")


def verified_event(raw: bytes, signature: str | None, secrets: Sequence[str]) -> dict[str, Any]:
    """Return the event in a webhook's body, once one of the secrets is shown to have signed it.

    Checks the raw bytes (https://docs.stripe.com/webhooks#verify-manually); several secrets, so that one
    can be rolled without losing events.

    Raises:
        InvalidInputError: for a missing, wrong or old signature, and for a body that is no event.
    """
    if not signature or not _is_signed(raw, signature, secrets):
        raise InvalidInputError("The signature is missing, wrong or too old.")
    event = _parsed(raw)
    if not isinstance(event, dict) or not (_is_name(event.get("id")) and _is_name(event.get("type"))):
        raise InvalidInputError("The body is not an event.")
    return event


def _parsed(raw: bytes) -> Any:  # noqa: ANN401 - JSON may be anything
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half a surrogate pair in somebody's name is JSON to Stripe, and no text to anybody else.
        return orjson.loads(json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise InvalidInputError("The body is not JSON.") from None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.match(value) is not None


def _is_signed(raw: bytes, signature: str, secrets: Sequence[str]) -> bool:
    for secret in secrets:
        try:
            if stripe.WebhookSignature.verify_header(raw, signature, secret, SIGNATURE_TOLERANCE_SECONDS):
                return True
        except (stripe.SignatureVerificationError, ValueError, TypeError):
            continue  # TypeError: the SDK compares signatures as text, and a header may hold any byte
    return False
