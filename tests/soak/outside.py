"""The world outside: the stand-ins, a postman who brings Stripe's events, and a clock that makes pauses short."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from starlette.requests import ClientDisconnect

from bot.manifest import manifest
from sandbox.mailbox import Mailbox
from sandbox.sample import ADMIN, APPROVALS, COACH, GENERAL, PAYMENTS, TREASURER
from sandbox.server import serve
from sandbox.slack import Pace, SlackStandIn
from sandbox.stripe import StripeStandIn
from sandbox.world import BOT_TOKEN, SIGNING_SECRET, STRIPE_KEY, WEBHOOK_SECRET, World
from tests.soak.postgres import Store
from tests.soak.processes import Fleet

# What an endpoint is subscribed to (docs.stripe.com/webhooks); the rest is never sent.
SUBSCRIBED = (
    "checkout.session.",
    "refund.",
    "charge.dispute.",
    "payment_link.updated",
    "payment_intent.payment_failed",
)


@asynccontextmanager
async def open_outside(product_url: str) -> AsyncIterator[World]:
    """Serve the stand-ins; they have Slack's and Stripe's rules, and no limits of speed."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    slack = SlackStandIn(
        bot_token=BOT_TOKEN,
        signing_secret=SIGNING_SECRET,
        events_url=f"{product_url}/slack/events",
        manifest=manifest(product_url, socket_mode=False),
        pace=Pace(posts_per_second=100, post_burst=200, tiers=False),
    )
    for user_id, name in ((COACH, "Casey"), (ADMIN, "Alex"), (TREASURER, "Toni")):
        slack.add_user(user_id, name, email=f"{name.lower()}@rivercity.test")
    for channel_id, name in ((GENERAL, "coaches"), (PAYMENTS, "payments"), (APPROVALS, "approvals")):
        slack.add_channel(channel_id, name)
    stripe = StripeStandIn(
        secret_key=STRIPE_KEY,
        webhook_secret=WEBHOOK_SECRET,
        webhook_url=f"{product_url}/webhooks/stripe",
        auto_deliver=False,
        max_per_second=None,
    )
    async with AsyncExitStack() as stack:
        mailbox = await stack.enter_async_context(Mailbox(user="sideline", password="sandbox"))
        slack.base_url = await stack.enter_async_context(serve(slack.app))
        stripe.base_url = await stack.enter_async_context(serve(stripe.app))
        yield World(slack, stripe, mailbox, "", product_url)
        await stripe.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a stand-in's log is worth a line: a process that is killed in the middle of a request is not."""
    return not (record.exc_info and isinstance(record.exc_info[1], ClientDisconnect))


class Postman:
    """Brings Stripe's events no better than Stripe promises: late, in any order, several times, until taken."""

    def __init__(self, world: World, fleet: Fleet) -> None:
        self._stripe = world.stripe
        self._fleet = fleet
        self._seen = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._seed = ""
        self.delivered, self.copies, self.refused = 0, 0, 0

    @property
    def is_done(self) -> bool:
        """Whether everything that happened was taken."""
        return not self._under_way and self._seen == len(self._stripe.events)

    def begin(self, seed: str) -> None:
        """Make the next round's decisions from this seed."""
        self._seed = seed

    async def work(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                events = list(self._stripe.events.values())
                for number, event in enumerate(events[self._seen :], self._seen):
                    if event["type"].startswith(SUBSCRIBED):
                        task = asyncio.create_task(
                            self._bring(event["id"], random.Random(f"{self._seed}/{number}"))
                        )
                        self._under_way.add(task)
                        task.add_done_callback(self._under_way.discard)
                self._seen = len(events)
                await asyncio.sleep(0.05)
        finally:
            for task in self._under_way:
                task.cancel()

    async def _bring(self, event_id: str, rng: random.Random) -> None:
        late, copies = rng.choice((0.0, 0.0, 0.2, 1.0, 2.5)), rng.choice((1, 1, 1, 1, 2, 6))
        comes_again = rng.random() < 0.1
        await asyncio.sleep(rng.random() * late)
        pause = 0.2
        while not await self._is_taken(event_id, copies, rng):
            await asyncio.sleep(pause)
            pause, copies = min(pause * 2, 2.0), 1
        self.delivered += 1
        if comes_again:
            await asyncio.sleep(rng.random() * 2)
            await self._is_taken(event_id, 1, rng)

    async def _is_taken(self, event_id: str, copies: int, rng: random.Random) -> bool:
        self._stripe.webhook_url = rng.choice(self._fleet.addresses) + "/webhooks/stripe"
        self.copies += copies - 1
        try:
            answers = await self._stripe.deliver(event_id, times=copies)
        except httpx.TransportError:
            self.refused += 1
            return False
        is_taken = any(answer.is_success for answer in answers)
        self.refused += not is_taken
        return is_taken


class Hurry:
    """Makes the pauses short that the product makes out of politeness: they are not what is tried here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def work(self) -> None:
        """Go on until cancelled."""
        while True:
            with contextlib.suppress(Exception):
                await self._store.run("update rate_slots set next_at = now() where next_at > now()")
            await asyncio.sleep(0.2)
