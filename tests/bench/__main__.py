"""`make bench`: runs every benchmark, or those named, and writes their tables into docs/benchmarks.md."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

from tests.bench import balances, blast, player, queue, search, season, webhook
from tests.bench.tables import write

# Each returns its tables.
PARTS: Mapping[str, Callable[[], Awaitable[str]]] = {
    "webhook": webhook.run,
    "player": player.run,
    "search": search.run,
    "blast": blast.run,
    "balances": balances.run,
    "queue": queue.run,
    "season": season.run,
}


async def main(names: list[str]) -> None:
    """Run the parts with these names, all where none is named; print and write their tables."""
    if unknown := set(names) - PARTS.keys():
        sys.exit(f"There is no {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}.")
    for name in names or PARTS:
        begun = time.monotonic()
        tables = await PARTS[name]()
        print(f"{tables}\n({name} took {time.monotonic() - begun:.0f} s)\n", flush=True)
        write(tables)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
