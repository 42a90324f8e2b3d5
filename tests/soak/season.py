"""A season: a fresh club with a world around it, in which rounds are played."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.database import Database, libpq_url
from sandbox.world import World
from tests.soak.club import charge_month, found_club
from tests.soak.faults import AGE_WORKERS, REFRESH_WORKERS, RESCUE, Faults
from tests.soak.money import MoneyAccount
from tests.soak.nursery import Nursery
from tests.soak.outreach import MailAccount
from tests.soak.outside import Hurry, Postman, open_outside
from tests.soak.people import People
from tests.soak.postgres import Server, Store
from tests.soak.processes import Fleet, ProcessFailedError, free_port
from tests.soak.tally import Tally
from tests.soak.upkeep import UpkeepAccount

SETTLES_WITHIN_SECONDS = 90.0
# Jobs that nobody has touched for so long belong to processes that are dead.
LEFT_BEHIND_AFTER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One round: how many processes, and what happens when (seconds from its start)."""

    seed: str
    webs: int
    workers: int
    acts: tuple[tuple[float, str], ...]
    faults: tuple[tuple[float, str], ...]
    # Whether the product has to find by itself, in its own time, what dead processes left.
    is_unaided: bool

    def __str__(self) -> str:
        happens = sorted([*self.acts, *((at, name.upper()) for at, name in self.faults)])
        told = ", ".join(f"{at:.1f} {name}" for at, name in happens)
        return f"{self.webs} web, {self.workers} worker{', unaided' if self.is_unaided else ''}: {told}"


