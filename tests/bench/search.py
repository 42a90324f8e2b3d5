"""How many misspelt names a search finds among 100,000 players, and how long that takes."""

import random
import time
from collections import defaultdict
from itertools import chain
from statistics import quantiles

from sqlalchemy import text

from core.database import Database
from core.player_search import PlayerSearch
from core.tenancy import tenant_scope
from tests.bench.ground import database, fill
from tests.bench.tables import table
from tests.core.test_player_search_misspellings import mistyped

PLAYERS, LOOKED_FOR, SHOWN = 100_000, 300, 5


async def run() -> str:
    """Look for players whose names were typed wrongly."""
    with database() as (url, _):
        fill(url, PLAYERS)
        searched = Database(url)
        with tenant_scope(1):
            rows = await _search(searched)
        await searched.close()
    head = (f"in the first {SHOWN}", "searches", "p50 ms", "p95 ms")
    return table(f"Misspelt names among {PLAYERS:,} players", head, rows)


async def _search(searched: Database) -> list[tuple[str, ...]]:
    found, took = defaultdict[str, list[bool]](list), defaultdict[str, list[float]](list)
    rng, search = random.Random(3), PlayerSearch()
    async with searched.looking_up() as conn:
        chosen = text("select first_name, last_name from players where id = any(:ids)")
        ids = rng.sample(range(1, PLAYERS + 1), LOOKED_FOR)
        players = (await conn.execute(chosen, {"ids": ids})).all()
        for first, last in players:
            for kind, typed in mistyped(rng, first, last):
                begun = time.perf_counter()
                hits = (await search.find(conn, 1, typed)).hits[:SHOWN]
                took[kind].append((time.perf_counter() - begun) * 1000)
                # Namesakes are the same name to whoever typed it.
                found[kind].append(any((hit.first_name, hit.last_name) == (first, last) for hit in hits))
    hits_of = {"all": list(chain(*found.values())), **dict(sorted(found.items()))}
    took["all"] = list(chain(*took.values()))
    return [_row(kind, hits, took[kind]) for kind, hits in hits_of.items() if len(hits) > 1]


def _row(kind: str, hits: list[bool], took: list[float]) -> tuple[str, ...]:
    cuts = quantiles(took, n=20)
    return kind, f"{sum(hits) / len(hits):.1%}", f"{len(hits):,}", f"{cuts[9]:.1f}", f"{cuts[18]:.1f}"
