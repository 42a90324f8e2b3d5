"""A club's own settings: `club set`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.output import AsJson, ClubName, Commit, finish, say, say_list
from cli.runtime import run_for_club
from cli.setup import check_details
from core.audit import record_change
from core.club import Club, change_club
from core.errors import InvalidInputError, MailRefusedError
from core.mail_message import Mailbox
from core.services import Services


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="The club's own settings.")
    group.callback()(_group)
    group.command("set")(set_details)
    app.add_typer(group, name="club")


def _group() -> None:
    """Keep `set` a subcommand although it is the only one."""


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
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Change the club's details; those not named stay as they are."""
    check_details(None, None, time_zone, brand_color)
    given: dict[str, Any] = {
        "sends_receipts": receipts and receipts is Switch.ON,
        "brand_color": brand_color,
        "time_zone": time_zone,
        "two_person_approval": two_person_approval and two_person_approval is Switch.ON,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if reply_to is not None:
        wanted["reply_to"] = _address(reply_to)
    if not wanted:
        raise InvalidInputError("Say what to change, like --receipts off; `sideline club set --help` lists all.")

    async def work(services: Services, chosen: Club) -> tuple[dict[str, Any], dict[str, Any]]:
        async with services.database.transaction(keep=commit) as conn:
            before, after = await change_club(conn, chosen.id, wanted)
            if after:
                subject = f"tenant:{chosen.id}"
                await record_change(conn, chosen.id, "cli", "club.set", subject, before=before, after=after)
        return before, after

    before, after = run_for_club(club, work)
    say(f"{'Changed' if commit else 'Would change'} {len(after)} detail(s); {len(wanted) - len(after)} as before.")
    say_list(f"{name}: {_word(before[name])} becomes {_word(after[name])}" for name in after)
    result = {"created": len(after), "skipped": len(wanted) - len(after), "failed": 0, "changed": after}
    finish(result, commit=commit, as_json=as_json)


def _address(typed: str) -> str | None:
    if not typed.strip():
        return None
    try:
        return Mailbox.parse(typed.strip()).address
    except MailRefusedError as error:
        raise InvalidInputError(f"--reply-to: {error}") from None


def _word(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return Switch.ON if value else Switch.OFF
    return value or "nothing"
