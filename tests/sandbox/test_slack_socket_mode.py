"""Bolt's own Socket Mode handler connects to the stand-in."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError

from sandbox.slack import SlackStandIn
from tests.sandbox.slack_kit import APP_TOKEN, COACH, GENERAL, SECRET, Json, section, slack_served


@contextlib.asynccontextmanager
async def connected(app: AsyncApp, slack: SlackStandIn) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(app, APP_TOKEN)
    handler.client.web_client.base_url = f"{slack.base_url}/api/"
    await handler.connect_async()  # type: ignore[no-untyped-call]
    assert await slack.workspace.wait_until(lambda: slack.socket_mode.current() is not None, 3)
    yield handler
    await handler.close_async()  # type: ignore[no-untyped-call]
    assert await slack.workspace.wait_until(lambda: slack.socket_mode.current() is None, 3)


async def test_commands_events_and_acknowledgements_go_through_the_socket() -> None:
    async with slack_served() as (slack, client):
        app = AsyncApp(client=client, signing_secret=SECRET)

        @app.command("/player")
        async def player(ack: AsyncAck, command: Json) -> None:
            await ack(f"looking for {command['text']}")

        @app.event("app_home_opened")
        async def home(event: Json) -> None:
            await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section("Hi")]})

        async with connected(app, slack):
            done = await slack.command(COACH, GENERAL, "/player", "jaxon")
            assert (done.status, done.messages[0].text) == (200, "looking for jaxon")
            opened = await slack.open_home(COACH)
            assert (await opened.view()).kind == "home"
            first = slack.socket_mode.current()
            assert first is not None
            await first.close()
            anew = slack.workspace.wait_until(lambda: slack.socket_mode.current() not in {None, first}, 3)
            assert await anew
            assert (await slack.command(COACH, GENERAL, "/player", "again")).status == 200
            assert slack.problems == []


async def test_an_envelope_that_nobody_acknowledges_times_out() -> None:
    async with slack_served(ack_within=0.1) as (slack, client):
        app = AsyncApp(client=client, signing_secret=SECRET)

        @app.command("/player")
        async def player() -> None:
            pass

        async with connected(app, slack):
            done = await slack.command(COACH, GENERAL, "/player", "jaxon")
            assert (done.status, done.error) == (None, "operation_timeout")


async def test_only_the_app_token_opens_a_socket_and_a_ticket_only_once() -> None:
    async with slack_served() as (slack, client), aiohttp.ClientSession() as session:
        for token, error in (("xoxb-x", "not_allowed_token_type"), ("xapp-wrong", "invalid_auth")):
            with pytest.raises(SlackApiError, match=error):
                await client.apps_connections_open(app_token=token)
        url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            await socket.send_str("nonsense")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)
        assert slack.problems == ["Socket Mode: a frame is not JSON"]
