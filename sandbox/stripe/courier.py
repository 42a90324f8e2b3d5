"""Delivers events to the webhook, signed (https://docs.stripe.com/webhooks#verify-manually)."""

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx

from sandbox.stripe.books import Json

# Stripe itself goes on for three days; here somebody is watching.
PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
PATIENCE_SECONDS = 20.0
IDLE_CONNECTIONS = httpx.Limits(max_keepalive_connections=0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver an event; `status` is None when no answer came, and `error` then says why."""

    at: datetime
    status: int | None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the webhook took it."""
        return self.status is not None and 200 <= self.status < 300


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header for a body; `timestamp` is in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Courier:
    """Carries events to one webhook.

    Args:
        url: the webhook; None while there is none.
        secret: signs each delivery.
        clock: the UTC time in the signatures.
        pauses: seconds to wait before each further try.
    """

    def __init__(
        self,
        url: str | None,
        secret: str,
        clock: Callable[[], datetime],
        pauses: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self.url, self.pauses = url, pauses
        self._secret, self._clock = secret, clock
        self.attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
        self._under_way: set[asyncio.Task[None]] = set()

    def post(self, event: Json) -> None:
        """Deliver in the background, with retries; does nothing while there is no webhook."""
        if self.url is None:
            return
        task = asyncio.get_running_loop().create_task(self._keep_trying(event))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def wait(self) -> None:
        """Wait until no delivery is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in set(self._under_way):
            task.cancel()
        await self.wait()

    async def _keep_trying(self, event: Json) -> None:
        for pause in (*self.pauses, None):
            try:
                response = await self.send(event)
                if response.is_success:
                    return
            except httpx.TransportError:
                pass  # written down in `attempts`
            if pause is not None:
                await asyncio.sleep(pause)

    async def send(
        self, event: Json, *, secret: str | None = None, timestamp: int | None = None
    ) -> httpx.Response:
        """Deliver once, now; other secrets and times make forgeries and replays for tests.

        Raises:
            ValueError: there is no webhook.
            httpx.TransportError: no answer came.
        """
        if self.url is None:
            raise ValueError("There is no webhook to deliver to.")
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        moment = int(self._clock().timestamp()) if timestamp is None else timestamp
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(body, self._secret if secret is None else secret, moment),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            # Loopback only: no certificates to load, no proxy to ask.
            async with httpx.AsyncClient(
                verify=False,  # noqa: S501 - see above
                trust_env=False,
                timeout=PATIENCE_SECONDS,
                limits=IDLE_CONNECTIONS,
            ) as client:
                response = await client.post(self.url, content=body, headers=headers)
        except httpx.TransportError as error:
            self._note(event, None, f"{type(error).__name__}: {error}")
            raise
        self._note(event, response.status_code, None)
        return response

    def _note(self, event: Json, status: int | None, error: str | None) -> None:
        self.attempts[event["id"]].append(Attempt(self._clock(), status, error))
