"""`POST /slack/events`: every request of Slack's, verified, checked for what Bolt would trip over, then Bolt's."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from urllib.parse import parse_qsl

import orjson
import structlog
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from starlette.requests import Request
from starlette.responses import Response

from core.errors import InvalidInputError, SettingsError
from core.settings import Settings
from web.bodies import read_body
from web.errors import UnauthorizedError
from web.metrics import Metrics
from web.plain_route import PlainRoute
from web.slack_bodies import check_shape

log = structlog.get_logger(__name__)

# Takes a request and its body.
SlackEndpoint = Callable[[Request, bytes], Awaitable[Response]]


def slack_endpoint(app: AsyncApp) -> SlackEndpoint:
    """Return what answers Slack's requests with this app, which checks their signature too.

    Raises (when called):
        InvalidInputError: where the body is not one of Slack's.
    """

    async def handle(request: Request, body: bytes) -> Response:
        read = _as_bolts(request, body)
        return to_starlette_response(await app.async_dispatch(read))

    return handle


def _as_bolts(request: Request, body: bytes) -> AsyncBoltRequest:
    try:
        read = to_async_bolt_request(request, body)
        if not read.body and body:
            read = _with_its_form(read)
        check_shape(read.body)
    except Exception as error:  # noqa: BLE001 - Bolt raises whatever it stumbles over
        # It takes the body apart unlooked at, so the body is to blame.
        log.warning("slack_body_refused", error=type(error).__name__, bytes=len(body))
        reason = str(error) if isinstance(error, InvalidInputError) else "The body is not one of Slack's."
        raise InvalidInputError(reason) from None
    return read


def _with_its_form(read: AsyncBoltRequest) -> AsyncBoltRequest:
    """Return a request of which Bolt read nothing: wherever `payload` stands, it looks for a field of that name.

    A command's text or a channel's name may have that word too.
    """
    form = orjson.dumps(dict(parse_qsl(read.raw_body, keep_blank_values=True))).decode()
    again = AsyncBoltRequest(body=form, query=read.query, headers=read.headers)
    # What was signed.
    again.raw_body = read.raw_body
    return again


def slack_route(settings: Settings, endpoint: SlackEndpoint | None, metrics: Metrics) -> PlainRoute:
    """Return the route; it answers 503 where Slack is off or talks over Socket Mode alone."""
    secret = settings.slack_signing_secret
    verifier = SignatureVerifier(secret.get_secret_value()) if secret is not None else None

    async def receive(request: Request) -> Response:
        if endpoint is None:
            raise SettingsError("Slack is off: set SLACK_BOT_TOKEN (xoxb-…).")
        if verifier is None:
            raise SettingsError("Slack over HTTP is off: set SLACK_SIGNING_SECRET.")
        started = perf_counter()
        answer = await endpoint(request, await _verified_body(request, verifier))
        metrics.count_slack_answer(perf_counter() - started)
        return answer

    return PlainRoute("/slack/events", receive, methods=["POST"])


async def _verified_body(request: Request, verifier: SignatureVerifier) -> bytes:
    """Return the body once it is shown to be Slack's; until then, nothing of it is taken apart.

    Follows https://docs.slack.dev/authentication/verifying-requests-from-slack.
    """
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    # First, because both make the check raise instead of refusing.
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    if not is_number or not signature.isascii():
        raise UnauthorizedError("Slack's signature headers are missing or malformed.")
    body = await read_body(request)
    try:
        is_valid = verifier.is_valid(body, timestamp, signature)
    except UnicodeDecodeError:
        raise InvalidInputError("The body is not text in UTF-8.") from None
    if not is_valid:
        raise UnauthorizedError("The signature is wrong or too old.")
    return body
