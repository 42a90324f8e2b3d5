"""A made-up Stripe for the web's tests: signed events as it sends them, and the one call that a pay link makes."""

import hashlib
import hmac
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

SECRET = "whsec_test_current"
OLD_SECRET = "whsec_test_rolled_out"
ADMIN_TOKEN = "made-up-admin-token"

# Stripe's SDK hands httpx its form as `data`, which httpx would rather have as `content`.
stripe_sdk_warning = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw:DeprecationWarning")

_numbers = itertools.count(1)
Event = dict[str, Any]


def signature(raw: bytes, secret: str = SECRET, *, at: float | None = None) -> str:
    """Sign as https://docs.stripe.com/webhooks#verify-manually says."""
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def event(kind: str, **fields: object) -> Event:
    return {
        "id": f"evt_test_{next(_numbers)}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "data": {"object": fields},
    }


def session_event(kind: str = "completed", *, order_id: int | None, **given: object) -> Event:
    """Tell of a Checkout Session over $150; without an order its metadata names none."""
    fields: dict[str, object] = {
        "id": "cs_test_1",
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": 15000,
        "currency": "usd",
        "payment_intent": "pi_test_1",
        "payment_link": "plink_test_1",
        "metadata": {} if order_id is None else {"order_id": str(order_id)},
        "customer_details": {"email": "pat@example.com", "name": "Pat Reed"},
        **given,
    }
    return event(f"checkout.session.{kind}", **fields)


def refund_event(amount: int = 15000, *, number: int = 1, status: str = "succeeded") -> Event:
    return event(
        "refund.created", id=f"re_test_{number}", amount=amount, status=status, payment_intent="pi_test_1"
    )


def dispute_event(kind: str, status: str) -> Event:
    return event(
        f"charge.dispute.{kind}",
        id="dp_test_1",
        amount=15000,
        status=status,
        reason="fraudulent",
        payment_intent="pi_test_1",
    )


async def tell(client: httpx.AsyncClient, told: Event, secret: str = SECRET) -> httpx.Response:
    raw = orjson.dumps(told)
    return await send_raw(client, raw, signature(raw, secret))


async def send_raw(client: httpx.AsyncClient, raw: bytes, signed: str | None) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    if signed is not None:
        headers["Stripe-Signature"] = signed
    return await client.post("/webhooks/stripe", content=raw, headers=headers)


@dataclass
class TinyStripe:
    """Mints payment links, and has a page for each; an idempotency key gives the same link again."""

    minted: dict[str, Mapping[str, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    # What to answer instead, e.g. (402, {"type": "card_error"}).
    refusal: tuple[int, dict[str, str]] | None = None
    pages_url: str = "https://pay.test"
    # The visits of payment pages: path, and the address the browser told it came from.
    visits: list[tuple[str, str | None]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        form = {key: str(value) for key, value in (await request.form()).items()}
        await self._answer(request, form)(scope, receive, send)

    def _answer(self, request: Request, form: Mapping[str, str]) -> Response:
        if request.method == "GET":
            self.visits.append((request.url.path, request.headers.get("referer")))
            return HTMLResponse('<link rel="icon" href="data:,"><title>Pay</title>')
        if self.refusal is not None:
            status, error = self.refusal
            return JSONResponse({"error": error}, status)
        if request.url.path != "/v1/payment_links":
            return JSONResponse({"error": {"type": "invalid_request_error", "message": "Unknown."}}, 404)
        key = request.headers["idempotency-key"]
        link_id = self.keys.setdefault(key, f"plink_test_{len(self.keys) + 1}")
        self.minted[link_id] = form
        return JSONResponse({"id": link_id, "object": "payment_link", "url": f"{self.pages_url}/{link_id}"})
