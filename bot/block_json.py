"""Block Kit's models as JSON, without their checks, whose search through each object is most of an answer's time.

What they would find, `bot.blocks` rules out by cutting everything to Slack's limits, and the strict stand-in of
the tests refuses. A test holds that the JSON is the models' own.
"""

from collections.abc import Sequence
from typing import Any

from slack_sdk.models import JsonObject
from slack_sdk.models.blocks import Block

Json = dict[str, Any]

_NOTHING: tuple[Any, ...] = ([], ())

_names: dict[type, tuple[str, ...]] = {}


def blocks_as_json(blocks: Sequence[Block]) -> list[Json]:
    """Return blocks as Slack's API takes them."""
    return [_as_json(block) for block in blocks]


def _as_json(value: Any) -> Any:  # noqa: ANN401 - a model's attributes may be anything
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    if not isinstance(value, JsonObject):
        return value
    kind = type(value)
    if kind.to_dict is not JsonObject.to_dict:
        return value.to_dict()
    if kind not in _names:
        _names[kind] = tuple(sorted(value.attributes))
    known: Json = {}
    for name in _names[kind]:
        each = getattr(value, name, None)
        if isinstance(each, str):
            if each:
                known[name] = each
        elif each is not None and each not in _NOTHING:
            known[name] = _as_json(each)
    return known
