"""Runs the suite: `python -m tests.soak --rounds 100 --seed 7`."""

import argparse
import asyncio
import random
import signal
import sys

from tests.soak.campaign import soak
from tests.soak.season import LONG
from tests.soak.tally import Tally


def main() -> None:
    """Play what was asked for, print the numbers, and put them into the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Faults by the thousand.")
    parser.add_argument("--faults", type=int, default=1000, help="enough, once so many have struck")
    parser.add_argument("--rounds", type=int, default=1000, help="enough, once so many were played")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--first", type=int, default=0, help="the round to begin with, to repeat one that failed")
    parser.add_argument("--write", action="store_true", help="put the numbers into docs/reliability.md")
    given = parser.parse_args()
    tally = Tally(given.seed)
    print(f"Seed {given.seed}, from round {given.first} on.", flush=True)
    asyncio.run(_soak(tally, range(given.first, given.first + given.rounds), given.faults))
    print(tally.table())
    if tally.violations:
        sys.exit(1)
    if given.write:
        tally.write()


async def _soak(tally: Tally, rounds: range, faults: int) -> None:
    """Play; SIGTERM ends the run like Ctrl-C does, and leaves no process behind."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await soak(tally, rounds, LONG, faults=faults, say=lambda words: print(words, flush=True))


if __name__ == "__main__":
    main()
