"""The inputs of windows that people fill in, and what they sent in. Pure.

Each input's block and element have the field's name as their id, so that what is wrong stands beside the field.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    DatePickerElement,
    InputBlock,
    Option,
    PlainTextInputElement,
)
from slack_sdk.models.views import View

from bot.blocks import TITLE_TEXT, plain, select
from core.errors import InvalidInputError, WrongFieldError
from core.money import parse_money

LABEL, HINT = 2000, 2000
Json = dict[str, Any]


def form(
    callback_id: str, title: str, blocks: Sequence[Block], *, submit: str, close: str = "Not now", metadata: str
) -> View:
    """Return a window to be sent in; `metadata` comes back with it."""
    return View(
        type="modal",
        callback_id=callback_id,
        title=plain(title, TITLE_TEXT),
        submit=plain(submit, TITLE_TEXT),
        close=plain(close, TITLE_TEXT),
        private_metadata=metadata,
        blocks=list(blocks),
    )


def text_input(
    name: str, label: str, *, initial: str = "", hint: str = "", longest: int = 200, optional: bool = False
) -> InputBlock:
    """Return a line to type into."""
    element = PlainTextInputElement(action_id=name, initial_value=initial or None, max_length=longest)
    return _input(name, label, element, hint=hint, optional=optional)


def choice_input(name: str, label: str, options: Sequence[Option], *, hint: str = "") -> InputBlock:
    """Return a choice among a few, the first one chosen."""
    element = select("Choose", name, options)
    element.initial_option = options[0]
    return _input(name, label, element, hint=hint, optional=False)


def date_input(name: str, label: str, *, initial: date | None = None, hint: str = "") -> InputBlock:
    """Return a day to choose, which may be left out."""
    element = DatePickerElement(action_id=name, initial_date=initial.isoformat() if initial else None)
    return _input(name, label, element, hint=hint, optional=True)


def typed(view: Json, name: str) -> str:
    """Return what was typed into a field, without spaces around it."""
    return str(_state(view, name).get("value") or "").strip()


def typed_money(view: Json, name: str) -> int:
    """Return the cents that were typed into a field.

    Raises:
        WrongFieldError: where it is no amount.
    """
    try:
        return parse_money(typed(view, name))
    except InvalidInputError as error:
        raise WrongFieldError(str(error), name) from None


def chosen(view: Json, name: str) -> str:
    """Return the value of what was chosen."""
    return str((_state(view, name).get("selected_option") or {}).get("value") or "")


def chosen_date(view: Json, name: str) -> date | None:
    """Return the day that was chosen, if any."""
    day = _state(view, name).get("selected_date")
    return date.fromisoformat(day) if day else None


def _input(name: str, label: str, element: Any, *, hint: str, optional: bool) -> InputBlock:  # noqa: ANN401 - elements share no useful type
    return InputBlock(
        block_id=name,
        label=plain(label, LABEL),
        element=element,
        hint=plain(hint, HINT) if hint else None,
        optional=optional,
    )


def _state(view: Json, name: str) -> Json:
    state: Json = view["state"]["values"].get(name, {}).get(name, {})
    return state
