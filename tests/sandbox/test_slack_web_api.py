"""The Web API refuses what Slack refuses, seen through Slack's own SDK."""

import time
from collections.abc import Awaitable

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from sandbox.slack import Fault, Pace
from tests.sandbox.slack_kit import (
    ADMIN,
    COACH,
    GENERAL,
    OUTSIDER,
    PAYMENTS,
    TOKEN,
    actions,
    button,
    section,
    slack_served,
)


async def refused(call: Awaitable[object]) -> AsyncSlackResponse:
    with pytest.raises(SlackApiError) as caught:
        await call
    response: AsyncSlackResponse = caught.value.response
    return response


async def test_a_post_can_be_updated_and_deleted_by_the_app() -> None:
    async with slack_served() as (slack, client):
        posted = await client.chat_postMessage(
            channel=PAYMENTS,
            text="Paid",
            blocks=[section("*Paid*"), actions(button("blast_approve", "Approve the blast"))],
            metadata={"event_type": "payment", "event_payload": {"order_id": 7}},
        )
        [message] = slack.messages
        assert message.metadata == {"event_type": "payment", "event_payload": {"order_id": 7}}
        assert message.blocks[1]["block_id"]
        await client.chat_update(channel=PAYMENTS, ts=posted["ts"], text="Approved")
        assert (message.text, message.blocks, message.edited) == ("Approved", [], True)
        link = await client.chat_getPermalink(channel=PAYMENTS, message_ts=posted["ts"])
        assert PAYMENTS in link["permalink"]
        await client.chat_delete(channel=PAYMENTS, ts=posted["ts"])
        assert (slack.messages, message.deleted, slack.problems) == ([], True, [])


async def test_what_cannot_be_posted() -> None:
    async with slack_served() as (slack, client):
        post = client.chat_postMessage
        assert (await refused(post(channel="C0NOWHERE", text="hi")))["error"] == "channel_not_found"
        assert (await refused(post(channel="C0ELSEWHERE", text="hi")))["error"] == "not_in_channel"
        assert (await refused(client.api_call("chat.postMessage", json={"channel": PAYMENTS, "text": " "})))[
            "error"
        ] == "no_text"
        assert (await refused(post(channel=PAYMENTS, text="x" * 40_001)))["error"] == "msg_too_long"
        large = [section("x" * 2900) for _ in range(5)]
        assert (await refused(post(channel=PAYMENTS, text="x", blocks=large)))["error"] == "msg_blocks_too_long"
        long_button = [actions(button("a", "x" * 76))]
        answer = await refused(post(channel=PAYMENTS, text="x", blocks=long_button))
        assert answer["error"] == "invalid_blocks"
        place = "[json-pointer:/blocks/0/elements/0/text/text]"
        assert answer["response_metadata"]["messages"] == [f"[ERROR] must be less than 76 characters {place}"]
        bad = {"event_type": "payment"}
        assert (await refused(post(channel=PAYMENTS, text="x", metadata=bad)))[
            "error"
        ] == "invalid_metadata_format"
        assert (await refused(post(channel=PAYMENTS, text="x", thread_ts="1.000001")))[
            "error"
        ] == "thread_not_found"
        assert slack.messages == []


async def test_ephemeral_and_foreign_messages_cannot_be_updated() -> None:
    async with slack_served() as (slack, client):
        shown = await client.chat_postEphemeral(channel=GENERAL, user=COACH, text="only you")
        gone = await refused(client.chat_update(channel=GENERAL, ts=shown["message_ts"], text="new"))
        assert gone["error"] == "message_not_found"
        by_person = await slack.say(COACH, GENERAL, "How does Jaxon's family pay?")
        foreign = await refused(client.chat_update(channel=GENERAL, ts=by_person.ts, text="new"))
        assert foreign["error"] == "cant_update_message"
        outside = client.chat_postEphemeral(channel=PAYMENTS, user=OUTSIDER, text="x")
        assert (await refused(outside))["error"] == "user_not_in_channel"


async def test_tokens_and_scopes() -> None:
    async with slack_served(scopes=["chat:write"]) as (_, client):
        known = await client.auth_test()
        assert (known["team_id"], known.headers["x-oauth-scopes"]) == ("T0SIDELINE", "chat:write")
        missing = await refused(client.users_info(user=COACH))
        assert (missing["error"], missing["needed"]) == ("missing_scope", "users:read")
        client.token = "xoxb-wrong"
        assert (await refused(client.auth_test()))["error"] == "invalid_auth"
        client.token = None
        assert (await refused(client.auth_test()))["error"] == "not_authed"
        assert (await client.api_test())["ok"]
        assert (await refused(client.api_call("chat.shout")))["error"] == "unknown_method"


async def test_forms_and_json_are_both_understood() -> None:
    async with (
        slack_served() as (slack, _),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
    ):
        address = f"{slack.base_url}/api/chat.postMessage"
        blocks = '[{"type": "divider"}]'
        async with session.post(address, data={"channel": GENERAL, "text": "a", "blocks": blocks}) as response:
            assert (await response.json())["ok"]
        async with session.post(address, json={"channel": "#general", "text": "b"}) as response:
            assert (await response.json())["channel"] == GENERAL
        async with session.post(address, json=["channel"]) as response:
            assert (await response.json())["error"] == "json_not_object"
        async with session.post(address, data={"text": "no channel", "shout": "1"}) as response:
            assert (await response.json())["error"] == "invalid_arguments"
        assert [message.text for message in slack.messages] == ["a", "b"]


