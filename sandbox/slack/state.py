"""What people have filled in, in the form of `state.values`, and how a person's answer becomes that form.

Follows Slack's "View interaction payloads" and "Block actions" (docs.slack.dev/reference/interaction-payloads).
"""

import re
from collections.abc import Callable, Mapping

from sandbox.slack.blockkit import elements_of
from sandbox.slack.composition import all_options
from sandbox.slack.model import NotPossibleError, Surface
from sandbox.slack.shapes import Json

Given = str | int | bool | list[str] | Json | None

# element type -> (key in the state, the element's own initial value, what is there when nothing was chosen)
_KEYS: Mapping[str, tuple[str, str, object]] = {
    "plain_text_input": ("value", "initial_value", None),
    "email_text_input": ("value", "initial_value", None),
    "url_text_input": ("value", "initial_value", None),
    "number_input": ("value", "initial_value", None),
    "static_select": ("selected_option", "initial_option", None),
    "external_select": ("selected_option", "initial_option", None),
    "radio_buttons": ("selected_option", "initial_option", None),
    "users_select": ("selected_user", "initial_user", None),
    "channels_select": ("selected_channel", "initial_channel", None),
    "conversations_select": ("selected_conversation", "initial_conversation", None),
    "multi_static_select": ("selected_options", "initial_options", []),
    "multi_external_select": ("selected_options", "initial_options", []),
    "checkboxes": ("selected_options", "initial_options", []),
    "multi_users_select": ("selected_users", "initial_users", []),
    "multi_channels_select": ("selected_channels", "initial_channels", []),
    "multi_conversations_select": ("selected_conversations", "initial_conversations", []),
    "datepicker": ("selected_date", "initial_date", None),
    "timepicker": ("selected_time", "initial_time", None),
    "datetimepicker": ("selected_date_time", "initial_date_time", None),
}
_PATTERNS: Mapping[str, str] = {
    "email_text_input": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "url_text_input": r"https?://\S+",
    "datepicker": r"\d{4}-\d{2}-\d{2}",
    "timepicker": r"\d{2}:\d{2}",
}


def values_of(surface: Surface) -> dict[str, dict[str, Json]]:
    """`state.values`: each stateful element as it stands, by block and action."""
    values: dict[str, dict[str, Json]] = {}
    for block in surface.blocks:
        for element in elements_of(block):
            if element.get("type") not in _KEYS:
                continue
            key, initial, nothing = _KEYS[element["type"]]
            fresh = {"type": element["type"], key: element.get(initial, nothing)}
            chosen = surface.state.get(block["block_id"], {}).get(element["action_id"], fresh)
            values.setdefault(block["block_id"], {})[element["action_id"]] = chosen
    return values


def is_empty(element: Json, state: Json) -> bool:
    """Whether an input was left empty."""
    return state[_KEYS[element["type"]][0]] in (None, "", [])


def fill_in(element: Json, given: Given, suggested: list[Json]) -> Json:
    """The state of an element after a person gave an answer; options are named by value or by text.

    Args:
        element: the element as shown.
        given: what the person typed or chose; a list where several may be chosen; None to empty it.
        suggested: the options that an external select has been offered by the app.

    Raises:
        NotPossibleError: for an answer that Slack's own window would not take.
    """
    kind: str = element["type"]
    if kind not in _KEYS:
        raise NotPossibleError(f"{kind} takes no value")
    key, _, nothing = _KEYS[kind]
    if given is None or given == "":
        return {"type": kind, key: nothing}
    if key in {"selected_option", "selected_options"}:
        offered = suggested if "external" in kind else all_options(element)
        chosen: object = _several(given, lambda each: option_named(offered, each))
        if key == "selected_option":
            chosen = _only(chosen)
    elif kind.startswith("multi_"):
        chosen = _several(given, str)
    elif kind == "datetimepicker":
        chosen = int(str(given))
    else:
        chosen = str(given)
        _check_typed(element, chosen)
    _check_count(element, chosen)
    return {"type": kind, key: chosen}


def _several(given: Given, each: Callable[[Given], object]) -> list[object]:
    return [each(one) for one in given] if isinstance(given, list) else [each(given)]


def _only(chosen: list[object] | object) -> object:
    if not isinstance(chosen, list) or len(chosen) != 1:
        raise NotPossibleError("only one can be chosen here")
    return chosen[0]


def option_named(offered: list[Json], given: Given) -> Json:
    """The option that a value, a text or the option itself means.

    Raises:
        NotPossibleError: it is not offered.
    """
    for option in offered:
        if given == option or given in (option["value"], option["text"]["text"]):
            return option
    names = ", ".join(f"{option['text']['text']!r}" for option in offered) or "none"
    raise NotPossibleError(f"no such option: {given!r}; offered: {names}")


def _check_count(element: Json, chosen: object) -> None:
    most = element.get("max_selected_items")
    if most and isinstance(chosen, list) and len(chosen) > most:
        raise NotPossibleError(f"at most {most} can be chosen")


def _check_typed(element: Json, typed: str) -> None:
    kind = element["type"]
    if kind in _PATTERNS and not re.fullmatch(_PATTERNS[kind], typed):
        raise NotPossibleError(f"{kind} does not take {typed!r}")
    if kind == "number_input":
        _check_number(element, typed)
    if kind == "plain_text_input":
        longest = element.get("max_length", 3000)
        if not element.get("min_length", 0) <= len(typed) <= longest:
            raise NotPossibleError(f"the text must have {element.get('min_length', 0)} to {longest} characters")


def _check_number(element: Json, typed: str) -> None:
    wanted = r"-?\d+(\.\d+)?" if element["is_decimal_allowed"] else r"-?\d+"
    if not re.fullmatch(wanted, typed):
        raise NotPossibleError(f"not a number that is allowed here: {typed!r}")
    low, high = element.get("min_value"), element.get("max_value")
    if (low is not None and float(typed) < float(low)) or (high is not None and float(typed) > float(high)):
        raise NotPossibleError(f"the number must be between {low} and {high}: {typed}")
