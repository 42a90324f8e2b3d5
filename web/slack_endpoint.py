"""`POST /slack/events`: every request of Slack's, checked for what Bolt would trip over, then handed to it."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from core.errors import InvalidInputError, SettingsError
from core.settings import Settings
from web.bodies import read_body
from web.errors import UnauthorizedError

SlackEndpoint = Callable[[Request], Awaitable[Response]]


def slack_endpoint(app: AsyncApp) -> SlackEndpoint:
    """Return what answers Slack's requests with this app, which checks their signature.

    Raises (when called):
        TooLargeError: beyond 1 MiB.
        UnauthorizedError: without a timestamp or signature that could be one.
        InvalidInputError: where the body is not UTF-8.
    """
    handler = AsyncSlackRequestHandler(app)

    async def handle(request: Request) -> Response:
        # First, because both make Bolt's own check raise instead of refusing.
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
        if not is_number or not signature.isascii():
            raise UnauthorizedError("Slack's signature headers are missing or malformed.")
        body = await read_body(request)
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInputError("The body is not UTF-8.") from None
        return await handler.handle(Request(request.scope, _replay(body)))

    return handle


def _replay(body: bytes) -> Callable[[], Awaitable[Message]]:
    """Return a way to read a body that was read already."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def slack_route(settings: Settings, endpoint: SlackEndpoint | None) -> APIRouter:
    """Return the route; it answers 503 where Slack is off or talks over Socket Mode alone."""
    router = APIRouter()

    @router.post("/slack/events", response_model=None)
    async def receive(request: Request) -> Response:
        if endpoint is None:
            raise SettingsError("Slack is off: set SLACK_BOT_TOKEN (xoxb-…).")
        if settings.slack_signing_secret is None:
            raise SettingsError("Slack over HTTP is off: set SLACK_SIGNING_SECRET.")
        return await endpoint(request)

    return router
