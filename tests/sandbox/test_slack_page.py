"""What the browser's page gets and may do, and the demo's front page."""

from dataclasses import dataclass

import aiohttp
from slack_bolt.async_app import AsyncAck

from sandbox.home import home_app
from sandbox.mailbox import Mailbox
from sandbox.server import serve
from tests.sandbox.slack_kit import (
    ADMIN,
    COACH,
    GENERAL,
    OUTSIDER,
    PAYMENTS,
    Json,
    actions,
    button,
    club,
    modal,
    plain,
    text_input,
)


async def seen_by(session: aiohttp.ClientSession, user: str) -> Json:
    async with session.get("/ui/state", params={"user": user}) as response:
        state: Json = await response.json()
        return state


async def act(session: aiohttp.ClientSession, kind: str, user: str, **what: object) -> Json:
    async with session.post("/ui/act", json={"kind": kind, "user": user, **what}) as response:
        answer: Json = await response.json()
        return answer


async def test_each_person_sees_their_own() -> None:
    async with club() as here, aiohttp.ClientSession(here.slack.base_url) as session:
        await here.client.chat_postMessage(channel=PAYMENTS, text="paid")
        await here.client.chat_postEphemeral(channel=GENERAL, user=COACH, text="for the coach")
        coach, outsider = await seen_by(session, COACH), await seen_by(session, OUTSIDER)
        assert [message["text"] for message in coach["messages"]] == ["paid", "for the coach"]
        assert outsider["messages"] == []
        assert PAYMENTS not in [channel["id"] for channel in outsider["channels"]]
        since = {"user": COACH, "since": f"{COACH}/{here.slack.workspace.version}"}
        async with session.get("/ui/state", params=since) as response:
            assert response.status == 204
        for path in ("/", "/static/app.js", "/static/style.css"):
            async with session.get(path) as response:
                assert response.status == 200


async def test_the_page_types_presses_and_fills_in() -> None:
    async with club() as here, aiohttp.ClientSession(here.slack.base_url) as session:
        heard: list[str] = []

        @here.app.command("/blast")
        async def blast(ack: AsyncAck, command: Json) -> None:
            await ack(text="see", blocks=[actions(button("open", value="a")), actions(button("open", value="a"))])

        @here.app.action("open")
        async def open_window(ack: AsyncAck, body: Json) -> None:
            await ack()
            view = modal(text_input("note"), submit=plain("Go"), callback_id="form")
            await here.client.views_open(trigger_id=body["trigger_id"], view=view)

        @here.app.view("form")
        async def form(ack: AsyncAck, view: Json) -> None:
            heard.append(view["state"]["values"]["note_block"]["note"]["value"])
            await ack()

        await act(session, "command", ADMIN, channel=GENERAL, command="/blast", text="")
        [message] = (await seen_by(session, ADMIN))["messages"]
        where = {"channel": GENERAL, "ts": message["ts"], "action_id": "open"}
        assert "error" in await act(session, "press", ADMIN, **where, block_id="elsewhere")
        await act(session, "press", ADMIN, **where, block_id=message["blocks"][1]["block_id"])
        window = (await seen_by(session, ADMIN))["modal"]
        assert (await act(session, "submit", ADMIN, view=window["id"], filled=[]))["error"]
        filled = [{"block_id": "note_block", "action_id": "note", "given": "hello"}]
        assert (await act(session, "submit", ADMIN, view=window["id"], filled=filled))["error"] is None
        assert (heard, (await seen_by(session, ADMIN))["modal"]) == (["hello"], None)


async def test_other_sites_forms_cannot_act() -> None:
    async with club() as here, aiohttp.ClientSession(here.slack.base_url) as session:
        body = '{"kind": "say", "user": "U0COACH", "channel": "C0GENERAL", "text": "forged"}'
        async with session.post("/ui/act", data=body, headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415
        assert here.slack.messages == []


@dataclass
class Address:
    base_url: str


async def test_the_front_page_leads_everywhere() -> None:
    mailbox = Mailbox()
    home = home_app(Address("http://127.0.0.1:1"), Address("http://127.0.0.1:2"), mailbox)
    async with serve(home) as address, aiohttp.ClientSession(address) as session:
        expected = {
            "/": "/player jaxon",
            "/see/slack": 'src="http://127.0.0.1:1/"',
            "/see/stripe": 'src="http://127.0.0.1:2/dashboard"',
            "/see/mailbox": 'src="/mailbox/"',
            "/mailbox/": "No mail yet",
        }
        for path, words in expected.items():
            async with session.get(path) as response:
                assert (response.status, words in await response.text()) == (200, True)
        async with session.get("/see/bank") as response:
            assert response.status == 404
