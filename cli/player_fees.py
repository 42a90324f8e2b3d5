"""A player's own monthly fee: `player fee`."""

from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, say
from cli.runtime import run_for_club
from core.club import Club
from core.errors import NotFoundError
from core.money import format_money, parse_money
from core.named_players import find_named
from core.player_fees import PlayerFee, set_monthly_fee
from core.services import Services

ACTOR = "cli"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="What is special about a player.")
    group.command("fee")(fee)
    app.add_typer(group, name="player")


def fee(
    player: Annotated[str, typer.Option(help="“First Last”.")],
    monthly: Annotated[str, typer.Option(help="What a month costs from the next bill on, like 100.00.")],
    reason: Annotated[
        str, typer.Option(help="Why it is special, like “scholarship”; families never see it.")
    ] = "",
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Set a player's monthly fee from the next bill on; what was billed already stays as it is."""
    cents = parse_money(monthly)

    async def work(services: Services, chosen: Club) -> tuple[Club, PlayerFee, PlayerFee]:
        async with services.database.transaction(keep=commit) as conn:
            named = await find_named(conn, chosen.id, [player])
            if not named.players:
                why = named.problems[0].reason if named.problems else "no name was given"
                raise NotFoundError(f"“{player}”: {why}.")
            before, after = await set_monthly_fee(conn, chosen, named.players[0].id, cents, reason, ACTOR)
        return chosen, before, after

    chosen, before, after = run_for_club(club, work)
    was = "no fee" if before.monthly_cents is None else format_money(before.monthly_cents, chosen.currency)
    changed = before != after
    if not changed:
        say(f"{after.player_name} pays {was} a month already.")
    else:
        verb = "pays" if commit else "would pay"
        now = format_money(cents, chosen.currency)
        say(f"{after.player_name} {verb} {now} a month from the next bill on, before {was}.")
    result = {
        "created": int(changed),
        "skipped": int(not changed),
        "failed": 0,
        "player_id": after.player_id,
        "monthly_fee_cents": after.monthly_cents,
    }
    finish(result, commit=commit, as_json=as_json)
