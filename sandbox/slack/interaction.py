"""One thing that a person did, and everything that came of it."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.slack.model import Message, View
from sandbox.slack.workspace import Workspace


@dataclass(slots=True)
class Interaction:
    """What a person did and what they got to see.

    Attributes:
        id: names it in the stand-in's list of problems.
        user_id: who did it.
        sent: whether it went to the app at all (it does not when a confirm dialog is declined).
        status: the HTTP status of the acknowledgement; None if none came in time.
        ack: the acknowledgement's body: parsed JSON, or the text, or None if it was empty.
        elapsed: seconds until the acknowledgement.
        error: what Slack would tell the person went wrong, such as `operation_timeout`.
        errors: for a submitted modal, what it complains about, by block id.
    """

    id: str
    user_id: str
    workspace: Workspace = field(repr=False)
    since: int
    sent: bool = True
    status: int | None = None
    ack: Any = None
    elapsed: float = 0.0
    error: str | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[Message]:
        """The messages shown to this person because of it, including those that came after the acknowledgement."""
        return [
            message
            for message in self.workspace.messages
            if message.interaction_id == self.id
            or (
                message.ephemeral_to == self.user_id and message.number > self.since and not message.interaction_id
            )
        ]

    @property
    def views(self) -> list[View]:
        """The modals and home tabs that were opened or changed for this person since, oldest first."""
        return [
            view
            for view in self.workspace.views.values()
            if view.user_id == self.user_id and view.number > self.since
        ]

    @property
    def text(self) -> str:
        """The words of those messages, blocks included."""
        return "\n".join(message.words for message in self.messages)

    async def message(self, within: float = 5.0) -> Message:
        """The first message shown, waiting at most `within` seconds.

        Raises:
            TimeoutError: none came.
        """
        if not await self.workspace.wait_until(lambda: bool(self.messages), within):
            raise TimeoutError(f"no message after {self.id}")
        return self.messages[0]

    async def view(self, within: float = 5.0) -> View:
        """The latest view opened or changed, waiting at most `within` seconds.

        Raises:
            TimeoutError: none came.
        """
        if not await self.workspace.wait_until(lambda: bool(self.views), within):
            raise TimeoutError(f"no view after {self.id}")
        return max(self.views, key=lambda view: view.number)
