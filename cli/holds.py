"""Families who get no reminders for now: `hold add|lift|list`."""

from datetime import date, datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.output import AsJson, ClubName, Commit, finish, print_json, say, say_list
from cli.runtime import run_for_club
from core.clock import local_date
from core.club import Club
from core.errors import InvalidInputError, NotFoundError
from core.holds import Family, Hold, family_of_address, family_of_player, lift_hold, list_holds, set_hold
from core.named_players import find_named
from core.services import Services

ACTOR = "cli"
PlayerName = Annotated[str | None, typer.Option(help="A player's whole name: the family's first guardian.")]
Address = Annotated[str | None, typer.Option(help="A guardian's e-mail address.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="Families who get no reminders for now.")
    group.command("add")(add)
    group.command("lift")(lift)
    group.command("list")(list_all)
    app.add_typer(group, name="hold")


def add(
    reason: Annotated[str, typer.Option(help="Why; coaches and admins see it, families don't.")],
    player: PlayerName = None,
    email: Address = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; else until it is lifted.")
    ] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Keep reminders from a family; another hold takes the place of the one it has."""
    _check_who(player, email)
    last_day = until.date() if until else None

    async def work(services: Services, chosen: Club) -> tuple[Family, bool]:
        async with services.database.transaction(keep=commit) as conn:
            family = await _family(conn, chosen, player, email)
            now = services.clock()
            return family, await set_hold(conn, chosen, family.parent_id, last_day, reason, actor=ACTOR, now=now)

    family, is_changed = run_for_club(club, work)
    gets = "gets" if commit or not is_changed else "would get"
    already = "" if is_changed else " already"
    say(f"{_name(family)} {gets} no reminders {_until(last_day)}{already}.")
    result = {
        "created": int(is_changed),
        "skipped": int(not is_changed),
        "failed": 0,
        "parent_id": family.parent_id,
    }
    finish(result, commit=commit, as_json=as_json)


def lift(
    player: PlayerName = None,
    email: Address = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Let a family have reminders again."""
    _check_who(player, email)

    async def work(services: Services, chosen: Club) -> Family:
        async with services.database.transaction(keep=commit) as conn:
            family = await _family(conn, chosen, player, email)
            await lift_hold(conn, chosen, family.parent_id, actor=ACTOR, now=services.clock())
            return family

    family = run_for_club(club, work)
    say(f"{_name(family)} {'gets' if commit else 'would get'} reminders again.")
    result = {"created": 1, "skipped": 0, "failed": 0, "parent_id": family.parent_id}
    finish(result, commit=commit, as_json=as_json)


def list_all(club: ClubName = None, as_json: AsJson = False) -> None:
    """List the holds in force."""

    async def work(services: Services, chosen: Club) -> list[Hold]:
        async with services.database.transaction() as conn:
            return await list_holds(conn, chosen.id, local_date(services.clock(), chosen.time_zone))

    holds = run_for_club(club, work)
    say(f"{len(holds)} family hold(s).")
    say_list(
        (
            f"{each.parent_name or 'no name'} <{each.parent_email or 'no address'}> {_until(each.until)}: "
            f"{each.reason} (by {each.created_by})"
            for each in holds
        ),
        all_of_them=True,
    )
    if as_json:
        shown = [
            {
                "parent_id": each.parent_id,
                "email": each.parent_email,
                "until": each.until.isoformat() if each.until else None,
                "reason": each.reason,
            }
            for each in holds
        ]
        print_json({"holds": shown})


def _check_who(player: str | None, email: str | None) -> None:
    if (player is None) == (email is None):
        raise InvalidInputError('Say which family: --player "First Last" or --email ADDRESS.')


async def _family(conn: AsyncConnection, club: Club, player: str | None, email: str | None) -> Family:
    if player is None:
        return await family_of_address(conn, club.id, email or "")
    named = await find_named(conn, club.id, [player])
    if named.problems:
        raise NotFoundError(f"{named.problems[0].name}: {named.problems[0].reason}")
    return await family_of_player(conn, club.id, named.players[0].id)


def _name(family: Family) -> str:
    return family.name or family.email or "The family"


def _until(until: date | None) -> str:
    return f"until {until}" if until else "until it is lifted"
