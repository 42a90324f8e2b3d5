"""Looking families up: `/player`, the selects that lead to a card, and the card's own buttons."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.blocks import section
from bot.card import card_blocks, card_text
from bot.gate import Asker, Desk
from bot.links import check_open, link_text, receipt_text
from bot.parsing import is_full_name
from bot.pick_list import full_name, how_to_search, nobody_found, pick_list, player_options, somebody_else
from bot.reply import Reply
from bot.text import escape
from bot.values import OrderValue, read_id
from core.clock import local_date
from core.family_card import load_family_card
from core.player_search import PlayerHit, SearchResult

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is shown: blocks, and the same in one line of mrkdwn."""

    text: str
    blocks: list[Block]


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Lookup(desk)
    app.command("/player")(handlers.player)
    app.action("player_select")(handlers.choose)
    app.action("player_search")(handlers.choose)
    app.options("player_search")(handlers.suggest)
    app.action("resend_link")(handlers.resend_link)
    app.action("copy_link")(handlers.copy_link)


class Lookup:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def player(self, command: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """`/player NAME`."""
        typed = str(command.get("text") or "").strip()
        if typed.casefold() in {"", "help"}:
            return await reply.say("How to look a family up", how_to_search())
        async with self._services.database.looking_up() as conn:
            result = await self._services.search.find(conn, asker.club.id, typed)
            answer = await self._found(conn, asker, result)
        return await reply.say(answer.text, answer.blocks)

    async def _found(self, conn: AsyncConnection, asker: Asker, result: SearchResult) -> Answer:
        found = single_hit(result)
        if found is not None:
            answer = await card_of(self._desk, conn, asker, found.player_id)
            others = [hit for hit in result.hits if hit.player_id != found.player_id]
            note = (
                []
                if found.exact
                else [
                    section(
                        f"No player matches “{escape(result.query)}”. The nearest is {escape(full_name(found))}:"
                    )
                ]
            )
            return Answer(answer.text, [*note, *answer.blocks, *somebody_else(others)])
        return several_or_none(result)

    async def choose(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """A player was chosen from a list."""
        player_id = read_id(str(action["selected_option"]["value"]))
        async with self._services.database.looking_up() as conn:
            answer = await card_of(self._desk, conn, asker, player_id)
        return await reply.say(answer.text, answer.blocks)

    async def suggest(self, payload: Json, asker: Asker, ack: AsyncAck) -> BoltResponse:
        """Players whose names fit what is being typed."""
        async with self._services.database.looking_up() as conn:
            result = await self._services.search.find(conn, asker.club.id, str(payload.get("value", "")), limit=20)
        return await ack(options=player_options(result.hits))

    async def resend_link(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Mail one item's link to the parent."""
        value = OrderValue.decode(str(action.get("value", "")))
        await check_open(self._services, asker.club, value.order_id)
        receipt = await self._services.outbox.resend(asker.club, (value.order_id,), asker.user_id)
        return await reply.say(receipt_text(receipt))

    async def copy_link(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Show one item's link, to be copied."""
        value = OrderValue.decode(str(action.get("value", "")))
        await check_open(self._services, asker.club, value.order_id)
        url = self._services.family_links.pay_url(asker.club.id, value.order_id)
        return await reply.say(link_text(url))


def single_hit(result: SearchResult) -> PlayerHit | None:
    """Return the player who was meant, where there is no doubt.

    The one who fits, the one whose whole name was typed or, where nobody fits, the only one who is near, if near
    enough: a coach must not read a stranger's card out to a parent.
    """
    exact = [hit for hit in result.hits if hit.exact]
    named = [hit for hit in exact if is_full_name(result.query, hit.first_name, hit.last_name)]
    for choice in (named, exact):
        if choice:
            return choice[0] if len(choice) == 1 else None
    only = result.hits[0] if len(result.hits) == 1 else None
    return only if only is not None and only.is_likely else None


def several_or_none(result: SearchResult) -> Answer:
    """Return the answer where no single player was meant."""
    query = escape(result.query)
    if not result.hits:
        return Answer(f"No player matches “{query}”.", nobody_found(result.query))
    exact = [hit for hit in result.hits if hit.exact]
    heading = f"Several players match “{query}”:" if exact else f"No player matches “{query}”. Near are:"
    return Answer(heading, pick_list(heading, exact or result.hits))


async def card_of(desk: Desk, conn: AsyncConnection, asker: Asker, player_id: int) -> Answer:
    """Return a player's card.

    Raises:
        NotFoundError: no such player in the asker's club.
    """
    club, services = asker.club, desk.services
    card = await load_family_card(conn, club.id, player_id)
    today = local_date(services.clock(), club.time_zone)
    balance_url = partial(services.family_links.balance_url, club.id, card.parent_id)
    blocks = card_blocks(card, club, today, balance_url, may_change=asker.is_admin)
    return Answer(card_text(card, club), blocks)
