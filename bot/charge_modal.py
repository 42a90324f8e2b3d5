"""Charging a player from the card: something to pay, and what the month costs from now on."""

from datetime import date, timedelta
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from bot.blocks import option, section
from bot.card_place import Place, done, open_window, point_at_field
from bot.form import choice_input, chosen, chosen_date, date_input, form, text_input, typed, typed_money
from bot.gate import Asker, Desk
from bot.payment_modal import plain_amount
from bot.reply import Reply
from bot.text import cut, escape
from bot.values import read_id
from bot.wording import day
from core.clock import local_date
from core.club import Club
from core.errors import InvalidInputError, WrongFieldError
from core.items import LONGEST_NAME, Item, ItemBill, charge_item, new_item
from core.models.statuses import Category
from core.money import format_money
from core.order_changes import LONGEST_REASON, REASON
from core.player_fees import PlayerFee, load_player_fee, set_monthly_fee

CHARGE, MONTHLY_FEE = "charge_player", "player_fee"
WHAT, KIND, PRICE, DUE, MONTHLY = "what", "kind", "price", "due", "monthly"
Json = dict[str, Any]
_NAME = 80
_DUE_IN_DAYS = 14
_KINDS = [
    option("Something else", Category.GENERIC),
    option("Jersey or uniform", Category.JERSEY),
    option("Tryout", Category.TRYOUT),
]


def charge_modal(player: PlayerFee, today: date, place: Place) -> View:
    """Return the window that asks what to charge."""
    blocks = [
        section(f"*{escape(cut(player.player_name, _NAME))}* is charged once; the family sees it word for word."),
        text_input(WHAT, "What", hint="Like “Away jersey” or “Referee course”.", longest=LONGEST_NAME),
        choice_input(KIND, "Kind", _KINDS),
        text_input(PRICE, "How much", hint="Like 65.00", longest=20),
        date_input(DUE, "Due", initial=today + timedelta(days=_DUE_IN_DAYS)),
    ]
    return form(CHARGE, "Charge a player", blocks, submit="Charge it", metadata=place.encode())


def fee_modal(player: PlayerFee, place: Place) -> View:
    """Return the window that asks what a month costs this player."""
    initial = "" if player.monthly_cents is None else plain_amount(player.monthly_cents)
    blocks = [
        section(
            f"*{escape(cut(player.player_name, _NAME))}* pays this from the next bill on; what was billed already "
            "stays as it is."
        ),
        text_input(
            MONTHLY, "Monthly fee", initial=initial, hint="Like 100.00. Empty: no monthly fee.", optional=True
        ),
        text_input(
            REASON,
            "Why it is special",
            initial=player.note,
            hint="Like “scholarship”. For coaches and admins; families never see it.",
            longest=LONGEST_REASON,
            optional=True,
        ),
    ]
    return form(MONTHLY_FEE, "Monthly fee", blocks, submit="Set the fee", metadata=place.encode())


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Charging(desk)
    app.action(CHARGE)(handlers.ask_what)
    app.view(CHARGE)(handlers.charge)
    app.action(MONTHLY_FEE)(handlers.ask_fee)
    app.view(MONTHLY_FEE)(handlers.set_fee)


class Charging:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def ask_what(self, body: Json, action: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """An admin wants to charge the card's player."""
        self._desk.require_admin(asker, "charge families")
        player = await self._player(asker.club, action)
        today = local_date(self._services.clock(), asker.club.time_zone)
        place = Place.of(body, player.player_id)
        return await open_window(self._desk, body, charge_modal(player, today, place), ack)

    async def charge(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """The window was sent in: charged before Slack is told so. Sent in twice, it is charged once."""
        self._desk.require_admin(asker, "charge families")
        place = Place.decode(view["private_metadata"])
        try:
            item = _item(view)
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        due = chosen_date(view, DUE)
        async with self._services.database.transaction() as conn:
            player = await load_player_fee(conn, asker.club.id, place.player_id)
            players = [place.player_id]
            bill = await charge_item(conn, asker.club, players, item, due, actor=asker.user_id)
        if bill.problems:
            return await point_at_field(ack, WrongFieldError(f"The player {bill.problems[0].reason}.", WHAT))
        today = local_date(self._services.clock(), asker.club.time_zone)
        words = _charged(player, item, bill, due, today, asker.club.currency)
        return await done(self._desk, asker, reply, place, words)

    async def ask_fee(self, body: Json, action: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """An admin wants to change the card's player's monthly fee."""
        self._desk.require_admin(asker, "change fees")
        player = await self._player(asker.club, action)
        return await open_window(self._desk, body, fee_modal(player, Place.of(body, player.player_id)), ack)

    async def set_fee(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """The window was sent in: set before Slack is told so."""
        self._desk.require_admin(asker, "change fees")
        place = Place.decode(view["private_metadata"])
        try:
            cents = typed_money(view, MONTHLY) if typed(view, MONTHLY) else None
            async with self._services.database.transaction() as conn:
                _, fee = await set_monthly_fee(
                    conn, asker.club, place.player_id, cents, typed(view, REASON), asker.user_id
                )
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        amount = "no monthly fee" if cents is None else f"{format_money(cents, asker.club.currency)} a month"
        words = f"✅ *{escape(cut(fee.player_name, _NAME))}* has {amount} from the next bill on."
        return await done(self._desk, asker, reply, place, words)

    async def _player(self, club: Club, action: Json) -> PlayerFee:
        player_id = read_id(str(action.get("value", "")))
        async with self._services.database.transaction() as conn:
            return await load_player_fee(conn, club.id, player_id)


def _item(view: Json) -> Item:
    price_cents = typed_money(view, PRICE)
    if price_cents <= 0:
        raise WrongFieldError("The price has to be more than nothing, like 65.00.", PRICE)
    try:
        return new_item(typed(view, WHAT), chosen(view, KIND), price_cents)
    except InvalidInputError as error:
        raise WrongFieldError(str(error), WHAT) from None


def _charged(player: PlayerFee, item: Item, bill: ItemBill, due: date | None, today: date, currency: str) -> str:
    what = f"{escape(item.name)}, {format_money(item.price_cents, currency)}"
    who = f"*{escape(cut(player.player_name, _NAME))}*"
    if bill.already_billed:
        return f"{who} was charged {what} before, and is charged it once. Another one needs another name."
    split = " Two guardians share it, each with their own part." if len(bill.charges) > 1 else ""
    return f"✅ {who} is charged {what}{f', due {day(due, today)}' if due else ''}.{split}"
