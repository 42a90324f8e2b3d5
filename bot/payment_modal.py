"""Recording cash, a check or a waiver from the card: a window to fill in, and one that asks once more.

The window's own id is the payment's key: however often it is sent in, one payment is recorded.
"""

from dataclasses import asdict, dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from bot.blocks import option, section
from bot.card_place import Place, done, point_at_field, read_metadata, refreshed
from bot.form import choice_input, chosen, form, text_input, typed, typed_money
from bot.gate import Asker, Desk
from bot.reply import Reply
from bot.text import cut, escape
from bot.values import PaymentValue
from bot.wording import METHODS, amount_in_words, recorded_in_words
from core.errors import WrongFieldError
from core.manual_payments import (
    AMOUNT,
    LONGEST_REFERENCE,
    METHOD,
    REFERENCE,
    HandPayment,
    Recorded,
    new_hand_payment,
)
from core.models.statuses import PaymentMethod
from core.money import format_money
from core.order_summary import OrderSummary

CALLBACK_ID, CONFIRMED = "record_payment", "record_payment_confirmed"
Json = dict[str, Any]
_NAME = 80
_CHOICES = [
    option("Cash", PaymentMethod.CASH),
    option("Check", PaymentMethod.CHECK),
    option("Waive it", PaymentMethod.WAIVER, "Nothing came in, and nothing will be asked for"),
]


@dataclass(frozen=True, slots=True)
class _Filled:
    """What was filled in, kept by the window that asks once more."""

    place: Place
    payment: HandPayment

    def encode(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, metadata: str) -> "_Filled":
        return read_metadata(_FILLED, metadata)


_FILLED = TypeAdapter(_Filled)


def payment_modal(order: OrderSummary, place: Place) -> View:
    """Return the window, with everything that is owed filled in."""
    blocks = [
        section(f"{order_in_words(order)}\n{amount_in_words(order)} is owed."),
        choice_input(METHOD, "What happened", _CHOICES),
        text_input(AMOUNT, "How much", initial=plain_amount(order.balance_cents), hint="Less is a part payment."),
        text_input(
            REFERENCE,
            "Check number, or why it is waived",
            hint="For the club only; families never see why something is waived.",
            longest=LONGEST_REFERENCE,
            optional=True,
        ),
    ]
    return form(CALLBACK_ID, "Record a payment", blocks, submit="Look it over", metadata=place.encode())


def confirm_modal(recorded: Recorded, metadata: str) -> View:
    """Return the question before a payment is recorded, with what follows from it."""
    order, words = recorded.order, _payment_words(recorded)
    if order.balance_cents > 0:
        then = f"{format_money(order.balance_cents, order.currency)} stays owed; the family's link asks for that."
    else:
        then = "Nothing stays owed on it; its payment link is closed."
    blocks = [section(f"*Record {words}?*\n{order_in_words(order)}\n{then}")]
    return form(CONFIRMED, "Record a payment", blocks, submit="Record it", metadata=metadata)


def recorded_text(recorded: Recorded) -> str:
    """Say what was recorded and what is left, as mrkdwn."""
    order = recorded.order
    left = format_money(order.balance_cents, order.currency)
    rest = f"{left} stays owed." if order.balance_cents > 0 else "Nothing stays owed on it."
    start = "✅ Recorded" if recorded.is_new else "✅ Recorded before, once:"
    return f"{start} {_payment_words(recorded)}, {order_in_words(order)}. {rest}"


def order_in_words(order: OrderSummary) -> str:
    """Return whose item it is, as mrkdwn."""
    return f"*{escape(cut(order.player_name, _NAME))}*: {escape(cut(order.description, _NAME))}"


def plain_amount(cents: int) -> str:
    """Return an amount as people type it: `60.00`."""
    return f"{cents // 100}.{cents % 100:02}"


def _payment_words(recorded: Recorded) -> str:
    payment = recorded.payment
    amount = format_money(payment.amount_cents, recorded.order.currency)
    return recorded_in_words(payment.method, amount, payment.reference or None)


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Recording(desk)
    app.view(CALLBACK_ID)(handlers.look_over)
    app.view(CONFIRMED)(handlers.record)
    app.action("payment_undo")(handlers.undo)


class Recording:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._payments = desk.services.manual_payments

    async def look_over(self, view: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """The window was filled in: everything is checked, and asked once more."""
        self._desk.require_admin(asker, "record payments")
        place = Place.decode(view["private_metadata"])
        try:
            payment = new_hand_payment(
                place.order_id, typed_money(view, AMOUNT), chosen(view, METHOD), typed(view, REFERENCE)
            )
            recorded = await self._payments.record(asker.club, payment, asker.user_id, keep=False)
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        metadata = _Filled(place, payment).encode()
        return await ack(response_action="update", view=confirm_modal(recorded, metadata))

    async def record(self, body: Json, view: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin said yes: recorded before Slack is told so."""
        self._desk.require_admin(asker, "record payments")
        filled = _Filled.decode(view["private_metadata"])
        key = f"slack:{body['team']['id']}:{view['id']}"
        recorded = await self._payments.record(asker.club, filled.payment, asker.user_id, request_key=key)
        return await done(self._desk, asker, reply, filled.place, recorded_text(recorded))

    async def undo(self, body: Json, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """A payment that a person recorded was a mistake."""
        self._desk.require_admin(asker, "undo payments")
        value = PaymentValue.decode(str(action.get("value", "")))
        undone = await self._payments.undo(asker.club, value.payment_id, asker.user_id)
        amount = format_money(undone.amount_cents, undone.order.currency)
        words = f"↩️ Undone: {amount} {METHODS[undone.method]}, {order_in_words(undone.order)}."
        return await refreshed(self._desk, asker, reply, Place.of(body, value.player_id), words)
