"""People act, a Bolt app answers: signed requests, acknowledgements, windows, complaints."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from slack_bolt.async_app import AsyncAck, AsyncBoltRequest, AsyncRespond
from slack_sdk.errors import SlackApiError

from sandbox.slack import NotPossibleError
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
    section,
    text_input,
)

CONFIRM = {"title": plain("Sure?"), "text": plain("42 families"), "confirm": plain("Send"), "deny": plain("Wait")}


async def test_a_command_is_answered_to_the_asker_alone() -> None:
    async with club() as here:

        @here.app.command("/player")
        async def player(ack: AsyncAck, command: Json, respond: AsyncRespond) -> None:
            assert (command["user_id"], command["channel_name"]) == (COACH, "general")
            await ack(text=f"looking for {command['text']}", blocks=[section("*Jaxon*")])
            await respond("and a second answer")

        done = await here.slack.command(COACH, GENERAL, "/player", "jaxon")
        assert (done.status, done.error) == (200, None)
        assert await here.slack.workspace.wait_until(lambda: len(done.messages) == 2, 2)
        assert {message.text for message in done.messages} == {"looking for jaxon", "and a second answer"}
        assert all(message.ephemeral_to == COACH for message in done.messages)
        assert here.slack.problems == []


async def test_forged_and_old_requests_are_not_believed() -> None:
    async with club() as here:
        body = b"command=%2Fplayer&text=jaxon"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        forged = here.slack.sign(body, secret="another-secret")
        old = here.slack.sign(body, timestamp=int(datetime.now(UTC).timestamp()) - 301)
        for headers in ({}, forged, old):
            assert (await here.slack.send_raw(body, {**form, **headers})).status == 401
        assert await here.slack.verify_events_url()


async def test_late_and_failed_acknowledgements_are_noticed() -> None:
    async with club(ack_within=0.1) as here:

        @here.app.command("/slow")
        async def slow(ack: AsyncAck) -> None:
            await asyncio.sleep(0.2)
            await ack()

        late = await here.slack.command(COACH, GENERAL, "/slow")
        assert (late.status, late.error) == (None, "operation_timeout")
        assert here.slack.late_acks == [late.id]
        unknown = await here.slack.command(COACH, GENERAL, "/unknown")
        assert (unknown.status, unknown.error) == (404, "dispatch_failed")
        assert len(here.slack.problems) == 2


async def test_an_answer_with_bad_blocks_is_not_shown() -> None:
    async with club() as here:

        @here.app.command("/player")
        async def player(ack: AsyncAck) -> None:
            await ack(text="x", blocks=[section("")])

        done = await here.slack.command(COACH, GENERAL, "/player", "x")
        assert (done.error, done.messages) == ("invalid_blocks", [])
        assert "must be more than 0 characters" in here.slack.problems[0]


async def test_buttons_confirm_replace_and_grow_old() -> None:
    async with club() as here:
        pressed: list[Json] = []

        @here.app.action("blast_approve")
        async def approve(ack: AsyncAck, body: Json, respond: AsyncRespond) -> None:
            pressed.append(body)
            await ack()
            if "message" in body:
                await here.client.chat_update(
                    channel=PAYMENTS, ts=body["message"]["ts"], text="Approved", blocks=[]
                )
            else:
                await respond(text="done", replace_original=True)

        approval = button("blast_approve", "Approve the blast", value="7", confirm=CONFIRM)
        await here.client.chat_postMessage(channel=PAYMENTS, text="A blast", blocks=[actions(approval)])
        [message] = here.slack.messages
        old = message.snapshot()
        assert not (await here.slack.press(ADMIN, message, "blast_approve", confirm=False)).sent
        with pytest.raises(NotPossibleError):
            await here.slack.press(OUTSIDER, message, "blast_approve")
        with pytest.raises(NotPossibleError):
            await here.slack.press(ADMIN, message, "blast_cancel")
        await here.slack.press(ADMIN, message, "blast_approve")
        assert (message.text, message.blocks) == ("Approved", [])
        with pytest.raises(NotPossibleError):
            await here.slack.press(ADMIN, old, "blast_approve")
        await here.slack.press(ADMIN, old, "blast_approve", stale=True)
        assert [body["actions"][0]["value"] for body in pressed] == ["7", "7"]
        assert pressed[0]["container"]["message_ts"] == message.ts

        await here.client.chat_postEphemeral(channel=PAYMENTS, user=ADMIN, text="x", blocks=[actions(approval)])
        shown = here.slack.messages[-1]
        with pytest.raises(NotPossibleError):
            await here.slack.press(COACH, shown, "blast_approve")
        done = await here.slack.press(ADMIN, shown, "blast_approve")
        assert (shown.text, shown.ephemeral_to, done.messages) == ("done", ADMIN, [shown])
        assert here.slack.problems == []


async def test_several_buttons_are_told_apart_by_value() -> None:
    async with club() as here:
        values: list[str] = []

        @here.app.action("resend_link")
        async def resend(ack: AsyncAck, action: Json) -> None:
            values.append(action["value"])
            await ack()

        rows = [section("one", accessory=button("resend_link", value=value)) for value in ("1", "2")]
        await here.client.chat_postMessage(channel=PAYMENTS, text="x", blocks=rows)
        with pytest.raises(NotPossibleError, match="which value"):
            await here.slack.press(COACH, here.slack.messages[0], "resend_link")
        await here.slack.press(COACH, here.slack.messages[0], "resend_link", value="2")
        assert values == ["2"]


async def test_a_response_url_works_five_times_within_thirty_minutes() -> None:
    now = [datetime.now(UTC)]
    async with club(clock=lambda: now[0]) as here, aiohttp.ClientSession() as session:
        urls: list[str] = []

        @here.app.command("/player")
        async def player(ack: AsyncAck, command: Json) -> None:
            urls.append(command["response_url"])
            await ack()

        async def answer(url: str, **payload: object) -> int:
            async with session.post(url, json=payload) as response:
                return response.status

        await here.slack.command(COACH, GENERAL, "/player", "a")
        await here.slack.command(COACH, GENERAL, "/player", "b")
        assert await answer(urls[0], text="here", response_type="in_channel") == 200
        assert await answer(urls[0], blocks="nonsense", text="x") == 400
        assert [await answer(urls[0], text="more") for _ in range(4)] == [200, 200, 200, 404]
        now[0] += timedelta(minutes=31)
        assert await answer(urls[1], text="too late") == 404
        assert [message.ephemeral_to for message in here.slack.messages] == [None, COACH, COACH, COACH]
        assert len(here.slack.problems) == 3


async def test_a_trigger_opens_one_window_within_three_seconds() -> None:
    now = [datetime.now(UTC)]
    async with club(clock=lambda: now[0]) as here:
        errors: list[str] = []

        @here.app.command("/blast")
        async def blast(ack: AsyncAck, command: Json) -> None:
            await ack()
            if command["text"] == "late":
                now[0] += timedelta(seconds=4)
            for _ in range(2):
                try:
                    await here.client.views_open(trigger_id=command["trigger_id"], view=modal(section("hi")))
                except SlackApiError as error:
                    errors.append(error.response["error"])

        done = await here.slack.command(COACH, GENERAL, "/blast")
        assert [view.title for view in done.views] == ["A blast"]
        await here.slack.command(COACH, GENERAL, "/blast", "late")
        assert errors == ["exchanged_trigger_id", "expired_trigger_id", "expired_trigger_id"]
        with pytest.raises(SlackApiError, match="hash_conflict"):
            await here.client.views_update(view_id=done.views[0].id, hash="old", view=modal(section("new")))


async def test_a_modal_is_filled_in_refused_changed_and_closed() -> None:
    async with club() as here:
        window = modal(text_input("note", max_length=20), submit=plain("Next"), callback_id="blast_form")
        answers = iter(
            [
                {"response_action": "errors", "errors": {"note_block": "Say a little more."}},
                {"response_action": "errors", "errors": {"other_block": "Nowhere."}},
                {
                    "response_action": "push",
                    "view": modal(section("Sure?"), submit=plain("Send"), callback_id="sure"),
                },
            ]
        )
        heard: list[str] = []

        @here.app.command("/blast")
        async def blast(ack: AsyncAck, command: Json) -> None:
            await ack()
            await here.client.views_open(trigger_id=command["trigger_id"], view=window)

        @here.app.view("blast_form")
        async def form(ack: AsyncAck, view: Json) -> None:
            heard.append(view["state"]["values"]["note_block"]["note"]["value"])
            await ack(next(answers))

        @here.app.view("sure")
        async def sure(ack: AsyncAck) -> None:
            await ack(response_action="clear")

        done = await here.slack.command(COACH, GENERAL, "/blast")
        view = await done.view()
        with pytest.raises(NotPossibleError, match="must be filled in"):
            await here.slack.submit(COACH, view)
        with pytest.raises(NotPossibleError, match="0 to 20 characters"):
            await here.slack.submit(COACH, view, {"note": "x" * 21})
        assert (await here.slack.submit(COACH, view, {"note": "a"})).errors == {"note_block": "Say a little more."}
        assert (await here.slack.submit(COACH, view, {"note": "b"})).error == "invalid_response"
        await here.slack.submit(COACH, view, {"note": "c"})
        assert [each.callback_id for each in here.slack.views] == ["blast_form", "sure"]
        with pytest.raises(NotPossibleError, match="beneath another"):
            await here.slack.submit(COACH, view, {"note": "d"})
        await here.slack.submit(COACH, here.slack.views[-1])
        assert (here.slack.views, heard) == ([], ["a", "b", "c"])


async def test_closing_a_window_is_told_to_an_app_that_asked() -> None:
    async with club() as here:
        closed: list[str] = []

        @here.app.command("/blast")
        async def blast(ack: AsyncAck, command: Json) -> None:
            await ack()
            view = modal(section("hi"), notify_on_close=True, callback_id="form", private_metadata="7")
            await here.client.views_open(trigger_id=command["trigger_id"], view=view)

        @here.app.view_closed("form")
        async def form(ack: AsyncAck, view: Json) -> None:
            closed.append(view["private_metadata"])
            await ack()

        view = await (await here.slack.command(COACH, GENERAL, "/blast")).view()
        await here.slack.close(view)
        assert (closed, here.slack.views) == (["7"], [])


async def test_an_external_select_is_searched_and_chosen_from() -> None:
    async with club() as here:
        picked: list[str] = []

        @here.app.options("player_search")
        async def search(ack: AsyncAck, body: Json) -> None:
            names = [name for name in ("Jaxon Reed", "Jaxon Ray") if body["value"] in name.lower()]
            await ack(options=[{"text": plain(name), "value": name[-3:]} for name in names])

        @here.app.action("player_search")
        async def pick(ack: AsyncAck, action: Json) -> None:
            picked.append(action["selected_option"]["value"])
            await ack()

        menu = {"type": "external_select", "action_id": "player_search", "min_query_length": 2}
        await here.client.chat_postMessage(channel=GENERAL, text="x", blocks=[actions(menu)])
        [message] = here.slack.messages
        with pytest.raises(NotPossibleError, match="no such option"):
            await here.slack.select(COACH, message, "player_search", "Jaxon Reed")
        with pytest.raises(NotPossibleError, match="min_query_length"):
            await here.slack.suggest(COACH, message, "player_search", "j")
        assert len(await here.slack.suggest(COACH, message, "player_search", "jaxon")) == 2
        await here.slack.select(COACH, message, "player_search", "Jaxon Ray")
        assert (picked, here.slack.problems) == (["Ray"], [])


async def test_shortcuts_and_the_home_tab_reach_the_app() -> None:
    async with club() as here:

        @here.app.shortcut("find_player")
        async def find(ack: AsyncAck, shortcut: Json, respond: AsyncRespond) -> None:
            await ack()
            await respond(f"searching {shortcut['message']['text']}")

        @here.app.event("app_home_opened")
        async def home(event: Json) -> None:
            view = {"type": "home", "blocks": [section(f"Hello {event['user']}")]}
            await here.client.views_publish(user_id=event["user"], view=view)

        message = await here.slack.say(COACH, GENERAL, "Jaxon's mother asks <how> to pay")
        done = await here.slack.shortcut(COACH, "find_player", message)
        assert (await done.message()).text == "searching Jaxon's mother asks &lt;how&gt; to pay"
        opened = await here.slack.open_home(COACH)
        assert (await opened.view()).blocks[0]["text"]["text"] == f"Hello {COACH}"
        assert here.slack.homes[COACH].kind == "home"
        assert here.slack.problems == []


async def test_events_are_sent_again_when_they_fail() -> None:
    async with club() as here:
        tries: list[str] = []

        @here.app.middleware
        async def count(request: AsyncBoltRequest, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002 - Bolt's name
            tries.append((request.headers.get("x-slack-retry-num") or [""])[0])
            await next()

        failed = await here.slack.open_home(COACH)
        assert (failed.error, tries) == ("dispatch_failed", ["", "1", "2", "3"])


async def test_three_windows_are_the_most_and_only_a_window_can_push() -> None:
    async with club() as here:
        errors: list[str] = []

        @here.app.command("/blast")
        async def blast(ack: AsyncAck, command: Json) -> None:
            await ack()
            view = modal(actions(button("deeper", "Go deeper")))
            if command["text"] == "push":
                try:
                    await here.client.views_push(trigger_id=command["trigger_id"], view=view)
                except SlackApiError as error:
                    errors.append(error.response["error"])
            else:
                await here.client.views_open(trigger_id=command["trigger_id"], view=view)

        @here.app.action("deeper")
        async def deeper(ack: AsyncAck, body: Json) -> None:
            await ack()
            view = modal(actions(button("deeper", "Go deeper")))
            try:
                await here.client.views_push(trigger_id=body["trigger_id"], view=view)
            except SlackApiError as error:
                errors.append(error.response["error"])

        await here.slack.command(COACH, GENERAL, "/blast", "push")
        await here.slack.command(COACH, GENERAL, "/blast")
        for _ in range(3):
            await here.slack.press(COACH, here.slack.views[-1], "deeper")
        assert (len(here.slack.views), errors) == (3, ["invalid_trigger_id", "push_limit_reached"])
        assert here.slack.views[2].previous_view_id == here.slack.views[1].id


async def test_two_people_can_press_at_once() -> None:
    async with club() as here:
        pressed: list[str] = []

        @here.app.action("blast_approve")
        async def approve(ack: AsyncAck, body: Json) -> None:
            pressed.append(body["user"]["id"])
            await asyncio.sleep(0.02)
            await ack()

        await here.client.chat_postMessage(channel=PAYMENTS, text="x", blocks=[actions(button("blast_approve"))])
        [message] = here.slack.messages
        both = [here.slack.press(who, message, "blast_approve") for who in (ADMIN, COACH)]
        assert [done.status for done in await asyncio.gather(*both)] == [200, 200]
        assert sorted(pressed) == [ADMIN, COACH]
