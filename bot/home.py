"""The App Home tab: a search, the commands and, for admins, what is owed and what waits for them."""

from datetime import date
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks import context, divider, header, section
from bot.dues_report import dues_summary
from bot.failed_jobs_view import failed_job_blocks
from bot.gate import NOT_ON_THE_LIST, Asker, Desk
from bot.pick_list import HOW_TO_RESEND, HOW_TO_SEARCH, player_search
from bot.reminder_view import reminder_blocks
from bot.slack_calls import call
from bot.text import count_of, mention
from core.clock import local_date
from core.club import Club
from core.dues import DuesReport, dues_report
from core.failed_jobs import failed_jobs
from core.models.statuses import BlastStatus
from core.money import format_money
from core.open_business import OpenBlast, OpenBusiness, open_business

_STATES = {
    BlastStatus.DRAFT: "waits for approval",
    BlastStatus.APPROVED: "is starting",
    BlastStatus.SENDING: "is going out",
}


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    home = Home(desk)
    app.event("app_home_opened")(home.opened)


class Home:
    """The handler."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def opened(self, event: dict[str, Any], asker: Asker | None) -> None:
        """Somebody opened the tab: it is made anew each time."""
        if event.get("tab", "home") != "home":
            return
        if asker is None:
            await publish(self._desk.client, str(event["user"]), outsider_blocks())
        else:
            await show_home(self._desk, asker)


async def show_home(desk: Desk, asker: Asker) -> None:
    """Show somebody on the list their tab as it is now.

    Raises:
        SlackBusyError, SlackRefusedError
    """
    blocks = await _all_blocks(desk, asker) if asker.is_admin else coach_blocks(asker.club)
    await publish(desk.client, asker.user_id, blocks)


async def _all_blocks(desk: Desk, asker: Asker) -> list[Block]:
    club, services = asker.club, desk.services
    now = services.clock()
    async with services.database.transaction() as conn:
        report = await dues_report(conn, club, now)
        business = await open_business(conn, club.id)
        upcoming = await services.reminders.next(conn, club)
        failed = await failed_jobs(conn, club.id)
    today = local_date(now, club.time_zone)
    payments = desk.here.payments_channel
    shown = [*coach_blocks(club), *admin_blocks(report, business, club, today, payments)]
    return [*shown, *failed_job_blocks(failed, club, today), *reminder_blocks(upcoming, club, today)]


async def publish(client: AsyncWebClient, user_id: str, blocks: list[Block]) -> None:
    """Show blocks in a person's home tab.

    Raises:
        SlackBusyError, SlackRefusedError
    """
    await call(client.views_publish(user_id=user_id, view=View(type="home", blocks=blocks)))


def outsider_blocks() -> list[Block]:
    """Return the tab of somebody who is on no list."""
    return [section(NOT_ON_THE_LIST)]


def coach_blocks(club: Club) -> list[Block]:
    """Return what everybody on the list sees."""
    return [
        header(club.name),
        section("*Look a family up*"),
        player_search(),
        context(f"{HOW_TO_SEARCH}\n{HOW_TO_RESEND}\n`/dues` shows what is owed by team."),
    ]


def admin_blocks(
    report: DuesReport, business: OpenBusiness, club: Club, today: date, payments_channel: str | None
) -> list[Block]:
    """Return what admins see besides."""
    blocks: list[Block] = [divider(), section(f"*Dues*\n{dues_summary(report, club, today)}")]
    if business.blasts:
        blocks.append(section("\n".join(["*Blasts*", *(_blast(blast, club) for blast in business.blasts)])))
    if business.unmatched_payments:
        where = f" in <#{payments_channel}>" if payments_channel else ""
        waiting = count_of(business.unmatched_payments, "payment fits", "payments fit")
        blocks.append(section(f"❓ {waiting} no order yet; please choose{where} what they were for."))
    blocks.append(context("`/blast` drafts a mail to everyone who owes; somebody approves it before it goes out."))
    return blocks


def _blast(blast: OpenBlast, club: Club) -> str:
    where = f", see <#{blast.slack_channel}>" if blast.slack_channel else ""
    total = format_money(blast.total_cents, club.currency)
    families = count_of(blast.families, "family", "families")
    return f"• {families}, {total}: {_STATES[blast.status]} (asked for by {mention(blast.requested_by)}){where}"
