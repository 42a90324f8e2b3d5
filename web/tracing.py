"""A span for every request, where tracing is on. Named by route: addresses hold tokens."""

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.tracing import Tracing


class TracedRequests:
    """Wraps the application. A caller's own span is not taken up: these routes are public."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, status = str(scope["method"]), 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        named = {"http.request.method": method}
        with self._tracing.span(method, named, kind=SpanKind.SERVER) as recorded:
            try:
                await self._app(scope, receive, note_status)
            finally:
                route = str(getattr(scope.get("route"), "path", "unknown"))
                known: dict[str, str | int] = {"http.route": route, "http.response.status_code": status}
                recorded.rename(f"{method} {route}", **known)
                if status >= 500:
                    recorded.failed(str(status))
