"""How we listen: uvicorn, bounded in every direction that a stranger could push it in.

Its own connections lack two bounds: how long a request may take to arrive, and how long its head may be. Without
them, somebody who sends a byte now and then keeps connections for ever, and a head without an end grows in memory
until there is none left.
"""

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.settings import Settings

# How long requests under way may take to end when the process is told to stop.
DRAIN_SECONDS = 10
# Beyond it, 503 at once: each may hold a body of 1 MiB, and a process may have 1,024 files open.
MOST_CONNECTIONS = 800
KEEP_ALIVE_SECONDS = 5


class BoundedProtocol(HttpToolsProtocol):
    """Serves one connection. Every request has to be there, its body included, within `REQUEST_SECONDS`."""

    # Longer than `web.bodies` waits, which can still answer.
    REQUEST_SECONDS = 20.0
    # As much as nginx takes by default, twice: a long token and a browser's cookies of other pages fit.
    MOST_HEAD_BYTES = 64 * 1024

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed what came in to the parser, and break off where a head does not end."""
        was_in_head = self._is_in_head
        super().data_received(data)
        # What a head shares a chunk with is not counted: a chunk is bounded anyway.
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")
        # Whatever comes in ends uvicorn's own wait for the next request; an empty line begins none.
        if self._deadline is None and self.cycle.response_complete:
            self._await_request()

    def on_message_begin(self) -> None:
        """Begin to wait for the end of a request."""
        self._is_in_head, self._head_bytes = True, 0
        self._await_request()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is there."""
        self._stop_waiting()
        super().on_message_complete()

    def _await_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.REQUEST_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        # No answer: whoever is honest has been answered by now.
        self.transport.abort()


def server_config(
    application: ASGIApp,
    settings: Settings,
    *,
    host: str,
    port: int,
    protocol: type[BoundedProtocol] = BoundedProtocol,
) -> uvicorn.Config:
    """Return how an application is served; `X-Forwarded-For` is believed of `TRUSTED_PROXIES` only."""
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=protocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
