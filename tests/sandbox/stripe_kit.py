"""A served stand-in of Stripe, the real SDK to talk to it, and a webhook that keeps what it gets."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from stripe import HTTPXClient, StripeClient

from sandbox.server import serve
from sandbox.stripe import StripeStandIn

KEY, SECRET = "sk_test_made_up", "whsec_made_up"

Json = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Webhook:
    """Takes deliveries; answers 503 to as many as it is told."""

    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    refuse: int = 0

    async def take(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.signatures.append(request.headers["stripe-signature"])
        if self.refuse:
            self.refuse -= 1
            return Response(status_code=503)
        return Response()


@dataclass
class Account:
    stripe: StripeStandIn
    client: StripeClient
    clock: Clock
    webhook: Webhook

    async def link(self, amount: int = 15000, **more: object) -> str:
        parameters: Any = {**link_parameters(amount), **more}
        made = await self.client.v1.payment_links.create_async(parameters)
        return str(made.id)

    async def paid(self, amount: int = 15000) -> str:
        """A PaymentIntent that a card paid."""
        session_id = await self.stripe.open_link(await self.link(amount))
        await self.stripe.pay(session_id)
        return str(self.stripe.sessions[session_id]["payment_intent"])

    def event_types(self) -> list[str]:
        return [event["type"] for event in self.stripe.events.values()]

    def latest_event(self, kind: str) -> Json:
        return [event for event in self.stripe.events.values() if event["type"] == kind][-1]


def link_parameters(amount: int = 15000) -> Any:  # noqa: ANN401 - the SDK types it more closely than tests want
    price = {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Monthly fee"}}
    return {
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": {"order_id": "7"},
        "payment_intent_data": {"metadata": {"order_id": "7"}, "setup_future_usage": "off_session"},
        "inactive_message": "This link is closed.",
    }


@contextlib.asynccontextmanager
async def account(*, auto_deliver: bool = False, max_per_second: int | None = None) -> AsyncIterator[Account]:
    clock, webhook = Clock(), Webhook()
    stand_in = StripeStandIn(
        secret_key=KEY,
        webhook_secret=SECRET,
        clock=clock,
        auto_deliver=auto_deliver,
        max_per_second=max_per_second,
        retry_pauses=(0.01, 0.01),
    )
    # One server for both ends, since starting and stopping one is what a test waits for.
    both = Starlette(
        routes=[Route("/webhooks/stripe", webhook.take, methods=["POST"]), Mount("/", app=stand_in.app)]
    )
    async with serve(both) as address:
        stand_in.base_url = address
        stand_in.webhook_url = f"{address}/webhooks/stripe"
        http = HTTPXClient()
        client = StripeClient(KEY, base_addresses={"api": address}, http_client=http, max_network_retries=0)
        try:
            yield Account(stand_in, client, clock, webhook)
        finally:
            await http.close_async()  # type: ignore[no-untyped-call] # untyped in the SDK
            await stand_in.close()
