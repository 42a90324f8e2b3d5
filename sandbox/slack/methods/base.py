"""What every Web API method gets, and how it says which scope and tier it belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.slack.arguments import Arguments
from sandbox.slack.grants import Grants
from sandbox.slack.model import Channel, SlackError
from sandbox.slack.pace import Pace
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import Workspace


class TooFastError(Exception):
    """A rate limit holds the call back for `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"ratelimited for {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method: its arguments and the world it acts on."""

    args: Arguments
    workspace: Workspace
    grants: Grants
    pace: Pace
    scopes: frozenset[str]
    features: Json

    def count_post(self, channel: Channel) -> None:
        """Hold a message back if the channel has had too many.

        Raises:
            TooFastError: after the limit of about one message a second.
        """
        if wait := self.pace.wait_for_post(channel.id):
            raise TooFastError(wait)

    def channel_to_post_in(self) -> Channel:
        """The conversation named by `channel`, if the app may post there.

        Raises:
            SlackError: `channel_not_found`, `is_archived`, `not_in_channel`.
        """
        channel = self.workspace.find_channel_to_post(self.args.required("channel"))
        if channel.is_archived:
            raise SlackError("is_archived")
        if not channel.bot_is_member and "chat:write.public" not in self.scopes:
            raise SlackError("not_in_channel")
        return channel


@dataclass(frozen=True, slots=True)
class Method:
    """A method, the scope it needs (any one of them) and its rate tier (None: none of its own)."""

    run: Callable[[Call], Json]
    scopes: tuple[str, ...] = ()
    tier: int | None = None


Methods = Mapping[str, Method]
