"""Block Kit's composition objects: texts, options, confirm dialogs.

Follows Slack's reference, "Composition objects" (docs.slack.dev/reference/block-kit/composition-objects).
"""

from collections.abc import Callable

from sandbox.slack.shapes import (
    Check,
    Fields,
    Findings,
    Json,
    boolean,
    by_type,
    integer,
    items,
    one_of,
    string,
)

URL = string(3000, pattern=r"(https?|mailto|tel|slack):\S+")
IMAGE_URL = string(3000, pattern=r"https?://\S+")
ACTION_ID = string(255)
STYLE = one_of("primary", "danger")


def plain_text(maximum: int) -> Check:
    """A `plain_text` object of at most `maximum` characters."""
    return by_type({"plain_text": _plain(maximum)})


def any_text(maximum: int) -> Check:
    """A `plain_text` or `mrkdwn` object of at most `maximum` characters."""
    return by_type(
        {
            "plain_text": _plain(maximum),
            "mrkdwn": Fields({"type": string(20), "text": string(maximum)}, {"verbatim": boolean}),
        }
    )


def _plain(maximum: int) -> Fields:
    return Fields({"type": string(20), "text": string(maximum)}, {"emoji": boolean})


CONFIRM = Fields(
    {"title": plain_text(100), "text": any_text(300), "confirm": plain_text(30), "deny": plain_text(30)},
    {"style": STYLE},
)


def option(text: Check, *, link: bool = False) -> Fields:
    """An option object; only an overflow menu's may be a link."""
    extra = {"url": URL} if link else {}
    return Fields({"text": text, "value": string(150)}, {"description": text, **extra})


OPTION = option(plain_text(75))
LINK_OPTION = option(plain_text(75), link=True)
RICH_OPTION = option(any_text(75))
OPTION_GROUP = Fields({"label": plain_text(75), "options": items(OPTION, 100)})

CONVERSATION_FILTER = Fields(
    {},
    {
        "include": items(one_of("im", "mpim", "private", "public"), 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)
DISPATCH = Fields({}, {"trigger_actions_on": items(one_of("on_enter_pressed", "on_character_entered"), 2)})
UNIX_TIME = integer(0, 99_999_999_999)


def all_options(element: Json) -> list[Json]:
    """The options of an element, in groups or not."""
    grouped = [each for group in element.get("option_groups", []) for each in group.get("options", [])]
    return [*element.get("options", []), *grouped]


def initial_is_offered(*names: str) -> Callable[[Json, str, Findings], None]:
    """A rule: what is chosen at first is one of the options, to the letter."""

    def rule(element: Json, pointer: str, findings: Findings) -> None:
        offered = all_options(element)
        for name in names:
            chosen = element.get(name, [])
            for each in chosen if isinstance(chosen, list) else [chosen]:
                if each not in offered:
                    findings.add(f"{pointer}/{name}", f"{name} must be one of the options")

    return rule


def distinct_values(element: Json, pointer: str, findings: Findings) -> None:
    """A rule: no two options carry the same value, or a choice could not be told from another."""
    values = [each.get("value") for each in all_options(element)]
    if len(values) != len(set(values)):
        findings.add(f"{pointer}/options", "option values must be unique")