ACTS = {
    "payments": 6, "blast by Slack": 3, "blast by HTTP": 2, "blast by terminal": 1, "backfill": 3, "re-sends": 3,
    "clicks": 2, "failed mails again": 1, "refund by button": 1,
}  # fmt: skip
FAULTS = {
    "kill": 6, "terminate": 4, "cut connections": 3, "restart PostgreSQL": 1, "freeze": 1, "jump clock": 2,
    "Slack": 5, "Stripe": 5, "mail": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of everything a round has: how long it lasts, and between how many acts and faults."""

    seconds: float
    acts: tuple[int, int]
    faults: tuple[int, int]
    # The share of rounds in which the clock is not helped along at the end; those take half a minute longer.
    unaided: float


LONG = Measure(seconds=8.0, acts=(5, 8), faults=(12, 36), unaided=0.1)
SHORT = Measure(seconds=2.0, acts=(4, 5), faults=(8, 12), unaided=0.0)


def make_plan(seed: str, measure: Measure) -> Plan:
    """Return what this seed's round is."""
    rng = random.Random(seed)
    acts = rng.choices(list(ACTS), list(ACTS.values()), k=rng.randint(*measure.acts))
    faults = rng.choices(list(FAULTS), list(FAULTS.values()), k=rng.randint(*measure.faults))
    webs, workers = rng.choice(((1, 1), (1, 1), (1, 2), (2, 1), (2, 3)))
    return Plan(
        seed,
        webs,
        workers,
        tuple(sorted((rng.random() * measure.seconds * 0.6, name) for name in acts)),
        tuple(sorted((rng.random() * measure.seconds, name) for name in faults)),
        is_unaided=rng.random() < measure.unaided,
    )


def _rng(plan: Plan, kind: str, number: int) -> random.Random:
    return random.Random(f"{plan.seed}/{kind}/{number}")


class Season:
    """Plays rounds, and checks after each."""

    def __init__(
        self, world: World, fleet: Fleet, server: Server, database: Database, postman: Postman, tally: Tally
    ) -> None:
        store = Store(database.url)
        self._world, self._fleet, self._database, self._store = world, fleet, database, store
        self._postman, self._tally = postman, tally
        self._people = People(world, fleet, store, tally.acts)
        self._faults = Faults(world, fleet, server, store, tally)
        self._money = MoneyAccount(world, store, database, tally)
        self._mails = MailAccount(world, store, database, tally)
        self._upkeep = UpkeepAccount(world, store)
        self._months = 1

    async def play(self, plan: Plan) -> list[str]:
        """Play one round and return everything that was not as it has to be."""
        try:
            return await self._play(plan)
        except ProcessFailedError as failure:
            return [str(failure)]

    async def _play(self, plan: Plan) -> list[str]:
        await self._fleet.keep(plan.webs, plan.workers)
        await self._fleet.wait_until_ready()
        await charge_month(self._database.url, self._months)
        self._months += 1
        self._postman.begin(plan.seed)
        happens = [
            *(self._act(at, name, _rng(plan, "act", n)) for n, (at, name) in enumerate(plan.acts)),
            *(self._strike(at, name, _rng(plan, "fault", n)) for n, (at, name) in enumerate(plan.faults)),
        ]
        await asyncio.gather(*happens)
        return await self._settle_and_check(is_unaided=plan.is_unaided)

    async def _act(self, at: float, name: str, rng: random.Random) -> None:
        await asyncio.sleep(at)
        self._world.slack.events_url = rng.choice(self._fleet.addresses) + "/slack/events"
        await self._people.act(name, rng)

    async def _strike(self, at: float, name: str, rng: random.Random) -> None:
        await asyncio.sleep(at)
        await self._faults.strikes[name](rng)

    async def _settle_and_check(self, *, is_unaided: bool) -> list[str]:
        late = self._faults.clear()
        await self._fleet.wait_until_ready()
        await asyncio.sleep(late)
        if left := await self._settle(is_unaided=is_unaided):
            return left
        if problems := await self._mend_links():
            return problems
        if left := await self._settle(is_unaided=is_unaided):
            return left
        ended = [failure for each in self._fleet.running for failure in each.failures]
        self._tally.rounds += 1
        return [
            *ended,
            *self._people.complaints,
            *await self._upkeep.check(),
            *await self._money.check(),
            *await self._mails.check(),
        ]

    async def _settle(self, *, is_unaided: bool) -> list[str]:
        """Wait until everything that was begun is over; what dead processes left is given to the living."""
        loop = asyncio.get_running_loop()
        started = changed = loop.time()
        under_way, calm = frozenset[str](), 0
        while calm < 3:
            now = await self._upkeep.under_way()
            if now != under_way:
                under_way, changed = now, loop.time()
            calm = calm + 1 if self._postman.is_done and not now else 0
            if loop.time() - started > SETTLES_WITHIN_SECONDS:
                undone = "" if self._postman.is_done else "events are on their way; "
                return [f"not settled after {SETTLES_WITHIN_SECONDS:.0f} s: {undone}jobs left: {sorted(now)}"]
            if now and loop.time() - changed > LEFT_BEHIND_AFTER_SECONDS:
                await self._rescue(is_unaided=is_unaided)
                changed = loop.time()
            await asyncio.sleep(0.15)
        return []

    async def _rescue(self, *, is_unaided: bool) -> None:
        """Do now what the product does once a minute, with processes that died more than half a minute ago."""
        if is_unaided:
            await self._store.run(RESCUE)
            return
        await self._store.run(AGE_WORKERS)
        await self._store.run(RESCUE)
        await asyncio.sleep(0.4)
        await self._store.run(REFRESH_WORKERS)

    async def _mend_links(self) -> list[str]:
        """Run the nightly comparison, which closes what a killed process minted and never wrote down."""
        code, words = await self._fleet.command("reconcile", "--commit", "--json")
        if code != 0:
            return [f"`sideline reconcile` ended with {code}: {words[-1500:]}"]
        differences = json.loads(words.strip().splitlines()[-1])["differences"]
        for difference in differences:
            self._tally.found[f"reconciled: {difference['kind']}"] += 1
        lost = [each for each in differences if not each["kind"].startswith(("link_", "debt_"))]
        return [f"only the reconciliation found this: {each}" for each in lost]

    async def end(self) -> None:
        """Add what there is to the numbers."""
        await self._mails.count()
        self._tally.found["events delivered"] += self._postman.delivered
        self._tally.found["copies of events"] += self._postman.copies
        self._tally.found["deliveries refused or unanswered"] += self._postman.refused


@asynccontextmanager
async def open_season(server: Server, nursery: Nursery, folder: Path, tally: Tally) -> AsyncIterator[Season]:
    """Give a season with a club that has just been set up."""
    url = await server.new_database()
    ports = [free_port(), free_port()]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    database = Database(url, pool_size=2)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.drop, url)
        stack.push_async_callback(database.close)
        world = await stack.enter_async_context(open_outside(addresses[0]))
        own = {"DATABASE_URL": libpq_url(url), "SECRET_KEY": "a made-up key for the suite"}
        fleet = Fleet(world.settings() | own, folder, ports, nursery)
        stack.push_async_callback(fleet.close)
        postman = Postman(world, fleet)
        for work in (postman.work, Hurry(Store(url)).work):
            task = asyncio.create_task(work())
            stack.push_async_callback(_cancelled, task)
        await found_club(fleet, folder, url)
        season = Season(world, fleet, server, database, postman, tally)
        yield season
        await season.end()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