async def test_only_posting_takes_names_and_people_for_channels() -> None:
    async with slack_served() as (_, client):
        posted = await client.chat_postMessage(channel=COACH, text="hello")
        assert posted["channel"] == "D0COACH"
        for reference in (COACH, "#general"):
            update = client.chat_update(channel=reference, ts=posted["ts"], text="new")
            assert (await refused(update))["error"] == "channel_not_found"
        assert (await refused(client.users_list(limit=-1)))["error"] == "invalid_arguments"


async def test_people_and_groups_can_be_looked_up() -> None:
    async with slack_served() as (slack, client):
        slack.add_usergroup("S0COACHES", "coaches", [COACH, ADMIN])
        assert (await client.users_info(user=COACH))["user"]["profile"]["email"] == "casey@example.com"
        assert (await client.users_lookupByEmail(email="ADA@example.com"))["user"]["id"] == ADMIN
        assert (await refused(client.users_info(user="U0NOBODY")))["error"] == "user_not_found"
        assert (await client.usergroups_users_list(usergroup="S0COACHES"))["users"] == [COACH, ADMIN]
        first = await client.users_list(limit=2)
        second = await client.users_list(limit=2, cursor=first["response_metadata"]["next_cursor"])
        assert [user["id"] for user in [*first["members"], *second["members"]]] == list(slack.workspace.users)
        assert OUTSIDER not in (await client.conversations_members(channel=PAYMENTS))["members"]
        opened = await client.conversations_open(users=COACH)
        await client.chat_postMessage(channel=opened["channel"]["id"], text="hello")
        slack.faults.add(Fault("error", "usergroups.users.list", error="plan_upgrade_required"))
        assert (await refused(client.usergroups_users_list(usergroup="S0COACHES")))[
            "error"
        ] == "plan_upgrade_required"


async def test_a_channel_takes_a_burst_and_then_one_message_a_second() -> None:
    async with slack_served(pace=Pace(post_burst=2)) as (slack, client):
        for number in range(2):
            await client.chat_postMessage(channel=GENERAL, text=str(number))
        too_fast = await refused(client.chat_postMessage(channel=GENERAL, text="2"))
        assert (too_fast.status_code, too_fast["error"]) == (429, "ratelimited")
        assert too_fast.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel=PAYMENTS, text="another channel has its own pace")
        assert [call.error for call in slack.api_calls] == [None, None, "ratelimited", None]


async def test_faults_come_as_ordered() -> None:
    async with slack_served() as (slack, client):
        slack.faults.add(Fault("ratelimited", "chat.postMessage", seconds=7))
        limited = await refused(client.chat_postMessage(channel=GENERAL, text="a"))
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
        slack.faults.add(Fault("server_error", times=2))
        for _ in range(2):
            assert (await refused(client.auth_test())).status_code == 500
        slack.faults.add(Fault("delay", seconds=0.05))
        started = time.perf_counter()
        assert (await client.auth_test())["ok"]
        assert time.perf_counter() - started > 0.05
        slack.faults.add(Fault("garbage"))
        await refused(client.auth_test())
        slack.faults.add(Fault("drop", "chat.postMessage"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.chat_postMessage(channel=GENERAL, text="lost")
        slack.faults.add(Fault("drop", "chat.postMessage", executes=True))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.chat_postMessage(channel=GENERAL, text="kept")
        assert [message.text for message in slack.messages] == ["kept"]


async def test_a_file_goes_up_in_two_steps() -> None:
    async with slack_served() as (slack, client):
        await client.files_upload_v2(
            channel=PAYMENTS, filename="owed.csv", content="name,cents\nJaxon,15000\n", initial_comment="Owed"
        )
        [message] = slack.messages
        assert slack.workspace.files[message.files[0]].content == b"name,cents\nJaxon,15000\n"
        again = client.files_completeUploadExternal(files=[{"id": message.files[0], "title": "x"}])
        assert (await refused(again))["error"] == "file_already_shared"


async def test_unescaped_names_are_called_out() -> None:
    async with slack_served() as (slack, client):
        await client.chat_postMessage(
            channel=GENERAL, text="&lt;b&gt; &amp; <https://example.com/a?b=1&c=2|pay> <@U0COACH>"
        )
        assert slack.problems == []
        await client.chat_postMessage(channel=GENERAL, text="x", blocks=[section("Tom & <b>Jerry")])
        assert len(slack.problems) == 3
        await client.chat_postMessage(channel=GENERAL, text="<!channel> wake up")
        assert "mentions everybody" in slack.problems[-1]


def test_methods_have_tiers_that_fill_up_again() -> None:
    now = [0.0]
    pace = Pace(monotonic=lambda: now[0])
    assert [pace.wait_for_method("chat.update", 3) for _ in range(50)] == [0] * 50
    assert pace.wait_for_method("chat.update", 3) == 2
    assert pace.wait_for_method("views.open", 4) == 0
    now[0] += 2
    assert pace.wait_for_method("chat.update", 3) == 0
