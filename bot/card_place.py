"""Windows that open from a family card, and bringing that card up to date once something was changed.

A card is a message that only one person sees, or itself a window. The message can be replaced through the address
that came with the press of its button, for half an hour; a window as long as it is open. Where neither works any
more, the answer in the window that was sent in is all there is.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import orjson
import structlog
from pydantic import TypeAdapter, ValidationError
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.blocks import MESSAGE_BLOCKS, section, window
from bot.gate import Asker, Desk
from bot.lookup import Answer, card_of
from bot.reply import TITLE, Reply
from bot.slack_calls import QUIET, SlackBusyError, SlackRefusedError, call
from core.errors import InvalidInputError, NotFoundError, WrongFieldError

log = structlog.get_logger(__name__)

Json = dict[str, Any]
M = TypeVar("M")
OUTDATED = "This window is from before an update; please close it and open it again."
# Somebody waits, and Slack takes the window for three seconds only.
PATIENCE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a player's card is that a control was used on, and which order it was about."""

    player_id: int
    order_id: int = 0
    response_url: str = ""
    view_id: str = ""

    @classmethod
    def of(cls, body: Json, player_id: int, order_id: int = 0) -> "Place":
        """Return the place of a control that was just used."""
        view = body.get("view") or {}
        view_id = str(view.get("id", "")) if view.get("type") == "modal" else ""
        return cls(player_id, order_id, str(body.get("response_url") or ""), view_id)

    def encode(self) -> str:
        """Return it as a window's own data."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, metadata: str) -> "Place":
        """Read a window's own data.

        Raises:
            InvalidInputError: where this version did not write it.
        """
        return read_metadata(_PLACE, metadata)


_PLACE = TypeAdapter(Place)


def read_metadata(kind: TypeAdapter[M], metadata: str) -> M:
    """Read what a window carries. It may have been opened before an upgrade of ours.

    Raises:
        InvalidInputError: where this version did not write it.
    """
    try:
        return kind.validate_json(metadata)
    except ValidationError:
        raise InvalidInputError(OUTDATED) from None


async def open_window(desk: Desk, body: Json, view: View, ack: AsyncAck) -> BoltResponse:
    """Open a window for who just used a control, over the card's own window where there is one.

    Raises:
        SlackBusyError, SlackRefusedError
    """
    in_modal = (body.get("view") or {}).get("type") == "modal"
    open_it = desk.client.views_push if in_modal else desk.client.views_open
    await call(open_it(trigger_id=body["trigger_id"], view=view), within=PATIENCE_SECONDS)
    return await ack()


async def point_at_field(ack: AsyncAck, error: WrongFieldError) -> BoltResponse:
    """Answer a window that was sent in: what is wrong, beside the field."""
    return await ack(response_action="errors", errors={error.field: str(error)})


async def done(desk: Desk, asker: Asker, reply: Reply, place: Place, words: str) -> BoltResponse:
    """Say in the window what was done, and bring the card that it came from up to date. `words` is mrkdwn."""

    async def show() -> None:
        await _refresh(desk, asker, place, words)

    desk.background.start(show())
    return await reply.say(words)


async def refreshed(desk: Desk, asker: Asker, reply: Reply, place: Place, words: str) -> BoltResponse:
    """Bring the card up to date with a line that says what was done; where it is gone, say the line alone."""

    async def show() -> None:
        if not await _refresh(desk, asker, place, words):
            await reply.send(words)

    return await reply.later(show)


async def _refresh(desk: Desk, asker: Asker, place: Place, words: str) -> bool:
    """Show the card as it is now where the old one is; say whether that went well."""
    try:
        async with desk.services.database.looking_up() as conn:
            answer = await card_of(desk, conn, asker, place.player_id)
        return await _show(desk, place, answer, [section(words), *answer.blocks])
    except (SlackRefusedError, SlackBusyError, NotFoundError) as error:
        # Closed or gone: whoever looks the player up again sees the new state.
        log.info("card_not_refreshed", player_id=place.player_id, error=type(error).__name__)
    except Exception:
        log.exception("card_not_refreshed", player_id=place.player_id)
    return False


async def _show(desk: Desk, place: Place, answer: Answer, blocks: list[Block]) -> bool:
    if place.response_url:
        webhook = AsyncWebhookClient(place.response_url, timeout=15, session=desk.client.session, logger=QUIET)
        shown = await webhook.send(text=answer.text, blocks=blocks[:MESSAGE_BLOCKS], replace_original=True)
        # A response_url answers errors with a status, and the library raises nothing.
        return shown.status_code == 200
    if not place.view_id:
        return False
    await call(desk.client.views_update(view_id=place.view_id, view=window(TITLE, blocks)))
    return True
