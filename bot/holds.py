"""Keeping reminders from a family, from its card: until a day, and why."""

from datetime import date
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.views import View

from bot.blocks import section
from bot.card_place import Place, done, open_window, point_at_field, refreshed
from bot.form import chosen_date, date_input, form, text_input, typed
from bot.gate import Asker, Desk
from bot.reply import Reply
from bot.text import cut, escape
from bot.values import read_id
from bot.wording import day
from core.clock import local_date
from core.errors import AlreadyDoneError, WrongFieldError
from core.holds import LONGEST_REASON, Family, family_of_player, lift_hold, set_hold

HOLD, LIFT = "hold_family", "hold_lift"
WHAT = "hold reminders"
Json = dict[str, Any]
_NAME = 80


def hold_modal(family: Family, place: Place) -> View:
    """Return the window that asks until when, and why."""
    blocks = [
        section(
            f"*{_name(family)}* gets no reminders for now. Links that somebody re-sends and blasts still go out. "
            "The family sees nothing of this."
        ),
        date_input("until", "Until and with", hint="Empty: until somebody lifts it."),
        text_input(
            "reason", "Why", hint="Like “on a payment plan”. Coaches and admins see it.", longest=LONGEST_REASON
        ),
    ]
    return form(HOLD, "Hold reminders", blocks, submit="Hold reminders", metadata=place.encode())


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Holding(desk)
    app.action(HOLD)(handlers.ask)
    app.view(HOLD)(handlers.hold)
    app.action(LIFT)(handlers.lift)


class Holding:
    """The handlers. The buttons carry the id of the card's player."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def ask(self, body: Json, action: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """An admin wants to hold the reminders to a card's family."""
        self._desk.require_admin(asker, WHAT)
        player_id = read_id(str(action["value"]))
        async with self._services.database.looking_up() as conn:
            family = await family_of_player(conn, asker.club.id, player_id)
        return await open_window(self._desk, body, hold_modal(family, Place.of(body, player_id)), ack)

    async def hold(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """The window was sent in: held before Slack is told so. Sent in twice, it is held once."""
        self._desk.require_admin(asker, WHAT)
        place, until = Place.decode(view["private_metadata"]), chosen_date(view, "until")
        now, club = self._services.clock(), asker.club
        try:
            async with self._services.database.transaction() as conn:
                family = await family_of_player(conn, club.id, place.player_id)
                reason = typed(view, "reason")
                await set_hold(conn, club, family.parent_id, until, reason, actor=asker.user_id, now=now)
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        words = f"🔕 {_name(family)} gets no reminders{_until(until, local_date(now, club.time_zone))}."
        return await done(self._desk, asker, reply, place, words)

    async def lift(self, body: Json, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin lets a card's family have reminders again."""
        self._desk.require_admin(asker, WHAT)
        place = Place.of(body, read_id(str(action["value"])))
        now = self._services.clock()
        async with self._services.database.transaction() as conn:
            family = await family_of_player(conn, asker.club.id, place.player_id)
            try:
                await lift_hold(conn, asker.club, family.parent_id, actor=asker.user_id, now=now)
            except AlreadyDoneError as error:
                # The card showed a button that was over.
                return await reply.error(error)
        return await refreshed(self._desk, asker, reply, place, f"🔔 {_name(family)} gets reminders again.")


def _name(family: Family) -> str:
    return escape(cut(family.name or family.email or "The family", _NAME))


def _until(until: date | None, today: date) -> str:
    return f" until {day(until, today)}" if until else " until somebody lifts it"
