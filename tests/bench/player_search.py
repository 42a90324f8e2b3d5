"""How long it takes to find a player, by what was typed."""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from core.database import Database
from core.player_search import PlayerSearch
from tests.core.made_up_names import made_up_players
from tests.core.people import add_club, add_players

SEARCHES = 200


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds a search, for one kind of query."""

    kind: str
    p50: float
    p95: float


def _transposed(word: str) -> str:
    middle = len(word) // 2
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]


QUERIES: dict[str, Callable[[str, str], str]] = {
    "full name": lambda first, last: f"{first} {last}",
    "reversed": lambda first, last: f"{last} {first}",
    "beginnings": lambda first, last: f"{first[:3]} {last[:3]}",
    "one letter": lambda first, _last: first[:1],
    "misspelt": lambda first, last: f"{_transposed(first)} {last}",
    "misspelt twice": lambda first, last: f"{_transposed(first)} {_transposed(last)}",
    "nobody": lambda first, last: f"qzx{first[::-1]} {last[::-1]}",
}


async def measure(database: Database, number: int) -> list[Timing]:
    """Fill an empty club with `number` invented players and time each kind of search, one at a time."""
    # A family's children have different names, so namesakes are spread over several families.
    players = made_up_players(number, seed=1)
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        remaining = players
        while remaining:
            family = dict.fromkeys(remaining)
            await add_players(conn, club, *family)
            remaining = _without(remaining, family)
    async with database.transaction() as conn:
        # The first search of a process reads the dictionary of names.
        await search.find(conn, club, "qzx")
    return [await _time(database, search, club, players, kind) for kind in QUERIES]


def _without(players: list[tuple[str, str]], taken: dict[tuple[str, str], None]) -> list[tuple[str, str]]:
    """Return the players but for one of each name that was taken."""
    left = Counter(players)
    left.subtract(taken.keys())
    return list(left.elements())


async def _time(
    database: Database, search: PlayerSearch, club: int, players: list[tuple[str, str]], kind: str
) -> Timing:
    rng = random.Random(2)
    taken = []
    for first, last in rng.choices(players, k=SEARCHES):
        async with database.transaction() as conn:
            begun = time.perf_counter()
            await search.find(conn, club, QUERIES[kind](first, last))
            taken.append((time.perf_counter() - begun) * 1000)
    cuts = statistics.quantiles(taken, n=20)
    return Timing(kind, cuts[9], cuts[18])
