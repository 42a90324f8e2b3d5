"""A club's own settings: `club set`."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.club_columns import check_no_open_links, club_columns
from cli.output import AsJson, ClubName, Commit, finish, say, say_list
from cli.runtime import chosen_club, opened_services, run_for_club
from cli.setup import check_details
from core.audit import record_change
from core.club import Club, change_club
from core.errors import InvalidInputError, MailRefusedError, SettingsError
from core.invites import Invites
from core.mail_message import Mailbox
from core.services import Services


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="The club's own settings.")
    group.command("set")(set_details)
    group.command("invite")(invite)
    app.add_typer(group, name="club")


def set_details(
    *,
    receipts: Annotated[
        Switch | None, typer.Option(help="Whether families get a receipt; off where Stripe sends its own.")
    ] = None,
    reply_to: Annotated[str | None, typer.Option(help='Where families\' answers go; "" for the sender.')] = None,
    brand_color: Annotated[str | None, typer.Option(help="For mails and pages, e.g. #0b6e4f.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="E.g. America/Chicago.")] = None,
    two_person_approval: Annotated[
        Switch | None, typer.Option(help="Whether somebody else than who drafted a blast must approve it.")
    ] = None,
    slack_team: Annotated[str | None, typer.Option(help="Its Slack workspace (T…).")] = None,
    payments_channel: Annotated[str | None, typer.Option(help="Where payments are told (C…).")] = None,
    approvals_channel: Annotated[
        str | None, typer.Option(help='Where blasts are approved (C…); "" for the payments channel.')
    ] = None,
    admins: Annotated[
        str | None, typer.Option(help='Members or user groups (U…, S…), separated by commas; "" for nobody.')
    ] = None,
    coaches: Annotated[str | None, typer.Option(help="The same for who may look up and re-send.")] = None,
    stripe_account: Annotated[
        str | None, typer.Option(help='The connected account (acct_…) its money goes to; "" for the key\'s own.')
    ] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Change the club's details; those not named stay as they are."""
    check_details(slack_team, None, time_zone, brand_color)
    given: dict[str, Any] = {
        "sends_receipts": receipts and receipts is Switch.ON,
        "brand_color": brand_color,
        "time_zone": time_zone,
        "two_person_approval": two_person_approval and two_person_approval is Switch.ON,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    wanted |= club_columns(
        slack_team_id=slack_team,
        slack_payments_channel=payments_channel,
        slack_approvals_channel=approvals_channel,
        slack_admins=admins,
        slack_coaches=coaches,
        stripe_account_id=stripe_account,
    )
    if reply_to is not None:
        wanted["reply_to"] = _address(reply_to)
    if not wanted:
        raise InvalidInputError("Say what to change, like --receipts off; `sideline club set --help` lists all.")

    async def work(services: Services, chosen: Club) -> tuple[dict[str, Any], dict[str, Any]]:
        async with services.database.transaction(keep=commit) as conn:
            before, after = await change_club(conn, chosen.id, wanted)
            if "stripe_account_id" in after:
                await check_no_open_links(conn, chosen.id)
            if after:
                subject = f"tenant:{chosen.id}"
                await record_change(conn, chosen.id, "cli", "club.set", subject, before=before, after=after)
        return before, after

    before, after = run_for_club(club, work)
    say(f"{'Changed' if commit else 'Would change'} {len(after)} detail(s); {len(wanted) - len(after)} as before.")
    say_list(f"{name}: {_word(before[name])} becomes {_word(after[name])}" for name in after)
    result = {"created": len(after), "skipped": len(wanted) - len(after), "failed": 0, "changed": after}
    finish(result, commit=commit, as_json=as_json)


def invite(club: ClubName = None, as_json: AsJson = False) -> None:
    """Make a link by which a workspace installs the app, once and within a day.

    With --club it connects that club's workspace; without, it makes a new club named after the workspace, with
    whoever installs it as its admin.
    """

    async def run() -> str:
        async with opened_services() as services:
            settings = services.settings
            if settings.slack_client_id is None:
                raise SettingsError("SLACK_CLIENT_ID: needed for this, with SLACK_CLIENT_SECRET; see the README")
            chosen = await chosen_club(services, club) if club is not None else None
            invites = Invites(settings.base_url, settings.signing_keys, services.clock)
            async with services.database.transaction() as conn:
                return await invites.create(conn, chosen.id if chosen is not None else None)

    url = asyncio.run(run())
    say("Send this to an admin of the workspace; it works once, until this time tomorrow:")
    say(url)
    finish({"created": 1, "skipped": 0, "failed": 0, "url": url}, commit=True, as_json=as_json)


def _address(typed: str) -> str | None:
    if not typed.strip():
        return None
    try:
        return Mailbox.parse(typed.strip()).address
    except MailRefusedError as error:
        raise InvalidInputError(f"--reply-to: {error}") from None


def _word(value: str | bool | list[str] | None) -> str:
    if isinstance(value, bool):
        return Switch.ON if value else Switch.OFF
    return ", ".join(value) if isinstance(value, list) and value else str(value or "nothing")
