"""What surrounds every request: its id, the log's context, safe headers, the count of answers, the last catch.

Plain ASGI: Starlette's `BaseHTTPMiddleware` runs the application in a task of its own, which costs time and
keeps context variables from reaching it.
"""

import re
from collections.abc import Mapping
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.tenancy import tenant_scope
from web.errors import ErrorAnswers
from web.metrics import Metrics
from web.pages import POLICY, PRIVATE

# What is no page, or says nothing about itself, is as private and harmless as one.
SAFE: Mapping[str, str] = {**PRIVATE, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
# RFC 6797: for half a year, browsers come by HTTPS only. Other names under the club's domain are not ours to bind.
HTTPS_ONLY: Mapping[str, str] = {"Strict-Transport-Security": "max-age=15552000"}
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,127}")


class RequestShell:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, errors: ErrorAnswers, *, is_https: bool) -> None:
        self._app = app
        safe = {**SAFE, **HTTPS_ONLY} if is_https else SAFE
        self._safe_headers = [(name.lower().encode(), value.encode()) for name, value in safe.items()]
        self._metrics = metrics
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; its id is the sender's `X-Request-ID` where that is a plain word, else a new one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        senders = Headers(scope=scope).get("x-request-id", "")
        request_id = senders if _SANE_ID.fullmatch(senders) else uuid4().hex
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                missing = [header for header in self._safe_headers if header[0] not in given]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *missing]
            await send(message)

        # Nobody's until the route knows whose; and never the next request's.
        with structlog.contextvars.bound_contextvars(request_id=request_id), tenant_scope(None):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                response = self._errors.unexpected(Request(scope), error)
                if status is not None:
                    raise  # half an answer is out already: let the server break the connection off
                await response(scope, receive, send_with_headers)
        self._metrics.count_request(scope["method"], _template(scope), status or 500)


def _template(scope: Scope) -> str:
    """Return the route's template; addresses hold tokens, and there is no end of unknown ones."""
    return str(getattr(scope.get("route"), "path", "unknown"))
