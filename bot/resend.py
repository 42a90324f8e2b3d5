"""`/resend NAME [ITEM]`: mails a player's open links to the family. Where there is doubt, nothing is sent."""

from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.blocks import section
from bot.gate import Asker, Desk
from bot.links import receipt_text
from bot.lookup import Answer, several_or_none, single_hit
from bot.parsing import describes, name_and_item
from bot.pick_list import HOW_TO_RESEND, full_name, nobody_found, pick_list
from bot.reply import Reply
from bot.text import escape
from bot.wording import item_in_words
from core.balances import OwedItem, fetch_owed
from core.models import Order
from core.player_search import PlayerHit, SearchResult

NOTHING_SENT = "Nothing was sent."
_ITEMS_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose links were asked for, narrowed to these orders; or the answer to somebody who left a doubt."""

    order_ids: tuple[int, ...] = ()
    answer: Answer | None = None


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.command("/resend")(Resend(desk).resend)


class Resend:
    """The handler."""

    def __init__(self, desk: Desk) -> None:
        self._services = desk.services

    async def resend(self, command: dict[str, Any], asker: Asker, reply: Reply) -> BoltResponse:
        """`/resend NAME [ITEM]`."""
        typed = str(command.get("text") or "").strip()
        if typed.casefold() in {"", "help"}:
            return await reply.say(f"*Mail payment links again*\n{HOW_TO_RESEND}")
        async with self._services.database.transaction() as conn:
            wanted = await self._wanted(conn, asker.club.id, typed)
        if wanted.answer is not None:
            return await reply.say(wanted.answer.text, wanted.answer.blocks)
        receipt = await self._services.outbox.resend(asker.club, wanted.order_ids, asker.user_id)
        return await reply.say(receipt_text(receipt))

    async def _wanted(self, conn: AsyncConnection, tenant_id: int, typed: str) -> Wanted:
        result, item = await self._find(conn, tenant_id, typed)
        found = single_hit(result)
        if found is None or not found.exact:
            return Wanted(answer=_doubt(result))
        owed = await fetch_owed(conn, tenant_id, Order.player_id == found.player_id)
        fitting = [each for each in owed if describes(item, each.description)]
        if not fitting:
            return Wanted(answer=_no_such_item(found, item, owed))
        return Wanted(order_ids=tuple(each.order_id for each in fitting))

    async def _find(self, conn: AsyncConnection, tenant_id: int, typed: str) -> tuple[SearchResult, str]:
        """Return who fits the longest part of what was typed, and the rest; at most six searches."""
        whole: SearchResult | None = None
        for name, item in name_and_item(typed):
            result = await self._services.search.find(conn, tenant_id, name)
            if any(hit.exact for hit in result.hits):
                return result, item
            whole = whole or result
        return whole or SearchResult(typed, ()), ""


def _doubt(result: SearchResult) -> Answer:
    if not result.hits:
        text = f"No player matches “{escape(result.query)}”. {NOTHING_SENT}"
        return Answer(text, [section(NOTHING_SENT), *nobody_found(result.query)])
    if len(result.hits) == 1:
        heading = f"No “{escape(result.query)}”. Did you mean {escape(full_name(result.hits[0]))}?"
        return Answer(f"{heading} {NOTHING_SENT}", [section(NOTHING_SENT), *pick_list(heading, result.hits)])
    several = several_or_none(result)
    return Answer(f"{several.text} {NOTHING_SENT}", [section(NOTHING_SENT), *several.blocks])


def _no_such_item(player: PlayerHit, item: str, owed: list[OwedItem]) -> Answer:
    name = escape(full_name(player))
    if not owed:
        return Answer(f"{name} owes nothing, so nothing was sent.", [])
    lines = [f"• {item_in_words(each)}" for each in owed[:_ITEMS_SHOWN]]
    if more := len(owed) - len(lines):
        lines.append(f"…and {more} more")
    heading = f"{name} has no open item with “{escape(item)}” in it. {NOTHING_SENT} Open are:"
    blocks: list[Block] = [section("\n".join([heading, *lines]))]
    return Answer(heading, blocks)
