"""Signed events as Stripe sends them, for the web's tests."""

import hashlib
import hmac
import itertools
import time
from typing import Any

import httpx
import orjson
import pytest

STRIPE_KEY = "sk_test_made_up"
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
