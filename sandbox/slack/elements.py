"""Block Kit's elements: what stands inside a section, an actions block, a context or an input.

Follows Slack's reference, "Block elements" (docs.slack.dev/reference/block-kit/block-elements).
"""

from collections.abc import Callable, Mapping

from sandbox.slack.composition import (
    ACTION_ID,
    CONFIRM,
    CONVERSATION_FILTER,
    DISPATCH,
    IMAGE_URL,
    LINK_OPTION,
    OPTION,
    OPTION_GROUP,
    RICH_OPTION,
    STYLE,
    UNIX_TIME,
    URL,
    distinct_values,
    initial_is_offered,
    plain_text,
)
from sandbox.slack.shapes import (
    Check,
    Fields,
    Findings,
    Json,
    boolean,
    exactly_one,
    in_order,
    integer,
    items,
    one_of,
    string,
)

Rule = Callable[[Json, str, Findings], None]

TYPE = string(50)
DATE = string(10, pattern=r"\d{4}-\d{2}-\d{2}")
TIME = string(5, pattern=r"([01]\d|2[0-3]):[0-5]\d")
NUMBER = string(40, pattern=r"-?\d+(\.\d+)?")
ID = string(30, pattern=r"[A-Z][A-Z0-9]+")
PLACEHOLDER = plain_text(150)

_ASKS: Mapping[str, Check] = {"action_id": ACTION_ID, "focus_on_load": boolean, "placeholder": PLACEHOLDER}
_ASKS_FIRST: Mapping[str, Check] = {**_ASKS, "confirm": CONFIRM}


def _element(required: Mapping[str, Check], optional: Mapping[str, Check], *rules: Rule) -> Fields:
    return Fields({"type": TYPE, **required}, optional, rules)


def _menu(initial: str, kind: Check, extra: Mapping[str, Check], *rules: Rule) -> Fields:
    return _element({}, {**_ASKS_FIRST, initial: kind, **extra}, *rules)


_OPTIONS: Mapping[str, Check] = {"options": items(OPTION, 100), "option_groups": items(OPTION_GROUP, 100)}
_SEVERAL: Mapping[str, Check] = {"max_selected_items": integer(1, 100)}
_CONVERSATIONS: Mapping[str, Check] = {
    "default_to_current_conversation": boolean,
    "filter": CONVERSATION_FILTER,
}
_ANSWERS_BACK: Mapping[str, Check] = {"response_url_enabled": boolean}
_QUERY: Mapping[str, Check] = {"min_query_length": integer(0, 75)}
_STATIC_RULES = (exactly_one("options", "option_groups"), distinct_values)
_CHOICES: Mapping[str, Check] = {"action_id": ACTION_ID, "focus_on_load": boolean, "confirm": CONFIRM}
_TYPED: Mapping[str, Check] = {**_ASKS, "dispatch_action_config": DISPATCH}

BUTTON = _element(
    {"text": plain_text(75)},
    {
        "action_id": ACTION_ID,
        "url": URL,
        "value": string(2000),
        "style": STYLE,
        "confirm": CONFIRM,
        "accessibility_label": string(75),
    },
)
IMAGE = Fields(
    {"type": TYPE, "alt_text": string(2000)},
    {"image_url": IMAGE_URL, "slack_file": Fields({}, {"id": ID, "url": IMAGE_URL})},
    (exactly_one("image_url", "slack_file"),),
)
OVERFLOW = _element(
    {"options": items(LINK_OPTION, 5)}, {"action_id": ACTION_ID, "confirm": CONFIRM}, distinct_values
)

MENUS: Mapping[str, Check] = {
    "static_select": _menu(
        "initial_option", OPTION, _OPTIONS, *_STATIC_RULES, initial_is_offered("initial_option")
    ),
    "external_select": _menu("initial_option", OPTION, _QUERY),
    "users_select": _menu("initial_user", ID, {}),
    "conversations_select": _menu("initial_conversation", ID, {**_CONVERSATIONS, **_ANSWERS_BACK}),
    "channels_select": _menu("initial_channel", ID, _ANSWERS_BACK),
}
MULTI_MENUS: Mapping[str, Check] = {
    "multi_static_select": _menu(
        "initial_options",
        items(OPTION, 100),
        {**_OPTIONS, **_SEVERAL},
        *_STATIC_RULES,
        initial_is_offered("initial_options"),
    ),
    "multi_external_select": _menu("initial_options", items(OPTION, 100), {**_QUERY, **_SEVERAL}),
    "multi_users_select": _menu("initial_users", items(ID, 100), _SEVERAL),
    "multi_conversations_select": _menu("initial_conversations", items(ID, 100), {**_CONVERSATIONS, **_SEVERAL}),
    "multi_channels_select": _menu("initial_channels", items(ID, 100), _SEVERAL),
}
PICKERS: Mapping[str, Check] = {
    "datepicker": _element({}, {**_ASKS_FIRST, "initial_date": DATE}),
    "timepicker": _element({}, {**_ASKS_FIRST, "initial_time": TIME, "timezone": string(60)}),
    "datetimepicker": _element({}, {**_CHOICES, "initial_date_time": UNIX_TIME}),
    "checkboxes": _element(
        {"options": items(RICH_OPTION, 10)},
        {**_CHOICES, "initial_options": items(RICH_OPTION, 10)},
        distinct_values,
        initial_is_offered("initial_options"),
    ),
    "radio_buttons": _element(
        {"options": items(RICH_OPTION, 10)},
        {**_CHOICES, "initial_option": RICH_OPTION},
        distinct_values,
        initial_is_offered("initial_option"),
    ),
}
TYPED_INPUTS: Mapping[str, Check] = {
    "plain_text_input": _element(
        {},
        {
            **_TYPED,
            "initial_value": string(3000, minimum=0),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        },
        in_order("min_length", "max_length"),
    ),
    "email_text_input": _element({}, {**_TYPED, "initial_value": string(3000)}),
    "url_text_input": _element({}, {**_TYPED, "initial_value": string(3000)}),
    "number_input": _element(
        {"is_decimal_allowed": boolean},
        {**_TYPED, "initial_value": NUMBER, "min_value": NUMBER, "max_value": NUMBER},
        in_order("min_value", "max_value"),
    ),
    "file_input": _element(
        {}, {"action_id": ACTION_ID, "filetypes": items(string(30), 100), "max_files": integer(1, 10)}
    ),
}

IN_SECTION: Mapping[str, Check] = {
    "button": BUTTON,
    "image": IMAGE,
    "overflow": OVERFLOW,
    **MENUS,
    **MULTI_MENUS,
    **{name: check for name, check in PICKERS.items() if name != "datetimepicker"},
}
IN_ACTIONS: Mapping[str, Check] = {"button": BUTTON, "overflow": OVERFLOW, **MENUS, **PICKERS}
IN_INPUT: Mapping[str, Check] = {**MENUS, **MULTI_MENUS, **PICKERS, **TYPED_INPUTS}
RICH_TEXT_PART = one_of("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
