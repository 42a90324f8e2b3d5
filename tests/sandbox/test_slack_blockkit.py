"""Block Kit's limits, one by one."""

import copy
from typing import Any

import pytest

from sandbox.slack import NotPossibleError, SlackStandIn, check_manifest, check_message_blocks, check_view
from tests.sandbox.slack_kit import actions, button, modal, plain, section, text, text_input

Block = dict[str, Any]


def option(words: str, value: str = "1", **more: object) -> Block:
    return {"text": plain(words), "value": value, **more}


def menu(kind: str = "static_select", **more: object) -> Block:
    return {"type": kind, "action_id": "team", **more}


def confirm(**more: object) -> Block:
    return {"title": plain("Sure?"), "text": plain("x"), "confirm": plain("Yes"), "deny": plain("No"), **more}


GOOD: list[Block] = [
    section("x" * 3000, accessory=button("a", "x" * 75, value="x" * 2000, style="primary", confirm=confirm())),
    {"type": "section", "fields": [text("x" * 2000)] * 10},
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider", "block_id": "x" * 255},
    {"type": "context", "elements": [text("x")] * 10},
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    actions(*[button(str(n)) for n in range(25)]),
    actions(menu(options=[option("x" * 75, str(n)) for n in range(100)], initial_option=option("x" * 75, "3"))),
    actions(menu("overflow", options=[option("x", str(n)) for n in range(5)])),
    actions(menu("external_select", min_query_length=2, placeholder=plain("x" * 150))),
    section("x", accessory=menu("multi_static_select", options=[option("a")], max_selected_items=1)),
    section("x", accessory=menu("checkboxes", options=[option("a", description=plain("d" * 75))])),
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
    {"type": "input", "label": plain("x"), "element": menu("datepicker", initial_date="2026-12-01")},
]

BAD: list[tuple[Block, str]] = [
    (section(""), "must be more than 0 characters"),
    (section("x" * 3001), "must be less than 3001 characters"),
    ({"type": "section"}, "must define either: text, fields"),
    ({"type": "section", "fields": [text("x")] * 11}, "no more than 10 items"),
    ({"type": "section", "fields": [text("x" * 2001)]}, "must be less than 2001"),
    ({"type": "header", "text": text("x")}, "unsupported type: mrkdwn"),
    ({"type": "header", "text": plain("x" * 151)}, "must be less than 151"),
    ({"type": "context", "elements": [text("x")] * 11}, "no more than 10 items"),
    ({"type": "context", "elements": [button("a")]}, "unsupported type: button"),
    ({"type": "image", "image_url": "https://example.com/a.png"}, "missing required field: alt_text"),
    ({"type": "divider", "text": plain("x")}, "unknown field: text"),
    ({"type": "divider", "block_id": "x" * 256}, "must be less than 256"),
    ({"type": "carousel", "elements": []}, "unsupported type: carousel"),
    ({"text": plain("x")}, "missing required field: type"),
    (actions(), "no less than 1 items"),
    (actions(*[button(str(n)) for n in range(26)]), "no more than 25 items"),
    (actions(button("a"), button("a")), "action_id already exists: a"),
    (actions(button("a", value="x" * 2001)), "must be less than 2001"),
    (actions(button("a", style="default")), "must be one of: primary, danger"),
    (actions(button("a", url="javascript:alert(1)")), "must match pattern"),
    (actions(button("a", colour="red")), "unknown field: colour"),
    (actions(button("x" * 256)), "must be less than 256"),
    (actions(button("a", confirm=confirm(title=plain("x" * 101)))), "must be less than 101"),
    (actions(button("a", confirm=confirm(text=plain("x" * 301)))), "must be less than 301"),
    (actions(button("a", confirm=confirm(deny=plain("x" * 31)))), "must be less than 31"),
    (actions(button("a", confirm={"title": plain("x")})), "missing required field: text"),
    (actions({"type": "button", "action_id": "a", "text": text("*x*")}), "unsupported type: mrkdwn"),
    (actions(menu()), "exactly one of: options, option_groups"),
    (actions(menu(options=[])), "no less than 1 items"),
    (actions(menu(options=[option("x", str(n)) for n in range(101)])), "no more than 100 items"),
    (actions(menu(options=[option("x" * 76)])), "must be less than 76"),
    (actions(menu(options=[option("x", "y" * 151)])), "must be less than 151"),
    (actions(menu(options=[option("a"), option("b")])), "option values must be unique"),
    (actions(menu(options=[option("a")], initial_option=option("b"))), "must be one of the options"),
    (actions(menu("overflow", options=[option("x", str(n)) for n in range(6)])), "no more than 5 items"),
    (actions(menu("multi_users_select")), "unsupported type: multi_users_select"),
    (actions(menu("plain_text_input")), "unsupported type: plain_text_input"),
    (actions(menu("external_select", options=[option("x")])), "unknown field: options"),
    (section("x", accessory=menu("datepicker", initial_date="1.12.2026")), "must match pattern"),
    (section("x", accessory=[button("a")]), "must be an object"),
]


