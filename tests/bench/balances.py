"""Everybody's balances, read as they come, against the bare SQL.

Each is read by a process of its own: `python -m tests.bench.balances WAY` with the database in `BENCH_DATABASE`
prints the seconds, the bytes of memory that it took beyond what it began with, and how many items it saw.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import psycopg
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.engine import make_url

from core.balances import read_items, stream_families
from core.database import Database, libpq_url
from tests.bench.ground import database, fill
from tests.bench.tables import table

ORDERS = 300_000
PLAYERS_A_FAMILY = 2
WAYS = {"bare": "the bare SQL, streamed", "ours": "Sideline, family by family"}
MIB = 1024 * 1024
# As the product has it: what is streamed is read to its end, so it is planned for that.
OPTIONS = "-c timezone=UTC -c cursor_tuple_fraction=1"


async def run() -> str:
    """Measure both ways on one database."""
    with database() as (url, _):
        fill(url, ORDERS, to_a_family=PLAYERS_A_FAMILY)
        # The first only warms PostgreSQL up.
        await _measured("bare", libpq_url(url))
        figures = {way: await _measured(way, libpq_url(url)) for way in WAYS}
    reference = figures["bare"][0]
    rows = [
        (WAYS[way], f"{seconds / reference:.2f}", f"{seconds:.1f}", f"{memory / MIB:.0f}")
        for way, (seconds, memory) in figures.items()
    ]
    return table(f"Balances of {ORDERS:,} orders", ("ratio of time", "seconds", "more memory, MiB"), rows)


async def _measured(way: str, url: str) -> tuple[float, int]:
    command = (sys.executable, "-m", "tests.bench.balances", way)
    environment = os.environ | {"BENCH_DATABASE": url}
    started = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    answer, _ = await started.communicate()
    seconds, memory, items = answer.split()
    if int(items) != ORDERS:
        raise RuntimeError(f"{way}: {int(items):,} items instead of {ORDERS:,}, so its figures mean nothing")
    return float(seconds), int(memory)


async def _bare(url: str) -> int:
    dialect = psycopg_dialect.dialect()  # type: ignore[no-untyped-call]
    compiled = read_items(1).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    items = 0
    async with (
        await psycopg.AsyncConnection.connect(url, options=OPTIONS) as connection,
        connection.cursor("balances") as cursor,
    ):
        cursor.itersize = 1000
        await cursor.execute(str(compiled).replace("%%", "%"))
        async for _ in cursor:
            items += 1
    return items


async def _ours(url: str) -> int:
    ours = Database(make_url(url).set(drivername="postgresql+psycopg"))
    items = 0
    async with ours.transaction() as conn, stream_families(conn, 1) as families:
        async for family in families:
            items += len(family)
    await ours.close()
    return items


async def _read(way: str, url: str) -> str:
    before, begun = _most_memory(), time.perf_counter()
    items = await (_bare if way == "bare" else _ours)(url)
    return f"{time.perf_counter() - begun} {_most_memory() - before} {items}"


def _most_memory() -> int:
    """Return the most bytes that this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


if __name__ == "__main__":
    print(asyncio.run(_read(sys.argv[1], os.environ["BENCH_DATABASE"])))
