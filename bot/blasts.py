"""Blasts in Slack: the window that drafts one, and the buttons that decide about it."""

from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse

from bot.blast_modal import (
    AUDIENCE,
    CALLBACK_ID,
    EVERYONE,
    LONGEST_NOTE,
    NOTE,
    TOURNAMENTS_SHOWN,
    audience_in_words,
    blast_modal,
    read_audience,
)
from bot.gate import Asker, Desk
from bot.reply import Reply
from bot.slack_calls import SlackRefusedError, call
from bot.text import count_of, escape
from bot.values import read_id
from core.audiences import AudienceQuery
from core.club import Club
from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError, OverlapError
from core.teams import TeamName, list_teams
from core.tournaments import TournamentSummary, list_tournaments

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Choices = tuple[list[TeamName], list[TournamentSummary]]
COUNTING = "Counting who would get a mail…"
# Somebody waits, and Slack takes the window for three seconds only.
PATIENCE_SECONDS = 2.5


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    drafting, deciding = Drafting(desk), Deciding(desk)
    app.command("/blast")(drafting.open)
    app.action(AUDIENCE)(drafting.change_audience)
    app.view(CALLBACK_ID)(drafting.submit)
    app.action("blast_approve")(deciding.approve)
    app.action("blast_cancel")(deciding.cancel)
    app.action("blast_retry_failed")(deciding.retry_failed)
    app.action("blast_send_test")(deciding.send_test)


class Drafting:
    """The handlers of `/blast` and its window."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def open(self, body: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """`/blast`: the window opens at once, its numbers follow."""
        self._desk.require_admin(asker, "send a blast")
        if self._desk.here.approvals_channel is None:
            raise InvalidInputError("SLACK_APPROVALS_CHANNEL is not set, so nobody could approve a blast.")
        choices = await self._choices(asker.club)
        window = blast_modal(*choices, COUNTING)
        opening = self._desk.client.views_open(trigger_id=body["trigger_id"], view=window)
        view: Json = (await call(opening, within=PATIENCE_SECONDS))["view"]
        return await reply.later(lambda: self._show_numbers(asker.club, view, choices, read_audience(EVERYONE)))

    async def change_audience(self, body: Json, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Another audience was chosen in the window."""
        self._desk.require_admin(asker, "send a blast")
        query = read_audience(str(action["selected_option"]["value"]))
        choices = await self._choices(asker.club)
        return await reply.later(lambda: self._show_numbers(asker.club, body["view"], choices, query))

    async def submit(self, view: Json, ack: AsyncAck, asker: Asker) -> BoltResponse:
        """The window was sent in: the draft is in the database before Slack is told so."""
        self._desk.require_admin(asker, "send a blast")
        values = view["state"]["values"]
        query = read_audience(str(values[AUDIENCE][AUDIENCE]["selected_option"]["value"]))
        note = str(values[NOTE][NOTE].get("value") or "").strip()[:LONGEST_NOTE]
        try:
            await self._services.blasts.draft(asker.club, query, note=note, requested_by=asker.user_id)
        except (InvalidInputError, NotFoundError) as error:
            return await ack(response_action="errors", errors={AUDIENCE: str(error)})
        return await ack()

    async def _choices(self, club: Club) -> Choices:
        async with self._services.database.transaction() as conn:
            teams = await list_teams(conn, club.id)
            return teams, await list_tournaments(conn, club.id, TOURNAMENTS_SHOWN)

    async def _show_numbers(self, club: Club, view: Json, choices: Choices, query: AudienceQuery) -> None:
        audience = await self._services.blasts.preview(club, query)
        updated = blast_modal(*choices, audience_in_words(audience, club.currency))
        try:
            # The hash keeps these numbers out of a window that shows another audience by now.
            await call(self._desk.client.views_update(view_id=view["id"], hash=view["hash"], view=updated))
        except SlackRefusedError as error:
            # Closed, sent in or changed meanwhile: nobody waits for these numbers.
            log.info("blast_numbers_not_shown", error=error.code)


class Deciding:
    """The handlers of the approval message's buttons."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def approve(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Somebody approves. The mails are queued before Slack is told so."""
        self._desk.require_admin(asker, "approve a blast")
        blast_id = read_id(str(action["value"]))
        try:
            await self._services.blasts.approve(asker.club, blast_id, asker.user_id)
        except OverlapError as error:
            return await reply.error(error)
        except AlreadyDoneError as error:
            return await self._told(reply, blast_id, error)
        return await reply.say("Approved. The mails are going out; the message shows how far they are.")

    async def cancel(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Somebody cancels the draft, or stops what is going out."""
        self._desk.require_admin(asker, "cancel a blast")
        blast_id = read_id(str(action["value"]))
        try:
            await self._services.blasts.cancel(asker.club, blast_id, asker.user_id)
        except AlreadyDoneError as error:
            return await self._told(reply, blast_id, error)
        return await reply.say("Canceled. Families who have not been mailed yet get no mail.")

    async def retry_failed(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Somebody has the failed mails sent again."""
        self._desk.require_admin(asker, "send mails again")
        blast_id = read_id(str(action["value"]))
        try:
            families = await self._services.blasts.retry_failed(asker.club, blast_id, asker.user_id)
        except AlreadyDoneError as error:
            return await self._told(reply, blast_id, error)
        return await reply.say(f"Sending {count_of(families, 'mail')} again.")

    async def send_test(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """Somebody wants to see the mail in their own mailbox first."""
        self._desk.require_admin(asker, "send a test")
        blast_id = read_id(str(action["value"]))
        return await reply.later(lambda: self._send_test(blast_id, asker, reply))

    async def _send_test(self, blast_id: int, asker: Asker, reply: Reply) -> None:
        services = self._services
        user = (await call(self._desk.client.users_info(user=asker.user_id)))["user"]
        address = str(user.get("profile", {}).get("email") or "")
        if not address:
            raise InvalidInputError(
                "Slack doesn't tell us your e-mail address; the app needs the users:read.email permission for it."
            )
        name = str(user.get("real_name") or user.get("name") or "")
        await services.blast_samples.send(
            asker.club, blast_id, to_address=address, to_name=name, actor=asker.user_id
        )
        await reply.send(
            f"A test is on its way to {escape(address)}. It is what the first family on the list would get, with "
            "that family's own links: please don't pass it on."
        )

    async def _told(self, reply: Reply, blast_id: int, error: AlreadyDoneError) -> BoltResponse:
        """Say who was first, and bring the message up to date: it showed a button that was over."""
        async with self._services.database.transaction() as conn:
            await self._services.jobs.refresh_blast_message(conn, blast_id)
        return await reply.error(error)
