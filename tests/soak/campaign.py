"""Season after season of rounds, until enough or until something is not as it has to be."""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path

from tests.soak.nursery import Nursery
from tests.soak.postgres import Server
from tests.soak.season import Measure, Season, make_plan, open_season
from tests.soak.tally import Tally

# A season's books grow by a month a round; checking all of them after each round should stay quick.
ROUNDS_A_SEASON = 8
Say = Callable[[str], None]


async def soak(tally: Tally, rounds: range, measure: Measure, *, faults: int, say: Say) -> None:
    """Play these rounds until so many faults have struck, or until one breaks something.

    `tally` has the numbers, also of a run that was broken off. Seasons begin at the same rounds wherever `rounds`
    begins, so a round that failed is repeated with all that led to it by beginning where its season began.
    """
    folder = Path(tempfile.mkdtemp(prefix="sideline-soak-logs-"))
    async with AsyncExitStack() as stack:
        stack.callback(_tidy, folder, tally, say)
        server, nursery = Server(), Nursery()
        stack.callback(server.close)
        await nursery.open()
        stack.push_async_callback(nursery.close)
        await server.prepare()
        for number, group in groupby(rounds, key=lambda number: number // ROUNDS_A_SEASON):
            if tally.violations or tally.faults.total() >= faults:
                return
            season_folder = folder / f"season{number}"
            season_folder.mkdir()
            async with open_season(server, nursery, season_folder, tally) as season:
                await _play_all(season, list(group), measure, tally, say)


async def _play_all(season: Season, rounds: list[int], measure: Measure, tally: Tally, say: Say) -> None:
    for number in rounds:
        plan, started = make_plan(f"{tally.seed}/{number}", measure), time.monotonic()
        say(f"round {plan.seed}: {plan}")
        tally.violations += await season.play(plan)
        tally.seconds += time.monotonic() - started
        say(f"    {time.monotonic() - started:.0f} s; so far {tally.line()}")
        if tally.violations:
            for violation in tally.violations:
                say(f"    VIOLATION {violation}")
            say(f"    Again: python -m tests.soak --seed {tally.seed} --first {rounds[0]} --rounds {len(rounds)}")
            return


def _tidy(folder: Path, tally: Tally, say: Say) -> None:
    if tally.violations:
        say(f"The processes' logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
