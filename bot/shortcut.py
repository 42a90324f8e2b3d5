"""The message shortcut `find_player`: looks up the players whom a message names."""

from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block

from bot.blocks import section, window
from bot.gate import Asker, Desk
from bot.lookup import card_of
from bot.manifest import FIND_PLAYER
from bot.parsing import likely_names
from bot.pick_list import pick_list, player_search
from bot.reply import TITLE, Reply
from bot.slack_calls import SlackRefusedError, call
from core.player_search import PlayerHit

log = structlog.get_logger(__name__)

Json = dict[str, Any]
PLAYERS_SHOWN = 10
# Slack takes the window for three seconds only.
PATIENCE_SECONDS = 2.5


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.shortcut({"type": "message_action", "callback_id": FIND_PLAYER})(Shortcut(desk).find)


class Shortcut:
    """The handler."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def find(self, body: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """The window opens first, as Slack lets it for three seconds only, and is filled then."""
        waiting = window(TITLE, [section("Looking for players in the message…")])
        opening = self._desk.client.views_open(trigger_id=body["trigger_id"], view=waiting)
        view: Json = (await call(opening, within=PATIENCE_SECONDS))["view"]
        text = str(body.get("message", {}).get("text") or "")
        return await reply.later(lambda: self._fill(view, text, asker))

    async def _fill(self, view: Json, text: str, asker: Asker) -> None:
        found = window(TITLE, await self._found(text, asker))
        try:
            await call(self._desk.client.views_update(view_id=view["id"], hash=view["hash"], view=found))
        except SlackRefusedError as error:
            log.info("found_players_not_shown", error=error.code)  # the window was closed meanwhile

    async def _found(self, text: str, asker: Asker) -> list[Block]:
        hits: dict[int, PlayerHit] = {}
        async with self._services.database.looking_up() as conn:
            for name in likely_names(text):
                result = await self._services.search.find(conn, asker.club.id, name)
                hits |= {hit.player_id: hit for hit in result.hits if hit.exact}
            if len(hits) == 1:
                (player_id,) = hits
                return [*(await card_of(self._desk, conn, asker, player_id)).blocks, player_search()]
        if not hits:
            return [section("The message names nobody we know. Search for the player here:"), player_search()]
        shown = list(hits.values())[:PLAYERS_SHOWN]
        return [*pick_list("The message may be about:", shown), player_search()]
