"""Rubbish at Slack's address, signed and not: each body gets a clear answer, in time, and never a 5xx."""

import itertools
import json
from time import time
from typing import Any
from urllib.parse import urlencode

import httpx
from hypothesis import given
from hypothesis import strategies as st
from structlog.typing import EventDict

from bot.gate import NOT_FROM_HERE
from tests.abuse.conftest import Product
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, JSON, ask, mutated
from tests.bot.conftest import ADMIN, APPROVALS, COACH, GENERAL, TEAM

Json = dict[str, Any]
COMMANDS = ("/player", "/resend", "/blast", "/dues")
ACTIONS = (
    "blast_approve",
    "blast_audience",
    "blast_cancel",
    "blast_retry_failed",
    "blast_send_test",
    "charge_player",
    "copy_link",
    "hold_family",
    "hold_lift",
    "job_dismiss",
    "job_retry",
    "job_retry_all",
    "order_menu",
    "payment_match",
    "payment_refund",
    "payment_undo",
    "player_fee",
    "player_search",
    "player_select",
    "reconcile_repair",
    "reminders_change",
    "reminders_preview",
    "resend_link",
)
WINDOWS = (
    "blast",
    "change_amount",
    "charge_player",
    "hold_family",
    "player_fee",
    "record_payment",
    "record_payment_confirmed",
    "reminders_change",
    "take_off",
)
SUGGESTIONS = ("payment_match", "player_search")
# The shortcut, the home tab, and the two by which Slack tells that a workspace took the app out.
OTHER_LISTENERS = 4
TYPED: tuple[str, ...] = (
    "amount",
    "blast_note",
    "days_after",
    "days_before",
    "min_gap_days",
    "monthly",
    "note",
    "price",
    "reason",
)
TYPED += ("reference", "what")
CHOSEN = ("blast_audience", "kind", "method", "needs_approval", "is_on")
DAYS = ("due", "until")
TIMES = ("quiet_from", "quiet_until", "send_at")

# What our own controls carry, made up.
VALUES = st.one_of(
    st.sampled_from(["1", "1.1", "pay.1.1", "amount.1.1", "cancel.1.1", "9" * 18, "1.999", "outstanding_balance"]),
    st.builds("{}.{}".format, st.integers(-1, 10**30), st.integers(-1, 10**30)),
    CLEAN_TEXTS,
)
IDS = st.integers(0, 2**63 - 1)
PLACES = st.fixed_dictionaries(
    {"player_id": IDS, "order_id": IDS, "response_url": st.just(""), "view_id": st.just("")}
)
PAYMENTS_MADE = st.fixed_dictionaries(
    {
        "order_id": IDS,
        "amount_cents": IDS,
        "method": st.sampled_from(["cash", "bitcoin"]),
        "reference": CLEAN_TEXTS,
    }
)
# What windows carry: ours, and what an earlier version may have written.
METADATA = st.one_of(
    PLACES.map(json.dumps),
    st.fixed_dictionaries({"place": PLACES, "payment": PAYMENTS_MADE}).map(json.dumps),
    JSON.map(json.dumps),
    VALUES,
)
PEOPLE = st.sampled_from([ADMIN, COACH])


def who(kind: str, user_id: str) -> Json:
    return {
        "type": kind,
        "user": {"id": user_id, "name": "somebody", "team_id": TEAM},
        "team": {"id": TEAM, "domain": "club"},
        "channel": {"id": APPROVALS, "name": "approvals"},
        "container": {"type": "message", "message_ts": "1.1", "channel_id": APPROVALS},
        "message": {"ts": "1.1", "text": "Jaxon Reed", "blocks": []},
        "trigger_id": "1.2.3",
    }


def action(user_id: str, action_id: str, value: str) -> Json:
    pressed = {
        "type": "button",
        "action_id": action_id,
        "block_id": "b",
        "value": value,
        "selected_option": {"value": value, "text": {"type": "plain_text", "text": "x"}},
    }
    return who("block_actions", user_id) | {"actions": [pressed]}


def submission(user_id: str, callback_id: str, metadata: str, typed: str, day: str | None) -> Json:
    """Send a window in: in text fields anything, in the others what Slack lets people choose."""
    fields: dict[str, Json] = {name: {"value": typed} for name in TYPED}
    fields |= {name: {"selected_option": {"value": typed}} for name in CHOSEN}
    fields |= {name: {"selected_date": day} for name in DAYS}
    fields |= {name: {"selected_time": "09:30"} for name in TIMES}
    fields |= {"weekdays": {"selected_options": [{"value": "1"}, {"value": "7"}]}}
    view = {
        "id": "V0VIEW",
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": metadata,
        "state": {"values": {name: {name: field} for name, field in fields.items()}},
        "blocks": [],
        "hash": "1.a",
    }
    return who("view_submission", user_id) | {"view": view}


def suggestion(user_id: str, action_id: str, typed: str) -> Json:
    return who("block_suggestion", user_id) | {"action_id": action_id, "block_id": "b", "value": typed}


def shortcut(user_id: str, written: str) -> Json:
    message = {"ts": "1.1", "text": written, "user": COACH}
    return who("message_action", user_id) | {"callback_id": "find_player", "message": message}


PAYLOADS = st.one_of(
    st.builds(action, PEOPLE, st.sampled_from(ACTIONS), VALUES),
    st.builds(submission, PEOPLE, st.sampled_from(WINDOWS), METADATA, VALUES, st.none() | st.dates().map(str)),
    st.builds(suggestion, PEOPLE, st.sampled_from(SUGGESTIONS), CLEAN_TEXTS),
    st.builds(shortcut, PEOPLE, CLEAN_TEXTS),
)
EVENT: Json = {
    "type": "event_callback",
    "team_id": TEAM,
    "event_id": "Ev1",
    "event": {"type": "app_home_opened", "user": COACH, "tab": "home", "channel": GENERAL},
}