@pytest.mark.parametrize("block", GOOD, ids=lambda block: str(block["type"]))
def test_what_slack_takes(block: Block) -> None:
    assert check_message_blocks([block]) == []


@pytest.mark.parametrize(("block", "complaint"), BAD, ids=lambda each: each if isinstance(each, str) else "")
def test_what_slack_refuses(block: Block, complaint: str) -> None:
    assert any(complaint in line for line in check_message_blocks([block])), check_message_blocks([block])


def test_limits_of_whole_messages_and_windows() -> None:
    divider = {"type": "divider"}
    assert check_message_blocks([divider] * 50) == []
    assert check_message_blocks([divider] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]
    assert check_message_blocks([{**divider, "block_id": "a"}] * 2)[0].startswith("block_id already exists: a")
    assert check_message_blocks("divider") == ["must be an array [json-pointer:/blocks]"]
    assert check_view(modal(*[divider] * 100), "modal") == []
    assert "no more than 100 items" in check_view(modal(*[divider] * 101), "modal")[0]


@pytest.mark.parametrize(
    ("view", "complaint"),
    [
        (modal(title=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (modal(title=text("x")), "unsupported type: mrkdwn"),
        (modal(private_metadata="x" * 3001), "must be less than 3001"),
        (modal(callback_id="x" * 256), "must be less than 256"),
        (modal(text_input("note")), "missing required field: submit"),
        (modal(text_input("note", max_length=3001), submit=plain("Go")), "must be between 1 and 3000"),
        (modal(text_input("note", min_length=9, max_length=3), submit=plain("Go")), "min_length must not be more"),
        (
            modal(text_input("a", focus_on_load=True), text_input("b", focus_on_load=True), submit=plain("Go")),
            "focus",
        ),
        ({"type": "home", "blocks": []}, "unsupported type: home"),
        ({"type": "modal", "blocks": []}, "missing required field: title"),
    ],
)
def test_windows_that_slack_refuses(view: Block, complaint: str) -> None:
    assert any(complaint in line for line in check_view(view, "modal")), check_view(view, "modal")


MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Sideline"},
    "features": {
        "bot_user": {"display_name": "sideline"},
        "slash_commands": [{"command": "/player", "description": "Look", "url": "https://club.test/slack/events"}],
        "shortcuts": [{"type": "message", "name": "Find", "callback_id": "find_player", "description": "Find"}],
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write"]}},
    "settings": {"interactivity": {"is_enabled": True, "request_url": "https://club.test/slack/events"}},
}


async def test_a_manifest_limits_what_people_can_do() -> None:
    assert check_manifest(MANIFEST) == []
    slack = SlackStandIn(bot_token="xoxb-a", signing_secret="b", manifest=MANIFEST)
    slack.add_user("U0COACH", "Casey")
    slack.add_channel("C0GENERAL", "general")
    with pytest.raises(NotPossibleError, match="not a command"):
        await slack.command("U0COACH", "C0GENERAL", "/blast")
    with pytest.raises(NotPossibleError, match="does not subscribe"):
        await slack.open_home("U0COACH")


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("display_information", "name"), "x" * 36, "must be less than 36"),
        (("features", "slash_commands", 0, "command"), "/" + "x" * 32, "must be less than 33"),
        (("features", "shortcuts", 0, "name"), "x" * 25, "must be less than 25"),
        (("oauth_config", "scopes", "bot"), ["chat:write"], "need the commands scope"),
        (("settings", "interactivity"), {"is_enabled": True}, "missing required field: request_url"),
        (("settings", "sockets"), True, "unknown field: sockets"),
    ],
)
def test_manifests_that_slack_refuses(path: tuple[str | int, ...], value: object, complaint: str) -> None:
    manifest: Any = copy.deepcopy(MANIFEST)
    place = manifest
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert any(complaint in line for line in check_manifest(manifest)), check_manifest(manifest)
    with pytest.raises(ValueError, match="would refuse"):
        SlackStandIn(bot_token="xoxb-a", signing_secret="b", manifest=manifest)
