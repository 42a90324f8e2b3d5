"""An item's menu on the card: what admins may do about it, each in a window of its own."""

from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from bot.card_place import Place, open_window
from bot.change_modal import amount_modal, take_off_modal
from bot.gate import Asker, Desk
from bot.payment_modal import payment_modal
from bot.values import MenuValue, OrderChoice
from core.order_summary import OrderSummary, load_order_summary

Json = dict[str, Any]
_WINDOWS: Mapping[OrderChoice, Callable[[OrderSummary, Place], View]] = {
    OrderChoice.PAY: payment_modal,
    OrderChoice.AMOUNT: amount_modal,
    OrderChoice.CANCEL: take_off_modal,
}


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.action("order_menu")(OrderMenu(desk).choose)


class OrderMenu:
    """The handler."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def choose(self, body: Json, action: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """An admin chose from an item's menu."""
        self._desk.require_admin(asker, "change what families owe")
        value = MenuValue.decode(str(action["selected_option"]["value"]))
        async with self._desk.services.database.looking_up() as conn:
            order = await load_order_summary(conn, asker.club.id, value.order.order_id)
        if value.choice is not OrderChoice.AMOUNT:
            order.require_owed()
        place = Place.of(body, value.order.player_id, order.order_id)
        return await open_window(self._desk, body, _WINDOWS[value.choice](order, place), ack)
