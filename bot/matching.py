"""Matching a payment that fits no order: the choices, and what happens when one is made."""

from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Option
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.blocks import OPTIONS, option
from bot.gate import Asker, Desk
from bot.notices import UNMATCHED_BLOCK, unmatched_blocks
from bot.reply import Reply
from bot.slack_calls import SlackRefusedError, call
from bot.values import read_id
from core.balances import OwedItem, fetch_owed
from core.errors import AlreadyDoneError
from core.models import Order
from core.money import format_money
from core.notice_facts import matched_to
from core.unmatched import Unmatched, likely_orders, load_unmatched

log = structlog.get_logger(__name__)

Json = dict[str, Any]
_PLAYERS_LOOKED_AT = 20


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Matching(desk)
    app.options("payment_match")(handlers.suggest)
    app.action("payment_match")(handlers.match)


class Matching:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def suggest(self, payload: Json, asker: Asker, ack: AsyncAck) -> BoltResponse:
        """The likely items; once a name is typed, what its bearers owe."""
        if not asker.is_admin:
            return await ack(options=[])
        typed = str(payload.get("value") or "").strip()
        async with self._services.database.transaction() as conn:
            payment = await load_unmatched(conn, asker.club.id, _unmatched_id(payload))
            items = await self._named(conn, payment, typed) if typed else await likely_orders(conn, payment)
        return await ack(options=[_option(item) for item in items[:OPTIONS]])

    async def _named(self, conn: AsyncConnection, payment: Unmatched, typed: str) -> list[OwedItem]:
        found = await self._services.search.find(conn, payment.tenant_id, typed, limit=_PLAYERS_LOOKED_AT)
        places = {hit.player_id: place for place, hit in enumerate(found.hits)}
        items = await fetch_owed(
            conn, payment.tenant_id, Order.player_id.in_(places), Order.currency == payment.currency
        )
        return sorted(items, key=lambda item: places[item.player_id])

    async def match(self, body: Json, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin chose: recorded before Slack is told so; one person wins."""
        self._desk.require_admin(asker, "match payments")
        unmatched_id, order_id = _unmatched_id(action), read_id(str(action["selected_option"]["value"]))
        container = body.get("container", {})
        try:
            await self._services.unmatched.match(asker.club.id, unmatched_id, order_id, asker.user_id)
        except AlreadyDoneError as error:
            await reply.later(lambda: self._refresh(asker, unmatched_id, container))
            return await reply.error(error)
        return await reply.later(lambda: self._refresh(asker, unmatched_id, container))

    async def _refresh(self, asker: Asker, unmatched_id: int, container: Json) -> None:
        """Show in the message who matched the payment, to what."""
        async with self._services.database.transaction() as conn:
            payment = await load_unmatched(conn, asker.club.id, unmatched_id)
            order, refund = await matched_to(conn, payment)
        try:
            await call(
                self._desk.client.chat_update(
                    channel=container["channel_id"],
                    ts=container["message_ts"],
                    text="A payment was matched.",
                    blocks=unmatched_blocks(payment, order, refund),
                )
            )
        except SlackRefusedError as error:
            # The match itself is recorded; only the message still asks, and answers who was first.
            log.warning("match_not_shown", unmatched_id=unmatched_id, error=error.code)


def _unmatched_id(payload: Json) -> int:
    return read_id(str(payload.get("block_id", "")).removeprefix(UNMATCHED_BLOCK))


def _option(item: OwedItem) -> Option:
    amount = format_money(item.balance_cents, item.currency)
    family = " · ".join(filter(None, [item.parent_name, item.parent_email]))
    return option(f"{amount} · {item.player_name} · {item.description}", str(item.order_id), family)
