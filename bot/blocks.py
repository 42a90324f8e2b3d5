"""The parts that messages and windows are made of, each cut to Slack's limits in this one place.

Follows Slack's Block Kit reference. Strings given as `mrkdwn` are escaped already (`bot.text`).
"""

from collections.abc import Mapping, Sequence

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    DividerBlock,
    ExternalDataSelectElement,
    HeaderBlock,
    InteractiveElement,
    MarkdownTextObject,
    Option,
    OverflowMenuElement,
    PlainTextObject,
    SectionBlock,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from bot.text import cut, cut_lines

MESSAGE_BLOCKS = 50
SECTION_TEXT, FIELD_TEXT, HEADER_TEXT = 3000, 2000, 150
BUTTON_TEXT, OPTION_TEXT, PLACEHOLDER_TEXT, TITLE_TEXT = 75, 75, 150, 24
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30
OPTIONS = 100


def mrkdwn(text: str) -> MarkdownTextObject:
    """Return a text object in which nothing turns into a link or a mention by itself."""
    return MarkdownTextObject(text=text, verbatim=True)


def plain(text: str, limit: int) -> PlainTextObject:
    """Return a text object that shows exactly what it holds."""
    return PlainTextObject(text=cut(text, limit), emoji=False)


def header(text: str) -> HeaderBlock:
    """Return a heading; plain text."""
    return HeaderBlock(text=plain(text, HEADER_TEXT))


def section(
    text: str, *, accessory: InteractiveElement | None = None, block_id: str | None = None
) -> SectionBlock:
    """Return a paragraph of mrkdwn; whole lines beyond the limit are left out and counted."""
    text = cut_lines(text.split("\n"), SECTION_TEXT) if len(text) > SECTION_TEXT else text
    return SectionBlock(text=mrkdwn(text), accessory=accessory, block_id=block_id)


def as_typed(text: str) -> SectionBlock:
    """Return a paragraph that people wrote, line breaks included, with nothing in it meaning anything."""
    return SectionBlock(text=plain(text, SECTION_TEXT))


def fields(pairs: Mapping[str, str]) -> SectionBlock:
    """Return a table of at most ten labels with their mrkdwn values."""
    texts = [f"*{label}*\n{value}" for label, value in list(pairs.items())[:10]]
    return SectionBlock(fields=[mrkdwn(cut_lines(text.split("\n"), FIELD_TEXT)) for text in texts])


def context(*texts: str) -> ContextBlock:
    """Return small print, one mrkdwn text each, at most ten."""
    return ContextBlock(elements=[mrkdwn(cut_lines(text.split("\n"), FIELD_TEXT)) for text in texts[:10]])


def divider() -> DividerBlock:
    """Return a line across."""
    return DividerBlock()


def actions(*elements: InteractiveElement, block_id: str | None = None) -> ActionsBlock:
    """Return a row of buttons and selects."""
    return ActionsBlock(elements=list(elements), block_id=block_id)


def button(
    text: str, action_id: str, value: str, *, style: str | None = None, confirm: ConfirmObject | None = None
) -> ButtonElement:
    """Return a button."""
    return ButtonElement(
        text=plain(text, BUTTON_TEXT), action_id=action_id, value=value, style=style, confirm=confirm
    )


def confirmation(title: str, text: str, *, yes: str, no: str, style: str | None = None) -> ConfirmObject:
    """Return the question that is asked before a control acts."""
    return ConfirmObject(
        title=plain(title, CONFIRM_TITLE),
        text=plain(text, CONFIRM_TEXT),
        confirm=plain(yes, CONFIRM_BUTTON),
        deny=plain(no, CONFIRM_BUTTON),
        style=style,
    )


def option(text: str, value: str, description: str = "") -> Option:
    """Return a choice of a select."""
    described = plain(description, OPTION_TEXT) if description else None
    return Option(text=plain(text, OPTION_TEXT), value=value, description=described)


def select(placeholder: str, action_id: str, options: Sequence[Option]) -> StaticSelectElement:
    """Return a select of at most a hundred choices."""
    return StaticSelectElement(
        placeholder=plain(placeholder, PLACEHOLDER_TEXT), action_id=action_id, options=list(options[:OPTIONS])
    )


def overflow(action_id: str, options: Sequence[Option]) -> OverflowMenuElement:
    """Return a menu behind three dots, of at most five choices."""
    return OverflowMenuElement(action_id=action_id, options=list(options))


def search_select(
    placeholder: str, action_id: str, *, from_length: int, confirm: ConfirmObject | None = None
) -> ExternalDataSelectElement:
    """Return a select whose choices we are asked for once `from_length` characters are typed."""
    return ExternalDataSelectElement(
        placeholder=plain(placeholder, PLACEHOLDER_TEXT),
        action_id=action_id,
        min_query_length=from_length,
        confirm=confirm,
    )


def window(title: str, blocks: Sequence[Block]) -> View:
    """Return a window that only shows something."""
    return View(
        type="modal",
        title=plain(title, TITLE_TEXT),
        close=plain("Close", TITLE_TEXT),
        blocks=list(blocks),
    )
