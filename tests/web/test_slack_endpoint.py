"""Slack's requests: what Bolt would trip over is refused first, the rest is Bolt's."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult

from core.services import Services
from tests.web.conftest import web_client
from web.app import build_web
from web.slack_endpoint import slack_endpoint

SIGNING_SECRET = "made-up-signing-secret"
COMMAND = urlencode({"command": "/player", "text": "jaxon", "team_id": "T1", "user_id": "U1"}).encode()


def signed(body: bytes, *, at: float | None = None) -> dict[str, str]:
    moment = str(int(time.time() if at is None else at))
    digest = hmac.new(SIGNING_SECRET.encode(), f"v0:{moment}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def bolt() -> AsyncApp:
    async def authorize(**_: object) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-made-up", bot_user_id="U0")

    app = AsyncApp(signing_secret=SIGNING_SECRET, authorize=authorize, process_before_response=True)

    @app.command("/player")
    async def player(ack: AsyncAck, command: dict[str, str]) -> None:
        await ack(f"Looking for {command['text']}")

    return app


@pytest.fixture
async def slack_client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_web(services, slack=slack_endpoint(bolt())))
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        yield client


async def test_a_signed_command_is_answered(slack_client: httpx.AsyncClient) -> None:
    answer = await slack_client.post("/slack/events", content=COMMAND, headers=signed(COMMAND))
    assert (answer.status_code, answer.text) == (200, "Looking for jaxon")


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", "12.5", "-1", "\u00b2", "9" * 5000, pytest.param(str(int(time.time()) - 400), id="too old"), "0"],
)
async def test_a_timestamp_that_is_none_or_old(timestamp: str, slack_client: httpx.AsyncClient) -> None:
    headers = {**signed(COMMAND), "X-Slack-Request-Timestamp": timestamp}
    encoded = {key.encode(): value.encode("latin-1") for key, value in headers.items()}
    answer = await slack_client.post("/slack/events", content=COMMAND, headers=encoded)
    assert answer.status_code == 401


@pytest.mark.parametrize("signature", [None, "", "v0=00", "v0=caf\u00e9"])
async def test_a_signature_that_is_none(signature: str | None, slack_client: httpx.AsyncClient) -> None:
    headers = {
        key.encode(): value.encode() for key, value in signed(COMMAND).items() if key != "X-Slack-Signature"
    }
    if signature is not None:
        headers[b"X-Slack-Signature"] = signature.encode("latin-1")
    answer = await slack_client.post("/slack/events", content=COMMAND, headers=headers)
    assert answer.status_code == 401


async def test_bodies_that_are_no_text_or_too_long(slack_client: httpx.AsyncClient) -> None:
    garbage = await slack_client.post("/slack/events", content=b"text=\xff", headers=signed(b"text=\xff"))
    long = b"text=" + b"x" * 1024 * 1024
    too_long = await slack_client.post("/slack/events", content=long, headers=signed(long))
    assert (garbage.status_code, too_long.status_code) == (400, 413)


async def test_off_says_so(services: Services) -> None:
    async with web_client(services) as client:
        answer = await client.post("/slack/events", content=COMMAND, headers=signed(COMMAND))
    assert (answer.status_code, "SLACK_BOT_TOKEN" in answer.json()["error"]) == (503, True)


async def test_without_a_signing_secret_nothing_over_http_is_believed(services: Services) -> None:
    settings = services.settings.model_copy(update={"slack_signing_secret": None})
    application = build_web(replace(services, settings=settings), slack=slack_endpoint(bolt()))
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        answer = await client.post("/slack/events", content=COMMAND, headers=signed(COMMAND))
    assert (answer.status_code, "SLACK_SIGNING_SECRET" in answer.json()["error"]) == (503, True)
