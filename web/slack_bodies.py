"""The shape of what Slack sends, as far as Bolt or the bot reads it.

Bolt takes a body apart unlooked at and stumbles over one that is built differently; Slack's own never is
(https://docs.slack.dev/interactivity/handling-user-interaction, https://docs.slack.dev/apis/events-api).
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import InvalidInputError


class _Part(BaseModel):
    """A part of a body. A number is no text here; what is not named is not looked at."""

    model_config = ConfigDict(strict=True)


class _Named(_Part):
    id: str | None = None
    team_id: str | None = None
    enterprise_id: str | None = None


_Reference = str | _Named | None


class _Ids(_Part):
    """Who, where and which workspace: Bolt looks for it in the body and in its event."""

    team: _Reference = None
    team_id: str | None = None
    enterprise: _Reference = None
    enterprise_id: str | None = None
    user: _Reference = None
    user_id: str | None = None
    channel: _Reference = None
    channel_id: str | None = None


class _Authorization(_Ids):
    authorizations: None = None


class _Option(_Part):
    value: str | None = None


class _Control(_Part):
    value: str | None = None
    selected_option: _Option | None = None
    selected_date: str | None = None
    selected_time: str | None = None


class _Action(_Control):
    type: str
    action_id: str
    block_id: str | None = None


class _State(_Part):
    values: dict[str, dict[str, _Control]]


class _View(_Part):
    id: str | None = None
    type: str | None = None
    callback_id: str | None = None
    private_metadata: str | None = None
    hash: str | None = None
    team_id: str | None = None
    app_installed_team_id: str | None = None
    state: _State | None = None


class _SubmittedView(_View):
    id: str
    callback_id: str
    private_metadata: str
    state: _State


class _Message(_Part):
    ts: str | None = None
    text: str | None = None


class _Container(_Part):
    message_ts: str | None = None
    channel_id: str | None = None


class _Event(_Ids):
    type: str
    tab: str | None = None
    view: _View | None = None


class _Body(_Ids):
    """What all have in common; a command is no more than this."""

    type: str | None = None
    command: str | None = None
    text: str | None = None
    trigger_id: str | None = None
    response_url: str | None = None
    # Only asked for by windows that name a channel to answer in, of which there is none.
    response_urls: Annotated[list[None], Field(max_length=0)] = []
    callback_id: str | None = None
    action_id: str | None = None
    block_id: str | None = None
    value: str | None = None
    container: _Container | None = None
    message: _Message | None = None
    view: _View | None = None
    authorizations: list[_Authorization] | None = None


class _EventBody(_Body):
    event: _Event


class _ActionsBody(_Body):
    user: _Named
    trigger_id: str
    actions: Annotated[list[_Action], Field(min_length=1)]


class _SubmissionBody(_Body):
    user: _Named
    view: _SubmittedView


class _SuggestionBody(_Body):
    action_id: str
    value: str


class _ShortcutBody(_Body):
    callback_id: str
    trigger_id: str


_KINDS: dict[str, TypeAdapter[_Body]] = {
    "event_callback": TypeAdapter(_EventBody),
    "block_actions": TypeAdapter(_ActionsBody),
    "view_submission": TypeAdapter(_SubmissionBody),
    "block_suggestion": TypeAdapter(_SuggestionBody),
    "message_action": TypeAdapter(_ShortcutBody),
}
_OTHER = TypeAdapter(_Body)


def check_shape(body: object) -> None:
    """Check a body once it is parsed.

    Raises:
        InvalidInputError: where it is not built like one of Slack's; names the first part that is not.
    """
    kind = body.get("type") if isinstance(body, dict) else None
    shape = _KINDS.get(kind, _OTHER) if isinstance(kind, str) else _OTHER
    try:
        shape.validate_python(body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InvalidInputError(f"The body is not one of Slack's: look at {place or 'its type'}.") from None
