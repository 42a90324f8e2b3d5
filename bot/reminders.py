"""Reminders in the home tab: changing the rules, and seeing whom the next ones would reach."""

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse

from bot.blocks import section, window
from bot.card_place import PATIENCE_SECONDS, open_window, point_at_field
from bot.gate import Asker, Desk
from bot.home import show_home
from bot.reminder_view import CHANGE, PREVIEW, preview_window, read_rules, rules_modal, status_in_words
from bot.reply import Reply
from bot.slack_calls import call
from core.clock import local_date
from core.errors import WrongFieldError
from core.reminder_rules import change_rules, load_rules, switch

Json = dict[str, Any]
WHAT = "change reminders"


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = ReminderHandlers(desk)
    app.action(CHANGE)(handlers.ask)
    app.view(CHANGE)(handlers.change)
    app.action(PREVIEW)(handlers.preview)


class ReminderHandlers:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def ask(self, body: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """An admin wants to change the rules."""
        self._desk.require_admin(asker, WHAT)
        async with self._services.database.reading() as conn:
            rules = await load_rules(conn, asker.club.id)
        return await open_window(self._desk, body, rules_modal(rules), ack)

    async def change(self, view: Json, ack: AsyncAck, asker: Asker, reply: Reply) -> BoltResponse:
        """The window was sent in: the rules are stored before Slack is told so. Sent in twice, they stay."""
        self._desk.require_admin(asker, WHAT)
        club, services = asker.club, self._services
        try:
            on, wanted = read_rules(view)
            if on:
                self._check_that_it_works(wanted)
            async with services.database.transaction() as conn:
                await change_rules(conn, club, wanted, actor=asker.user_id)
                await switch(conn, club, on=on, actor=asker.user_id, now=services.clock())
        except WrongFieldError as error:
            return await point_at_field(ack, error)
        async with services.database.transaction() as conn:
            upcoming = await services.reminders.next(conn, club)
        self._desk.background.start(show_home(self._desk, asker))
        today = local_date(services.clock(), club.time_zone)
        return await reply.say(f"✅ Saved. {status_in_words(upcoming, club, today)}")

    def _check_that_it_works(self, wanted: Json) -> None:
        if not self._services.mailer.is_on:
            raise WrongFieldError("Mail is off: set SMTP_URL and MAIL_FROM first.", "is_on")
        if wanted["needs_approval"] and self._desk.here.approvals_channel is None:
            words = "SLACK_APPROVALS_CHANNEL is not set, so nobody could approve them."
            raise WrongFieldError(words, "needs_approval")

    async def preview(self, body: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin wants to see whom the next ones would reach: the window opens at once and is filled then."""
        self._desk.require_admin(asker, "see whom reminders reach")
        waiting = window("Next reminders", [section("Counting who would get a mail…")])
        opening = self._desk.client.views_open(trigger_id=body["trigger_id"], view=waiting)
        view: Json = (await call(opening, within=PATIENCE_SECONDS))["view"]
        return await reply.later(lambda: self._show_preview(view, asker))

    async def _show_preview(self, view: Json, asker: Asker) -> None:
        club, services = asker.club, self._services
        async with services.database.transaction() as conn:
            upcoming = await services.reminders.next(conn, club)
            reminded = await services.reminders.named(conn, upcoming.plan)
        today = local_date(services.clock(), club.time_zone)
        shown = preview_window(upcoming, reminded, club, today)
        await call(self._desk.client.views_update(view_id=view["id"], hash=view["hash"], view=shown))
