"""Carries what people do to the app: signed HTTP requests, or envelopes over a socket.

Follows Slack's "Verifying requests from Slack" (docs.slack.dev/authentication/verifying-requests-from-slack).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import urlencode

import aiohttp

from sandbox.slack.shapes import Json

Kind = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app answered; `status` is None when it did not, and `error` then says how."""

    status: int | None
    body: bytes
    elapsed: float
    error: str | None = None


class Socket(Protocol):
    """A Socket Mode connection that envelopes can be sent through."""

    async def deliver(self, kind: Kind, payload: Json, within: float) -> Answer:
        """Send one envelope and wait for its acknowledgement."""


class Courier:
    """Delivers to the app and waits, as long as Slack would.

    Args:
        events_url: the app's address for everything; None while it has none.
        signing_secret: signs each request.
        clock: the UTC time in the signatures.
        ack_within: seconds until Slack gives up waiting.
    """

    def __init__(
        self, events_url: str | None, signing_secret: str, clock: Callable[[], datetime], ack_within: float
    ) -> None:
        self.events_url, self.ack_within = events_url, ack_within
        self._secret, self._clock = signing_secret, clock
        self.socket: Callable[[], Socket | None] = lambda: None

    def sign(self, body: bytes, *, timestamp: int | None = None, secret: str | None = None) -> dict[str, str]:
        """The two signature headers for a body; other times and secrets make forgeries for tests."""
        moment = int(self._clock().timestamp()) if timestamp is None else timestamp
        base = b"v0:%d:%b" % (moment, body)
        digest = hmac.new((secret or self._secret).encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": str(moment), "X-Slack-Signature": f"v0={digest}"}

    async def deliver(self, kind: Kind, payload: Json, extra: Mapping[str, str] | None = None) -> Answer:
        """Bring a payload to the app: through the socket if one is connected, else over HTTP."""
        if socket := self.socket():
            return await socket.deliver(kind, payload, self.ack_within)
        content_type = "application/x-www-form-urlencoded"
        if kind == "slash_commands":
            body = urlencode(payload).encode()
        elif kind == "interactive":
            body = urlencode({"payload": json.dumps(payload)}).encode()
        else:
            body, content_type = json.dumps(payload).encode(), "application/json"
        return await self.post(body, {"Content-Type": content_type, **self.sign(body), **(extra or {})})

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send any bytes with any headers to the app's address."""
        if self.events_url is None:
            raise RuntimeError("the app has no events_url yet")
        limit = aiohttp.ClientTimeout(total=self.ack_within)
        started = time.perf_counter()
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, trust_env=False) as session,
                session.post(self.events_url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                answer = await response.read()
                return Answer(response.status, answer, time.perf_counter() - started)
        except TimeoutError:
            return Answer(None, b"", time.perf_counter() - started, "operation_timeout")
        except aiohttp.ClientError as error:
            return Answer(None, b"", time.perf_counter() - started, f"dispatch_failed: {error}")
