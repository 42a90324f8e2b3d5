"""The things a Slack workspace is made of, as the stand-in keeps them."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sandbox.slack.blockkit import texts_of
from sandbox.slack.shapes import Json


class SlackError(Exception):
    """A refusal of the Web API, with Slack's own error name.

    Args:
        code: Slack's error name, such as `channel_not_found`.
        messages: the lines of `response_metadata.messages`, without their `[ERROR] ` mark.
        more: further fields of the answer, such as `needed` and `provided` beside `missing_scope`.
    """

    def __init__(self, code: str, messages: list[str] | None = None, more: Json | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages or []
        self.more = more or {}


class NotPossibleError(Exception):
    """A person in front of Slack could not do this: the button isn't there, the field is empty, and the like."""


@dataclass(slots=True)
class User:
    """A member of the workspace."""

    id: str
    name: str
    email: str | None = None
    is_bot: bool = False
    deleted: bool = False


@dataclass(slots=True)
class Channel:
    """A conversation; `members` is None when everybody is in it."""

    id: str
    name: str
    bot_is_member: bool = True
    members: set[str] | None = None
    is_im: bool = False
    is_archived: bool = False

    def holds(self, user_id: str) -> bool:
        """Whether that user is in the conversation."""
        return self.members is None or user_id in self.members


@dataclass(slots=True)
class UserGroup:
    """A user group (`S…`) and its members' ids."""

    id: str
    handle: str
    users: list[str]
    enabled: bool = True


@dataclass(slots=True)
class File:
    """An uploaded file; `content` is None until its bytes have arrived."""

    id: str
    name: str
    length: int
    secret: str
    content: bytes | None = None
    title: str = ""
    shared: bool = False


@dataclass(slots=True)
class Message:
    """A message in a channel, or one shown to a single person.

    The stand-in changes this object when the message is updated, so it always shows the current state;
    `snapshot()` keeps the state of now, as an old window would.
    """

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    user: str
    number: int
    metadata: Json | None = None
    ephemeral_to: str | None = None
    thread_ts: str | None = None
    edited: bool = False
    deleted: bool = False
    by_app: bool = True
    interaction_id: str | None = None
    files: list[str] = field(default_factory=list)
    state: dict[str, dict[str, Json]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Its text and every text in its blocks, a line each."""
        return "\n".join([self.text, *(each["text"] for each in texts_of(self.blocks))])

    def snapshot(self) -> "Message":
        """This message as it is now, untouched by later updates."""
        return deepcopy(self)


@dataclass(slots=True)
class View:
    """A modal or a person's home tab; changed in place when it is updated."""

    id: str
    user_id: str
    kind: Literal["modal", "home"]
    content: Json
    hash: str
    root_view_id: str
    previous_view_id: str | None = None
    interaction_id: str | None = None
    open: bool = True
    number: int = 0
    state: dict[str, dict[str, Json]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def blocks(self) -> list[Json]:
        """The blocks shown now."""
        blocks: list[Json] = self.content["blocks"]
        return blocks

    @property
    def callback_id(self) -> str:
        """The app's own name for this kind of view; empty if it gave none."""
        return str(self.content.get("callback_id", ""))

    @property
    def private_metadata(self) -> str:
        """What the app noted for itself in the view."""
        return str(self.content.get("private_metadata", ""))

    @property
    def title(self) -> str:
        """The title's text; a home tab has none."""
        return str(self.content.get("title", {}).get("text", ""))

    def snapshot(self) -> "View":
        """This view as it is now, untouched by later updates."""
        return deepcopy(self)


@dataclass(slots=True)
class ApiCall:
    """One call of the Web API: what was asked and what came of it."""

    method: str
    args: Json
    at: datetime
    status: int = 200
    error: str | None = None
    answer: Json = field(default_factory=dict)


Surface = Message | View
