"""Every command, button and window of Slack's, from one workspace with the other club's ids in it."""

import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from bot.messenger import SlackMessenger
from core.models import Notice, ReconcileFinding, ReconcileRun, StripeEvent, UnmatchedPayment
from core.notices import NoticeKind
from tests.books import add
from tests.tenants.conftest import (
    HERE_ADMIN,
    HERE_CHANNEL,
    HERE_TEAM,
    SECRET_NAMES,
    THERE_ADMIN,
    THERE_CHANNEL,
    THERE_TEAM,
    THERE_TOKEN,
    TwoClubs,
    Workspaces,
    install_there,
)
from web.app import build_web
from web.slack_endpoint import slack_endpoint

Json = dict[str, Any]
COMMANDS = {"/player", "/resend", "/blast", "/dues"}
WINDOWS = {
    "blast",
    "record_payment",
    "record_payment_confirmed",
    "change_amount",
    "take_off",
    "charge_player",
    "player_fee",
    "reminders_change",
    "hold_family",
}
SUGGESTIONS = {"player_search", "payment_match"}
EVENTS = {"app_home_opened", "app_uninstalled", "tokens_revoked"}
SHORTCUTS = {"find_player"}
ACTIONS = {
    "player_select",
    "player_search",
    "resend_link",
    "copy_link",
    "blast_audience",
    "blast_approve",
    "blast_cancel",
    "blast_retry_failed",
    "blast_send_test",
    "payment_match",
    "reconcile_repair",
    "order_menu",
    "payment_undo",
    "charge_player",
    "player_fee",
    "payment_refund",
    "reminders_change",
    "reminders_preview",
    "hold_family",
    "hold_lift",
    "job_retry",
    "job_retry_all",
    "job_dismiss",
}


def names_in(function: Any) -> Iterator[str]:  # noqa: ANN401 - Bolt keeps what a listener is for in closures alone
    for cell in getattr(function, "__closure__", None) or ():
        if isinstance(cell.cell_contents, str):
            yield cell.cell_contents
        elif callable(cell.cell_contents):
            yield from names_in(cell.cell_contents)


def test_every_listener_is_walked(workspaces: Workspaces) -> None:
    matchers = [matcher for listener in workspaces.bot.app._async_listeners for matcher in listener.matchers]
    listening = {name for matcher in matchers for name in names_in(matcher.func)}  # type: ignore[attr-defined]
    assert listening == COMMANDS | WINDOWS | SUGGESTIONS | EVENTS | SHORTCUTS | ACTIONS


async def strangers_ids(two: TwoClubs) -> dict[str, int]:
    """Make one of everything in the first club, and return what a button of its would carry."""
    await two.fill()
    tenant_id = two.here.tenant_id
    async with two.database.transaction() as conn:
        event = {"id": "evt_test_x", "type": "checkout.session.completed"}
        await conn.execute(insert(StripeEvent).values(**event))
        money = {"amount_cents": 15000, "currency": "usd", "method": "card", "payer_name": "Zebedee Quill"}
        ids = {"stripe_event_id": "evt_test_x", "stripe_payment_intent_id": "pi_test_x"}
        unmatched = await add(conn, UnmatchedPayment, tenant_id=tenant_id, **ids, **money)
        run = await add(conn, ReconcileRun, tenant_id=tenant_id)
        found = {"kind": "link_without_debt", "key": "plink_test", "facts": {"player": "Zebedee Quill"}}
        finding = await add(conn, ReconcileFinding, tenant_id=tenant_id, run_id=run, **found)
    return {
        "order": two.here.order_id,
        "player": two.here.player_id,
        "parent": two.here.parent_id,
        "team": two.here.team_id,
        "unmatched": unmatched,
        "finding": finding,
        "run": run,
        **two.filled[tenant_id],
    }


def values(ids: dict[str, int]) -> list[str]:
    """Every form that a control's value has, with the other club's ids."""
    order, player = ids["order"], ids["player"]
    pairs = [f"{order}.{player}", f"{ids['payment']}.{player}", f"{player}.{order}"]
    menu = [f"{word}.{order}.{player}" for word in ("pay", "amount", "cancel")]
    return sorted({*map(str, ids.values()), f"tournament.{ids['team']}", *menu, *pairs})


