"""Block Kit as the real Slack checks it: which blocks go where, their fields, and every limit.

Follows Slack's reference, "Blocks" and "Views" (docs.slack.dev/reference/block-kit/blocks, …/reference/views).
Newer blocks that a billing desk has no use for (tables, cards, videos, task plans) are refused as unsupported.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from sandbox.slack.composition import IMAGE_URL, OPTION, OPTION_GROUP, any_text, distinct_values, plain_text
from sandbox.slack.elements import ID, IMAGE, IN_ACTIONS, IN_INPUT, IN_SECTION, RICH_TEXT_PART, TYPE
from sandbox.slack.shapes import (
    Check,
    Fields,
    Findings,
    Json,
    at_least_one,
    boolean,
    by_type,
    exactly_one,
    items,
    string,
)

Surface = Literal["message", "modal", "home"]

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
MESSAGE_CHARACTERS = 13_000
BLOCK_ID: Mapping[str, Check] = {"block_id": string(255)}


def _rich_text_part(value: object, pointer: str, findings: Findings) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("elements"), list):
        findings.add(pointer, "must be a rich text element")
    else:
        RICH_TEXT_PART(value.get("type"), f"{pointer}/type", findings)


def _input_dispatch(block: Json, pointer: str, findings: Findings) -> None:
    if block.get("dispatch_action") and block["element"]["type"] == "file_input":
        findings.add(f"{pointer}/dispatch_action", "file_input does not support dispatch_action")


SECTION = Fields(
    {"type": TYPE},
    {
        **BLOCK_ID,
        "text": any_text(3000),
        "fields": items(any_text(2000), 10),
        "accessory": by_type(IN_SECTION),
        "expand": boolean,
    },
    (at_least_one("text", "fields"),),
)
IMAGE_BLOCK = Fields(
    {"type": TYPE, "alt_text": string(2000)},
    {
        **BLOCK_ID,
        "image_url": IMAGE_URL,
        "slack_file": Fields({}, {"id": ID, "url": IMAGE_URL}),
        "title": plain_text(2000),
    },
    (exactly_one("image_url", "slack_file"),),
)
CONTEXT_PART: Check = by_type({"image": IMAGE, "mrkdwn": any_text(3000), "plain_text": any_text(3000)})
INPUT = Fields(
    {"type": TYPE, "label": plain_text(2000), "element": by_type(IN_INPUT)},
    {**BLOCK_ID, "hint": plain_text(2000), "optional": boolean, "dispatch_action": boolean},
    (_input_dispatch,),
)
_EVERYWHERE: Mapping[str, Check] = {
    "section": SECTION,
    "divider": Fields({"type": TYPE}, BLOCK_ID),
    "image": IMAGE_BLOCK,
    "actions": Fields({"type": TYPE, "elements": items(by_type(IN_ACTIONS), 25)}, BLOCK_ID),
    "context": Fields({"type": TYPE, "elements": items(CONTEXT_PART, 10)}, BLOCK_ID),
    "header": Fields({"type": TYPE, "text": plain_text(150)}, BLOCK_ID),
    "input": INPUT,
    "rich_text": Fields({"type": TYPE, "elements": items(_rich_text_part, 100)}, BLOCK_ID),
}
_SURFACES: Mapping[Surface, Check] = {
    "message": by_type({**_EVERYWHERE, "markdown": Fields({"type": TYPE, "text": string(12_000)}, BLOCK_ID)}),
    "modal": by_type(_EVERYWHERE),
    "home": by_type(_EVERYWHERE),
}
_VIEW: Mapping[str, Check] = {
    "private_metadata": string(3000, minimum=0),
    "callback_id": string(255, minimum=0),
    "external_id": string(255, minimum=0),
}
_MODAL = Fields(
    {"type": TYPE, "title": plain_text(24), "blocks": items(_SURFACES["modal"], VIEW_BLOCKS, minimum=0)},
    {
        **_VIEW,
        "submit": plain_text(24),
        "close": plain_text(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
    },
)
_HOME = Fields({"type": TYPE, "blocks": items(_SURFACES["home"], VIEW_BLOCKS, minimum=0)}, _VIEW)


def elements_of(block: Json) -> list[Json]:
    """The elements of a block, wherever its type keeps them."""
    found = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
    return [each for each in found if isinstance(each, dict)]


def texts_of(value: object) -> Iterator[Json]:
    """Every text object in a document, however deep."""
    if isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, dict):
        if value.get("type") in {"mrkdwn", "plain_text"} and isinstance(value.get("text"), str):
            yield value
        for each in value.values():
            yield from texts_of(each)


def check_message_blocks(blocks: object) -> list[str]:
    """What Slack would object to in a message's blocks; empty when it would take them."""
    findings = Findings()
    items(_SURFACES["message"], MESSAGE_BLOCKS, minimum=0)(blocks, "/blocks", findings)
    if not findings.lines and isinstance(blocks, list):
        _check_ids(blocks, "/blocks", findings)
    return findings.lines


def message_size(blocks: list[Json]) -> int:
    """The characters of all texts in a message's blocks, which Slack adds up against one limit."""
    markdown = sum(len(each["text"]) for each in blocks if each["type"] == "markdown")
    return markdown + sum(len(each["text"]) for each in texts_of(blocks))


def check_view(view: object, kind: Literal["modal", "home"]) -> list[str]:
    """What Slack would object to in a modal or home view; empty when it would take it."""
    findings = Findings()
    by_type({"modal": _MODAL} if kind == "modal" else {"home": _HOME})(view, "/view", findings)
    if not findings.lines and isinstance(view, dict):
        _check_ids(view["blocks"], "/view/blocks", findings)
        _check_focus(view["blocks"], findings)
        if kind == "modal" and "submit" not in view and any(b["type"] == "input" for b in view["blocks"]):
            findings.add("/view", "missing required field: submit (a view with input blocks needs one)")
    return findings.lines


def check_suggestions(answer: object) -> list[str]:
    """What Slack would object to in the answer to an external select's question."""
    findings = Findings()
    Fields(
        {},
        {"options": items(OPTION, 100, minimum=0), "option_groups": items(OPTION_GROUP, 100, minimum=0)},
        (exactly_one("options", "option_groups"), distinct_values),
    )(answer, "", findings)
    return findings.lines


def _check_ids(blocks: list[Json], pointer: str, findings: Findings) -> None:
    counted = Counter(block["block_id"] for block in blocks if "block_id" in block)
    for block_id, count in counted.items():
        if count > 1:
            findings.add(pointer, f"block_id already exists: {block_id}")
    for number, block in enumerate(blocks):
        actions = Counter(each["action_id"] for each in elements_of(block) if "action_id" in each)
        for action_id, count in actions.items():
            if count > 1:
                findings.add(f"{pointer}/{number}", f"action_id already exists: {action_id}")


def _check_focus(blocks: list[Json], findings: Findings) -> None:
    focused = [each for block in blocks for each in elements_of(block) if each.get("focus_on_load")]
    if len(focused) > 1:
        findings.add("/view/blocks", "only one element may have focus_on_load")
