"""Whom a charge is for: players by name, whole teams, or everybody."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import Player
from core.named_players import NameProblem, find_named
from core.teams import list_teams


@dataclass(frozen=True, slots=True)
class ChosenPlayers:
    """The players who were meant, each once, and the names that mean nobody or several."""

    player_ids: tuple[int, ...]
    problems: tuple[NameProblem, ...]


async def choose_players(
    conn: AsyncConnection, tenant_id: int, names: Sequence[str], teams: Sequence[str], *, everyone: bool
) -> ChosenPlayers:
    """Return whom these names and teams mean in a club, or `everyone`; three statements at most.

    Neither case nor spaces around a name matter. A team without players is no problem.
    """
    if everyone:
        all_of_them = await conn.scalars(
            select(Player.id).where(Player.tenant_id == tenant_id).order_by(Player.id)
        )
        return ChosenPlayers(tuple(all_of_them), ())
    named = await find_named(conn, tenant_id, names)
    wanted = {_key(team): team for team in teams}
    found = {_key(team.name): team.id for team in await list_teams(conn, tenant_id)} if wanted else {}
    problems = [NameProblem(wanted[key], "there is no team of that name") for key in wanted if key not in found]
    in_teams = [found[key] for key in wanted if key in found]
    members = await conn.scalars(select(Player.id).where(Player.team_id.in_(in_teams)).order_by(Player.id))
    chosen = [*(player.id for player in named.players), *members]
    return ChosenPlayers(tuple(dict.fromkeys(chosen)), (*named.problems, *problems))


def _key(team: str) -> str:
    return " ".join(team.split()).casefold()
