"""Webhook ingest against a bare route that verifies and inserts one row, and against dj-stripe."""

import hashlib
import hmac
import time

import orjson
from sqlalchemy import text

from tests.bench.dj_stripe import dj_stripe, is_installed
from tests.bench.ground import database, engine_of, fill
from tests.bench.load import Request
from tests.bench.servers import WEBHOOK_SECRET
from tests.bench.serving import AT_ONCE, Contestant, in_turn, server
from tests.bench.tables import timing_table

EVENTS = 6000
# It takes some ten times as long.
THEIR_EVENTS = 1200
PLAYERS = 2 * EVENTS
PATH = "/webhooks/stripe"


def events(number: int = EVENTS) -> list[Request]:
    """Signed events of about 5 KB, each the payment of another order."""
    requests = []
    for order_id in range(1, number + 1):
        session = {
            "id": f"cs_test_{order_id}",
            "object": "checkout.session",
            "payment_status": "paid",
            "amount_total": 15000,
            "currency": "usd",
            "payment_intent": f"pi_{order_id}",
            "payment_link": f"plink_{order_id}",
            "metadata": {"order_id": str(order_id), "tenant_id": "1"},
            "customer_details": {"email": "pat@example.com", "name": "Pat"},
            "padding": "x" * 4300,
        }
        event = {
            "id": f"evt_{order_id}",
            "object": "event",
            "type": "checkout.session.completed",
            "api_version": "2026-05-27.dahlia",
            "created": int(time.time()),
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": session},
        }
        requests.append(_signed(orjson.dumps(event)))
    return requests


def _signed(body: bytes) -> Request:
    stamp = int(time.time())
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={stamp},v1={signature}", "Content-Type": "application/json"}
    return Request(body, headers)


async def run() -> str:
    """Measure the three by turns, on one PostgreSQL."""
    with database() as (url, folder):
        fill(url, PLAYERS)
        with engine_of(url) as engine, engine.connect() as connection:
            connection.execute(text("create table bare_events (id text primary key, type text, payload bytea)"))
        contestants = [
            Contestant("bare: verify and insert one row", events(), server("bare", url, folder, PATH)),
            Contestant(
                "Sideline: stored, applied, follow-up enqueued", events(), server("sideline", url, folder, PATH)
            ),
        ]
        if await is_installed():
            theirs = Contestant("dj-stripe, without its call to Stripe", events(THEIR_EVENTS), dj_stripe(url))
            contestants.append(theirs)
        return timing_table(f"Webhook, {AT_ONCE} at a time, one process", await in_turn(contestants))
