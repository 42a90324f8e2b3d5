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
from starlette.applications import Starlette
from starlette.routing import Mount

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


def furnished(options: Options) -> SlackStandIn:
    slack = SlackStandIn(bot_token=TOKEN, signing_secret=SECRET, app_token=APP_TOKEN, **options)
    slack.add_user(COACH, "Casey Coach", email="casey@example.com")
    slack.add_user(ADMIN, "Ada Admin", email="ada@example.com")
    slack.add_user(OUTSIDER, "Otto Outsider")
    slack.add_channel(PAYMENTS, "payments", members={ADMIN, COACH})
    slack.add_channel(GENERAL, "general")
    slack.add_channel("C0ELSEWHERE", "elsewhere", bot_is_member=False)
    return slack


def client_of(slack: SlackStandIn) -> AsyncWebClient:
    return AsyncWebClient(TOKEN, base_url=f"{slack.base_url}/api/", retry_handlers=[])


@contextlib.asynccontextmanager
async def slack_served(**options: Unpack[Options]) -> AsyncIterator[tuple[SlackStandIn, AsyncWebClient]]:
    slack = furnished(options)
    async with serve(slack.app) as slack.base_url:
        yield slack, client_of(slack)


@dataclass
class Club:
    slack: SlackStandIn
    client: AsyncWebClient
    app: AsyncApp


@contextlib.asynccontextmanager
async def club(**options: Unpack[Options]) -> AsyncIterator[Club]:
    """A stand-in and, under /product, an empty Bolt app; tests add their listeners."""
    slack, web = furnished(options), FastAPI()
    both = Starlette(routes=[Mount("/product", web), Mount("/", slack.app)])
    async with serve(both) as slack.base_url:
        client = client_of(slack)
        app = AsyncApp(client=client, signing_secret=SECRET, process_before_response=True)
        handler = AsyncSlackRequestHandler(app)

        @web.post("/slack/events")
        async def events(request: Request) -> Response:
            return await handler.handle(request)

        slack.events_url = f"{slack.base_url}/product/slack/events"
        yield Club(slack, client, app)
