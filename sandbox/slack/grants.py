"""What an interaction grants the app for a while: a trigger to open a modal, an address to respond to.

Follows Slack's "Handling user interaction" (docs.slack.dev/interactivity/handling-user-interaction):
a trigger lives three seconds and works once; a response address takes five messages within thirty minutes.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.slack.model import Message, SlackError
from sandbox.slack.workspace import Workspace

RESPONSE_LIFE = timedelta(minutes=30)
RESPONSE_USES = 5
TRIGGER_LIFE = timedelta(seconds=3)


@dataclass(slots=True)
class Trigger:
    """The right to open one modal for the person who just did something."""

    user_id: str
    interaction_id: str
    in_modal: bool
    given_at: datetime
    used: bool = False


@dataclass(slots=True)
class ResponseAddress:
    """Where the app may send answers to one interaction; `original` is the message it came from."""

    user_id: str
    channel: str
    interaction_id: str
    original: Message | None
    given_at: datetime
    uses: int = 0


class Grants:
    """The triggers and response addresses given out so far."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._triggers: dict[str, Trigger] = {}
        self._addresses: dict[str, ResponseAddress] = {}

    def trigger(self, user_id: str, interaction_id: str, *, in_modal: bool = False) -> str:
        """A new trigger id in Slack's form."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        now = self._workspace.clock()
        self._triggers[trigger_id] = Trigger(user_id, interaction_id, in_modal, now)
        return trigger_id

    def use_trigger(self, trigger_id: str) -> Trigger:
        """Spend a trigger.

        Raises:
            SlackError: `invalid_trigger_id`, `exchanged_trigger_id` or `expired_trigger_id`.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            self._workspace.problem(f"trigger of {trigger.interaction_id} used a second time")
            raise SlackError("exchanged_trigger_id")
        if self._workspace.clock() - trigger.given_at > TRIGGER_LIFE:
            self._workspace.problem(f"trigger of {trigger.interaction_id} used after 3 seconds")
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def response_url(
        self, kind: str, user_id: str, channel: str, interaction_id: str, original: Message | None = None
    ) -> str:
        """A new response address; `kind` is `commands` or `actions`, as in Slack's own."""
        key = secrets.token_hex(12)
        now = self._workspace.clock()
        self._addresses[key] = ResponseAddress(user_id, channel, interaction_id, original, now)
        return f"{self._workspace.base_url}/{kind}/{self._workspace.team_id}/{key}"

    def use_address(self, key: str) -> ResponseAddress:
        """Count one use of a response address.

        Raises:
            SlackError: `no_service` for an address never given out, `expired_url` after thirty minutes,
                `used_url` after five uses.
        """
        address = self._addresses.get(key)
        if address is None:
            raise SlackError("no_service")
        if self._workspace.clock() - address.given_at > RESPONSE_LIFE:
            self._workspace.problem(f"response_url of {address.interaction_id} used after 30 minutes")
            raise SlackError("expired_url")
        if address.uses >= RESPONSE_USES:
            self._workspace.problem(f"response_url of {address.interaction_id} used more than 5 times")
            raise SlackError("used_url")
        address.uses += 1
        return address