def who(kind: str) -> Json:
    return {
        "type": kind,
        "user": {"id": THERE_ADMIN, "name": "ada", "team_id": THERE_TEAM},
        "team": {"id": THERE_TEAM, "domain": "there"},
        "channel": {"id": THERE_CHANNEL, "name": "payments"},
        "container": {"type": "message", "message_ts": "1.1", "channel_id": THERE_CHANNEL},
        "message": {"ts": "1.1", "text": "zebedee quill", "blocks": [], "user": THERE_ADMIN},
        "trigger_id": "1.2.3",
    }


def requests(ids: dict[str, int]) -> Iterator[tuple[str, Json]]:
    """Yield every request that the second club's admin could send, by what it is for."""
    for command, typed in itertools.product(COMMANDS, ("zebedee", "quill dec", "", str(ids["player"]))):
        asked = {"command": command, "text": typed, "team_id": THERE_TEAM, "user_id": THERE_ADMIN}
        yield command, asked | {"channel_id": THERE_CHANNEL, "trigger_id": "1.2.3"}
    for action_id, value in itertools.product(ACTIONS, values(ids)):
        chosen = {"selected_option": {"value": value, "text": {"type": "plain_text", "text": "x"}}}
        block = f"unmatched.{ids['unmatched']}"
        pressed = {"type": "button", "action_id": action_id, "block_id": block, "value": value, **chosen}
        yield action_id, {"payload": json.dumps(who("block_actions") | {"actions": [pressed]})}
    place: Json = {"player_id": ids["player"], "order_id": ids["order"], "response_url": "", "view_id": ""}
    paid = {"order_id": ids["order"], "amount_cents": 15000, "method": "cash", "reference": ""}
    windows: list[Json] = [place, {"place": place, "payment": paid}]
    for callback_id, carried in itertools.product(WINDOWS, windows):
        yield (
            callback_id,
            {"payload": json.dumps(who("view_submission") | {"view": window(callback_id, carried, ids)})},
        )
    for action_id in SUGGESTIONS:
        for block in (f"unmatched.{ids['unmatched']}", "unmatched_" + str(ids["unmatched"]), "b"):
            asked = {"action_id": action_id, "block_id": block, "value": "zebedee"}
            yield action_id, {"payload": json.dumps(who("block_suggestion") | asked)}
    yield "find_player", {"payload": json.dumps(who("message_action") | {"callback_id": "find_player"})}


def window(callback_id: str, carried: Json, ids: dict[str, int]) -> Json:
    fields: dict[str, Json] = {
        name: {"value": "12.00"} for name in ("amount", "fee", "price", "reference", "reason", "note", "name")
    }
    fields |= {"blast_audience": {"selected_option": {"value": str(ids["team"])}}}
    fields |= {name: {"selected_option": {"value": "cash"}} for name in ("method", "category", "item")}
    fields |= {name: {"selected_date": "2027-01-01"} for name in ("until", "due")}
    return {
        "id": "V0VIEW",
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": json.dumps(carried),
        "state": {"values": {name: {name: given} for name, given in fields.items()}},
        "blocks": [],
        "hash": "1.a",
    }


