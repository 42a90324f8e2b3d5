"""Finding what a person can see and use: a message or a window as it is now, and the elements in it."""

from collections.abc import Collection
from dataclasses import dataclass

from sandbox.slack.blockkit import elements_of
from sandbox.slack.model import Message, NotPossibleError, SlackError, Surface, View
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Found:
    """An element and where it stands."""

    surface: Surface
    block: Json
    element: Json

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies this element among all."""
        place = self.surface.id if isinstance(self.surface, View) else self.surface.ts
        return place, self.block["block_id"], self.element["action_id"]


def visible(workspace: Workspace, user_id: str, surface: Surface) -> Surface:
    """The current state of a message or window, as that person sees it.

    Raises:
        NotPossibleError: it is gone, closed, or somebody else's.
    """
    workspace_user = workspace.users.get(user_id)
    if workspace_user is None:
        raise NotPossibleError(f"nobody here is called {user_id}")
    if isinstance(surface, View):
        return _visible_view(workspace, user_id, surface)
    try:
        message = workspace.find_message(surface.channel, surface.ts)
    except SlackError:
        raise NotPossibleError("that message is no longer there") from None
    if message.ephemeral_to not in {None, user_id}:
        raise NotPossibleError(f"that message is visible only to {message.ephemeral_to}")
    if not workspace.channels[message.channel].holds(user_id):
        raise NotPossibleError(f"{user_id} is not in {message.channel}")
    return message


def _visible_view(workspace: Workspace, user_id: str, surface: View) -> View:
    view = workspace.views[surface.id]
    if view.user_id != user_id:
        raise NotPossibleError(f"that window is open for {view.user_id}, not for {user_id}")
    if view.kind == "modal" and workspace.stacks.get(user_id, [])[-1:] != [view]:
        raise NotPossibleError("that window is closed, or beneath another")
    return view


def find_elements(
    surface: Surface, action_id: str, kinds: Collection[str] | None = None, block_id: str | None = None
) -> list[Found]:
    """All elements with that action id, of these kinds if given and in that block if given, in order."""
    return [
        Found(surface, block, element)
        for block in surface.blocks
        for element in elements_of(block)
        if element.get("action_id") == action_id
        and (kinds is None or element["type"] in kinds)
        and (block_id is None or block["block_id"] == block_id)
    ]


def the_one(found: list[Found], surface: Surface, action_id: str) -> Found:
    """The single element looked for.

    Raises:
        NotPossibleError: there is none, or it could be several.
    """
    if len(found) == 1:
        return found[0]
    if found:
        values = [each.element.get("value") for each in found]
        raise NotPossibleError(f"{len(found)} elements are {action_id!r}: say which value of {values}")
    there = [
        (element.get("action_id"), element.get("value"))
        for block in surface.blocks
        for element in elements_of(block)
        if "action_id" in element
    ]
    kind = "message" if isinstance(surface, Message) else "window"
    raise NotPossibleError(f"no {action_id!r} in this {kind}; there is: {there}")
