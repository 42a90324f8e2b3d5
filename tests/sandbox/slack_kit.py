"""A served stand-in of Slack, and a small Bolt app for it to talk to."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from fastapi import FastAPI, Request, Response
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.server import serve
from sandbox.slack import Pace, SlackStandIn

TOKEN, SECRET, APP_TOKEN = "xoxb-test-token", "test-signing-secret", "xapp-test-token"
COACH, ADMIN, OUTSIDER = "U0COACH", "U0ADMIN", "U0OUTSIDER"
PAYMENTS, GENERAL = "C0PAYMENTS", "C0GENERAL"

Json = dict[str, Any]


class Options(TypedDict, total=False):
    scopes: Collection[str]
    pace: Pace
    ack_within: float
    clock: Callable[[], datetime]
    manifest: Json


def text(words: str, kind: str = "mrkdwn") -> Json:
    return {"type": kind, "text": words}


def plain(words: str) -> Json:
    return text(words, "plain_text")


def button(action_id: str, label: str = "Send the link again", **more: object) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(label), **more}


def actions(*elements: Json, **more: object) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def section(words: str, **more: object) -> Json:
    return {"type": "section", "text": text(words), **more}


def modal(*blocks: Json, **more: object) -> Json:
    return {"type": "modal", "title": plain("A blast"), "blocks": list(blocks), **more}


def text_input(action_id: str, **more: object) -> Json:
    element = {"type": "plain_text_input", "action_id": action_id, **more}
    return {"type": "input", "block_id": f"{action_id}_block", "label": plain("A note"), "element": element}


@contextlib.asynccontextmanager
async def slack_served(**options: Unpack[Options]) -> AsyncIterator[tuple[SlackStandIn, AsyncWebClient]]:
    slack = SlackStandIn(bot_token=TOKEN, signing_secret=SECRET, app_token=APP_TOKEN, **options)
    slack.add_user(COACH, "Casey Coach", email="casey@example.com")
    slack.add_user(ADMIN, "Ada Admin", email="ada@example.com")
    slack.add_user(OUTSIDER, "Otto Outsider")
    slack.add_channel(PAYMENTS, "payments", members={ADMIN, COACH})
    slack.add_channel(GENERAL, "general")
    slack.add_channel("C0ELSEWHERE", "elsewhere", bot_is_member=False)
    async with serve(slack.app) as base_url:
        slack.base_url = base_url
        yield slack, AsyncWebClient(TOKEN, base_url=f"{base_url}/api/", retry_handlers=[])


@dataclass
class Club:
    slack: SlackStandIn
    client: AsyncWebClient
    app: AsyncApp


@contextlib.asynccontextmanager
async def club(**options: Unpack[Options]) -> AsyncIterator[Club]:
    """A stand-in and an empty Bolt app behind a FastAPI route; tests add their listeners."""
    async with slack_served(**options) as (slack, client):
        app = AsyncApp(client=client, signing_secret=SECRET, process_before_response=True)
        web = FastAPI()
        handler = AsyncSlackRequestHandler(app)

        @web.post("/slack/events")
        async def events(request: Request) -> Response:
            return await handler.handle(request)

        async with serve(web) as product:
            slack.events_url = f"{product}/slack/events"
            yield Club(slack, client, app)