@pytest.mark.timeout(90)
async def test_nothing_of_the_other_club_is_shown_changed_or_sent(two: TwoClubs, workspaces: Workspaces) -> None:
    await install_there(workspaces)
    ids = await strangers_ids(two)
    before = await two.everything_here()
    client = slack_client(workspaces)
    walked = set()
    # Answers that Slack refuses are logged with their traces, which takes longer than all the rest.
    with capture_logs():
        for name, asked in requests(ids):
            body = urlencode(asked).encode()
            answer = await client.post("/slack/events", content=body, headers=signed(workspaces, body))
            assert answer.status_code == 200, (name, answer.text)
            shows_nothing(answer.text, name)
            walked.add(name)
        await workspaces.bot._desk.background.drain()
    event = {"type": "app_home_opened", "user": THERE_ADMIN, "tab": "home", "channel": THERE_CHANNEL}
    told = {"type": "event_callback", "team_id": THERE_TEAM, "event_id": "Ev1", "event": event}
    body = json.dumps(told).encode()
    answer = await client.post(
        "/slack/events", content=body, headers={**signed(workspaces, body), "Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert walked | EVENTS == COMMANDS | WINDOWS | SUGGESTIONS | EVENTS | SHORTCUTS | ACTIONS
    await workspaces.bot._desk.background.drain()
    for call in workspaces.there.api_calls:
        shows_nothing(str(call.args), call.method)
    assert [call for call in workspaces.here.api_calls if call.method != "auth.test"] == []
    assert await two.everything_here() == before
    assert await two.jobs_about_here() == []


def shows_nothing(shown: str, where: str) -> None:
    # What was typed is repeated: looked for are the words that nobody there typed.
    hidden = [name for name in SECRET_NAMES[2:] if name in shown.lower()]
    assert hidden == [], (where, shown)
    assert "Jaxon Quill" not in shown
    assert "Zebedee Quill" not in shown, (where, shown)


def slack_client(workspaces: Workspaces) -> httpx.AsyncClient:
    application = build_web(workspaces.services, slack=slack_endpoint(workspaces.bot.app))
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://club.example.com")


def signed(workspaces: Workspaces, body: bytes) -> dict[str, str]:
    return {"Content-Type": "application/x-www-form-urlencoded", **workspaces.there.sign(body)}


async def test_an_admin_of_one_club_is_nobody_in_the_other(two: TwoClubs, workspaces: Workspaces) -> None:
    await install_there(workspaces)
    client = slack_client(workspaces)
    for team, user, expected in (
        (HERE_TEAM, HERE_ADMIN, "Zebedee"),
        (THERE_TEAM, THERE_ADMIN, "Jaxon"),
        (HERE_TEAM, THERE_ADMIN, "not on its list"),
        (THERE_TEAM, HERE_ADMIN, "not on its list"),
        ("T0STRANGE", HERE_ADMIN, "not set up"),
    ):
        asked = {"command": "/player", "text": "jaxon zebedee"[:5] if team == THERE_TEAM else "zebedee"}
        body = urlencode(
            {**asked, "team_id": team, "user_id": user, "channel_id": "C1", "trigger_id": "1"}
        ).encode()
        answer = await client.post("/slack/events", content=body, headers=signed(workspaces, body))
        assert expected in answer.text, (team, user)


async def test_each_clubs_notices_go_to_its_own_channel_with_its_own_token(
    two: TwoClubs, workspaces: Workspaces
) -> None:
    await install_there(workspaces)
    await two.fill()
    messenger = SlackMessenger(workspaces.services, workspaces.bot.clubs)
    async with two.database.transaction() as conn:
        for number, books in enumerate((two.here, two.there)):
            facts = {"order_id": books.order_id, "payment_id": two.filled[books.tenant_id]["payment"]}
            paid = {"amount_cents": 100, "method": "cash", **facts}
            new = {"tenant_id": books.tenant_id, "kind": NoticeKind.PAYMENT.value, "key": f"payment:{number}"}
            await add(conn, Notice, **new, facts=paid)
        notices = list(await conn.scalars(select(Notice.id).order_by(Notice.id)))
    for notice_id in notices:
        await messenger.post_notice(notice_id)
    (told_here,), (told_there,) = workspaces.here.messages, workspaces.there.messages
    assert (told_here.channel, told_there.channel) == (HERE_CHANNEL, THERE_CHANNEL)
    assert "Zebedee" in str(told_here.blocks)
    assert "Jaxon" in str(told_there.blocks)


async def test_a_club_that_no_workspace_let_in_hears_nothing_by_another(
    two: TwoClubs, workspaces: Workspaces
) -> None:
    messenger = SlackMessenger(workspaces.services, workspaces.bot.clubs)
    await messenger.tell_person(two.there.tenant_id, THERE_ADMIN, "for there alone")
    assert workspaces.here.messages == []
    assert THERE_TOKEN not in workspaces.front.installed
