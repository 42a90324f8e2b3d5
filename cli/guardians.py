"""A player's second guardian: `guardian set|remove`."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.output import AsJson, ClubName, Commit, finish, say
from cli.runtime import run_for_club
from core.club import Club
from core.errors import NotFoundError
from core.guardians import Guardian, GuardianChange, remove_second_guardian, set_second_guardian
from core.named_players import find_named
from core.roster_rows import read_address, split_name
from core.services import Services

PlayerName = Annotated[str, typer.Option(help="The player's whole name.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="A player's second guardian.")
    group.command("set")(set_guardian)
    group.command("remove")(remove)
    app.add_typer(group, name="guardian")


def set_guardian(
    player: PlayerName,
    email: Annotated[str, typer.Option(help="The second guardian's e-mail address.")],
    name: Annotated[str, typer.Option(help="Their name, like “Sam Reed”.")] = "",
    share: Annotated[
        int | None, typer.Option(help="How many percent of each fee they pay; without it they get copies.")
    ] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Give a player a second guardian, or change the share. What was charged before stays as it is."""
    first_name, last_name = split_name(" ".join(name.split())) if name.strip() else ("", "")
    guardian = Guardian(read_address(email.strip() or None), first_name, last_name)

    async def work(services: Services, chosen: Club) -> GuardianChange:
        async with services.database.transaction(keep=commit) as conn:
            player_id = await _player(conn, chosen, player)
            return await set_second_guardian(conn, chosen, player_id, guardian, share, actor="cli")

    change = run_for_club(club, work)
    will = "now" if commit else "would now"
    if not change.is_changed:
        say(f"{change.guardian_name} is {change.player_name}'s second guardian like that already.")
    elif change.share_percent is None:
        say(f"{change.guardian_name} {will} get{'s' * commit} copies of the mails about {change.player_name}.")
        say("Orders that were split before stay as they are.")
    else:
        say(
            f"{change.guardian_name} {will} pay{'s' * commit} {change.share_percent}% of {change.player_name}'s "
            "fees, by orders and links of their own."
        )
        say("This is for new orders; what was charged before stays as it is.")
    _finish(change, commit=commit, as_json=as_json)


def remove(
    player: PlayerName,
    move_orders: Annotated[
        bool, typer.Option("--move-orders", help="What they still owe goes to the first guardian.")
    ] = False,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Take a player's second guardian off; refused while they have open orders, unless those are moved."""

    async def work(services: Services, chosen: Club) -> GuardianChange:
        async with services.database.transaction(keep=commit) as conn:
            player_id = await _player(conn, chosen, player)
            return await remove_second_guardian(conn, chosen, player_id, move_orders=move_orders, actor="cli")

    change = run_for_club(club, work)
    if not change.is_changed:
        say(f"{change.player_name} has no second guardian.")
    else:
        is_not = "is not" if commit else "would not be"
        say(f"{change.guardian_name} {is_not} {change.player_name}'s second guardian any more.")
        if change.moved_orders:
            say(f"{change.moved_orders} open order(s) {'are' if commit else 'would be'} the first guardian's.")
    _finish(change, commit=commit, as_json=as_json)


async def _player(conn: AsyncConnection, club: Club, name: str) -> int:
    named = await find_named(conn, club.id, [name])
    if named.problems:
        raise NotFoundError(f"{named.problems[0].name}: {named.problems[0].reason}")
    return named.players[0].id


def _finish(change: GuardianChange, *, commit: bool, as_json: bool) -> None:
    result = {
        "created": int(change.is_changed),
        "skipped": int(not change.is_changed),
        "failed": 0,
        "player": change.player_name,
        "guardian": change.guardian_email,
        "share_percent": change.share_percent,
        "moved_orders": change.moved_orders,
    }
    finish(result, commit=commit, as_json=as_json)
