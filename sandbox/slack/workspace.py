"""The state of one Slack workspace: people, channels, messages, views, and what went wrong."""

import asyncio
import secrets
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Literal

from sandbox.slack.blockkit import elements_of, texts_of
from sandbox.slack.model import ApiCall, Channel, File, Message, SlackError, User, UserGroup, View
from sandbox.slack.mrkdwn import unsafe_parts
from sandbox.slack.shapes import Json

BOT_USER, BOT_ID, APP_ID = "U0SIDELINE", "B0SIDELINE", "A0SIDELINE"


def utcnow() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Workspace:
    """What Slack's servers remember.

    Args:
        team_id: the workspace's id, `T…`.
        clock: the UTC time that triggers, response addresses and messages go by.
    """

    def __init__(self, team_id: str, clock: Callable[[], datetime]) -> None:
        self.team_id, self.clock = team_id, clock
        self.base_url = ""
        # Of the Enterprise organization that it is part of, `E…`.
        self.enterprise_id: str | None = None
        self.users: dict[str, User] = {BOT_USER: User(BOT_USER, "sideline", is_bot=True)}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, UserGroup] = {}
        self.files: dict[str, File] = {}
        self.messages: list[Message] = []
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.api_calls: list[ApiCall] = []
        self.problems: list[str] = []
        self.late_acks: list[str] = []
        self.version = 0
        self._numbers = 0
        self._last_ts = 0
        self._changed = asyncio.Event()

    # --- time and numbering ------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number greater than all before, to tell what came after what."""
        self._numbers += 1
        return self._numbers

    def next_ts(self) -> str:
        """A message timestamp in Slack's form, unique and rising."""
        self._last_ts = max(self._last_ts + 1, int(self.clock().timestamp() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def touch(self) -> None:
        """Say that something changed, to whoever waits for it."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_until(self, holds: Callable[[], bool], within: float) -> bool:
        """Wait until `holds()`, at most `within` seconds; whether it came to hold."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while not holds():
            left = end - loop.time()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return holds()
        return True

    def problem(self, what: str) -> None:
        """Note something that the real Slack would complain about, or show people wrongly."""
        self.problems.append(what)
        self.touch()

    # --- people and channels -----------------------------------------------------------------------------------

    def user(self, user_id: str) -> User:
        """The user with that id.

        Raises:
            SlackError: `user_not_found`.
        """
        if user_id not in self.users:
            raise SlackError("user_not_found")
        return self.users[user_id]

    def direct_channel(self, user_id: str) -> Channel:
        """The conversation between the app and one person; made when missing."""
        self.user(user_id)
        channel_id = f"D{user_id[1:]}"
        if channel_id not in self.channels:
            name = self.users[user_id].name
            self.channels[channel_id] = Channel(channel_id, name, members={user_id, BOT_USER}, is_im=True)
        return self.channels[channel_id]

    def find_channel(self, reference: str) -> Channel:
        """The conversation with that id.

        Raises:
            SlackError: `channel_not_found`.
        """
        if reference not in self.channels:
            raise SlackError("channel_not_found")
        return self.channels[reference]

    def find_channel_to_post(self, reference: str) -> Channel:
        """The conversation that an id, a `#name`, or a user's id means: only posting takes all three.

        Raises:
            SlackError: `channel_not_found`.
        """
        if reference in self.users:
            return self.direct_channel(reference)
        for channel in self.channels.values():
            if reference.startswith("#") and channel.name == reference[1:]:
                return channel
        return self.find_channel(reference)

    # --- messages ----------------------------------------------------------------------------------------------

    def add_message(self, message: Message) -> Message:
        """Put a message where people see it, and look at its texts."""
        message.blocks = with_block_ids(message.blocks)
        self.inspect(f"message in {message.channel}", message.text, message.blocks)
        self.messages.append(message)
        self.touch()
        return message

    def find_message(self, channel: str, ts: str) -> Message:
        """The message that is there now.

        Raises:
            SlackError: `message_not_found`.
        """
        for message in reversed(self.messages):
            if (message.channel, message.ts) == (channel, ts):
                return message
        raise SlackError("message_not_found")

    def replace_blocks(self, message: Message, blocks: list[Json]) -> None:
        """Show other blocks in a message; choices made in the old ones are gone with them."""
        message.blocks, message.state, message.edited = with_block_ids(blocks), {}, True
        self.inspect(f"message in {message.channel}", message.text, message.blocks)
        self.touch()

    def remove_message(self, message: Message) -> None:
        """Take a message away from everybody's sight."""
        message.deleted = True
        self.messages.remove(message)
        self.touch()

    def inspect(self, where: str, text: str, content: object) -> None:
        """Note unescaped people's data in a text or in the mrkdwn of blocks."""
        mrkdwn = [each["text"] for each in texts_of(content) if each["type"] == "mrkdwn"]
        for each in [text, *mrkdwn]:
            for part in unsafe_parts(each):
                self.problem(f"{where}: {part}")

    # --- views -------------------------------------------------------------------------------------------------

    def new_view(
        self, user_id: str, kind: Literal["modal", "home"], content: Json, interaction_id: str | None
    ) -> View:
        """A view of that content, not yet shown anywhere."""
        view_id = f"V{secrets.token_hex(5).upper()}"
        view = View(
            id=view_id,
            user_id=user_id,
            kind=kind,
            content={},
            hash="",
            root_view_id=view_id,
            interaction_id=interaction_id,
        )
        self.change_view(view, content)
        self.views[view_id] = view
        return view

    def change_view(self, view: View, content: Json) -> None:
        """Show other content in a view; what was typed stays where block and action stay the same."""
        view.content = {**deepcopy(content), "blocks": with_block_ids(content["blocks"])}
        view.hash = f"{int(self.clock().timestamp())}.{secrets.token_hex(4)}"
        view.number = self.next_number()
        view.errors = {}
        kept = {(b["block_id"], e.get("action_id")) for b in view.blocks for e in elements_of(b)}
        view.state = {
            block_id: {action: given for action, given in actions.items() if (block_id, action) in kept}
            for block_id, actions in view.state.items()
        }
        self.inspect(f"view {view.title or view.kind}", "", view.content)
        self.touch()

    def show_view(self, view: View, *, on_top: bool) -> None:
        """Open a modal, alone or on top of the person's stack.

        Raises:
            SlackError: `push_limit_reached`, three modals being the most.
        """
        stack = self.stacks.setdefault(view.user_id, [])
        if on_top and len(stack) >= 3:
            raise SlackError("push_limit_reached")
        if on_top and stack:
            view.previous_view_id, view.root_view_id = stack[-1].id, stack[0].id
        else:
            self.close_views(view.user_id)
        self.stacks[view.user_id].append(view)
        self.touch()

    def close_views(self, user_id: str, *, only_top: bool = False) -> None:
        """Close a person's topmost modal, or all of them."""
        stack = self.stacks.setdefault(user_id, [])
        for view in [stack[-1]] if only_top and stack else list(stack):
            view.open = False
            stack.remove(view)
        self.touch()


def with_block_ids(blocks: list[Json]) -> list[Json]:
    """A copy of the blocks in which every block and every interactive element has an id, as in Slack."""
    filled = deepcopy(blocks)
    for number, block in enumerate(filled):
        block.setdefault("block_id", f"b{number:02d}{secrets.token_hex(2)}")
        for element in elements_of(block):
            if element.get("type") not in {"image", "mrkdwn", "plain_text"} and block["type"] != "rich_text":
                element.setdefault("action_id", f"a{secrets.token_hex(3)}")
    return filled