async def send(product: Product, body: bytes, kind: str = "application/x-www-form-urlencoded") -> httpx.Response:
    headers = {"Content-Type": kind, **product.slack.sign(body)}
    answer = await ask(product.client, "POST", "/slack/events", content=body, headers=headers)
    assert answer.status_code in {200, 400, 401, 404}, answer.text
    return answer


def unforeseen(logged: list[EventDict]) -> list[Any]:
    """Return the failures that were answered with a reference only."""
    return [event.get("exc_info") for event in logged if event["event"] == "slack_request_failed"]


def form(payload: object) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def test_every_listener_is_fuzzed(product: Product) -> None:
    """A new control, window or command has to be named above, so that it is tried too."""
    known = len(COMMANDS) + len(ACTIONS) + len(WINDOWS) + len(SUGGESTIONS) + OTHER_LISTENERS
    assert len(product.bot.app._async_listeners) == known


@FUZZ
@given(user_id=PEOPLE, command=st.sampled_from(COMMANDS), typed=CLEAN_TEXTS, extra=CLEAN_TEXTS)
async def test_commands_with_anything_typed(
    product: Product, user_id: str, command: str, typed: str, extra: str
) -> None:
    given_form = {"command": command, "text": typed, "team_id": TEAM, "user_id": user_id, "trigger_id": extra}
    answer = await send(product, urlencode(given_form | {"channel_id": GENERAL}).encode())
    assert answer.status_code == 200


@FUZZ
@given(payload=PAYLOADS)
async def test_controls_with_any_value(product: Product, logged: list[EventDict], payload: Json) -> None:
    answer = await send(product, form(payload))
    assert answer.status_code == 200
    assert unforeseen(logged) == []


@FUZZ
@given(payload=PAYLOADS.flatmap(mutated))
async def test_payloads_of_every_shape(product: Product, payload: object) -> None:
    await send(product, form(payload))


@FUZZ
@given(event=st.one_of(mutated(EVENT), JSON))
async def test_events_of_every_shape(product: Product, event: object) -> None:
    await send(product, json.dumps(event).encode(), "application/json")


@FUZZ
@given(
    body=st.one_of(st.binary(max_size=200), PAYLOADS.map(form)),
    timestamp=st.one_of(
        st.just(str(int(time()))), st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
    ),
    signature=st.one_of(
        st.just("v0=" + "0" * 64), st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
    ),
)
async def test_what_is_not_signed_is_refused(
    product: Product, body: bytes, timestamp: str, signature: str
) -> None:
    headers = {
        b"X-Slack-Request-Timestamp": timestamp.replace("\x7f", "").strip().encode("latin-1"),
        b"X-Slack-Signature": signature.replace("\x7f", "").strip().encode("latin-1"),
    }
    answer = await ask(product.client, "POST", "/slack/events", content=body, headers=headers)
    assert answer.status_code in {400, 401}
    assert answer.json()["error"]


BROKEN = [
    b"payload=",
    b"payload=[",
    b"payload=[]",
    b"payload=1",
    b"payload=null",
    b"payload=%22x%22",
    b"payload=" + b"[" * 100_000,
    b"payload=" + b"%7B%22a%22:" * 30_000,
    b"payload=%7B%22type%22%3A%22%5Cud800%22%7D",
    b"[]",
    b"{}",
    b"null",
    b"{" * 100_000,
    b"&&&===",
    b"a=b;c=d",
    b"\0\0\0",
    b"%ff%fe%00",
    b"text=\xff",
    b"",
]


async def test_bodies_that_break_parsers(product: Product) -> None:
    kinds = ("application/x-www-form-urlencoded", "application/json", "multipart/form-data", "")
    for body, kind in itertools.product(BROKEN, kinds):
        await send(product, body, kind)
        unsigned = {"Content-Type": kind, "X-Slack-Request-Timestamp": "1", "X-Slack-Signature": "v0=00"}
        answer = await ask(product.client, "POST", "/slack/events", content=body, headers=unsigned)
        assert answer.status_code in {400, 401}


async def test_payloads_that_are_no_objects_are_refused(product: Product) -> None:
    for payload in (b"nope", b"[]", b"null", b"1", b"%22x%22", b""):
        answer = await send(product, b"payload=" + payload)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("The body is not one of Slack's")


async def test_a_workspace_that_is_no_clubs_gets_answers_that_slack_can_read(product: Product) -> None:
    """Typed into a list, anything but JSON would be shown as a failure of ours."""
    typed = suggestion(COACH, "player_search", "Jaxon") | {"team": {"id": "T0ELSEWHERE"}}
    typed["user"] |= {"team_id": "T0ELSEWHERE"}
    assert (await send(product, form(typed))).json() == {"options": []}
    command = {"command": "/player", "text": "Jaxon", "team_id": "T0ELSEWHERE", "user_id": COACH}
    answer = (await send(product, urlencode(command | {"trigger_id": "1.2.3"}).encode())).json()
    assert (answer["response_type"], answer["text"]) == ("ephemeral", NOT_FROM_HERE)


async def test_a_form_with_very_many_fields_is_read_in_time(product: Product) -> None:
    await send(product, b"&".join(b"a%d=1" % number for number in range(90_000)))
