"""Players as people name them in a command: found, unknown, or shared by several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class NamedPlayer:
    """A player of the club."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class NameProblem:
    """A name that means nobody, or more than one; `reason` is a phrase for people."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamedPlayers:
    """Who was meant: each player once, in the order of the names."""

    players: tuple[NamedPlayer, ...]
    problems: tuple[NameProblem, ...]


_FIND = text("""
    select w.number - 1 as number, p.id, btrim(p.first_name || ' ' || p.last_name) as name,
        coalesce(t.name, 'no team') as team
    from unnest(:names) with ordinality as w(name, number)
    join players p on p.tenant_id = :tenant_id
        and lower(btrim(p.first_name || ' ' || p.last_name)) = lower(w.name)
    left join teams t on t.id = p.team_id
    order by w.number, team, p.id
""").bindparams(bindparam("names", type_=ARRAY(Text())))


async def find_named(conn: AsyncConnection, tenant_id: int, names: Iterable[str]) -> NamedPlayers:
    """Return whom these whole names mean in a club, whatever their case, with one statement."""
    typed = list(dict.fromkeys(" ".join(normalize("NFC", name).split()) for name in names))
    if not typed:
        return NamedPlayers((), ())
    found: dict[int, list[tuple[NamedPlayer, str]]] = {}
    for row in await conn.execute(_FIND, {"tenant_id": tenant_id, "names": typed}):
        found.setdefault(row.number, []).append((NamedPlayer(row.id, row.name), row.team))
    players: dict[int, NamedPlayer] = {}
    problems = []
    for number, name in enumerate(typed):
        bearers = found.get(number, [])
        if len(bearers) == 1:
            player = bearers[0][0]
            players.setdefault(player.id, player)
        else:
            problems.append(NameProblem(name, _why_not([team for _, team in bearers])))
    return NamedPlayers(tuple(players.values()), tuple(problems))


def _why_not(teams: Sequence[str]) -> str:
    if not teams:
        return "no player here is called that; check the spelling"
    return f"{len(teams)} players are called that ({', '.join(teams)}); tell them apart in the roster"
