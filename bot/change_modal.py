"""Changing an order from the card: another amount, or off the family's list."""

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from bot.blocks import section
from bot.card_place import Place, done, point_at_field
from bot.form import form, text_input, typed, typed_money
from bot.gate import Asker, Desk
from bot.payment_modal import order_in_words, plain_amount
from bot.reply import Reply
from bot.wording import amount_in_words
from core.errors import WrongFieldError
from core.models.statuses import OrderStatus
from core.money import format_money
from core.order_changes import AMOUNT, LONGEST_REASON, REASON, AmountChange
from core.order_summary import OrderSummary

CHANGE_AMOUNT, TAKE_OFF = "change_amount", "take_off"
Json = dict[str, Any]


def amount_modal(order: OrderSummary, place: Place) -> View:
    """Return the window that asks for another amount and why."""
    paid = f", {format_money(order.paid_cents, order.currency)} of it paid" if order.paid_cents > 0 else ""
    blocks = [
        section(f"{order_in_words(order)}\nIt costs {format_money(order.amount_cents, order.currency)}{paid}."),
        text_input(AMOUNT, "New amount", initial=plain_amount(order.amount_cents)),
        text_input(REASON, "Why", hint="For the club only; families never see it.", longest=LONGEST_REASON),
    ]
    return form(CHANGE_AMOUNT, "Change the amount", blocks, submit="Change it", metadata=place.encode())


def take_off_modal(order: OrderSummary, place: Place) -> View:
    """Return the window that asks whether an item is to be taken off the family's list."""
    blocks = [
        section(
            f"*Take this off the list?*\n{order_in_words(order)}, {amount_in_words(order)}.\n"
            "Nobody is asked for it any more, and its payment link is closed. Billed again later, it comes back; "
            "a waiver settles it for good."
        ),
        text_input(
            REASON, "Why", hint="For the club only; families never see it.", longest=LONGEST_REASON, optional=True
        ),
    ]
    return form(TAKE_OFF, "Take off the list", blocks, submit="Take it off", metadata=place.encode())


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Changing(desk)
    app.view(CHANGE_AMOUNT)(handlers.change_amount)
    app.view(TAKE_OFF)(handlers.take_off)


class Changing:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changes = desk.services.order_changes

    async def change_amount(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """Another amount was sent in: changed before Slack is told so."""
        self._desk.require_admin(asker, "change amounts")
        place = Place.decode(view["private_metadata"])
        try:
            change = await self._changes.change_amount(
                asker.club, place.order_id, typed_money(view, AMOUNT), typed(view, REASON), asker.user_id
            )
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        return await done(self._desk, asker, reply, place, _changed(change))

    async def take_off(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin said yes: taken off before Slack is told so."""
        self._desk.require_admin(asker, "take items off the list")
        place = Place.decode(view["private_metadata"])
        try:
            order = await self._changes.cancel(asker.club, place.order_id, typed(view, REASON), asker.user_id)
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        words = f"✅ Taken off the list: {order_in_words(order)}. Nobody is asked for it any more."
        return await done(self._desk, asker, reply, place, words)


def _changed(change: AmountChange) -> str:
    order = change.order
    before, now = (format_money(cents, order.currency) for cents in (change.before_cents, order.amount_cents))
    if order.status is OrderStatus.PAID:
        rest = "With that it is paid."
    else:
        rest = f"{format_money(order.balance_cents, order.currency)} is owed; the family's link asks for that now."
    return f"✅ {order_in_words(order)} costs {now} now, before {before}. {rest}"
