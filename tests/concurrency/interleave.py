"""Lets several pieces of work take turns, one SQL statement at a time, in an order that can be repeated.

Each piece of work is an actor. Before every statement and every commit it waits until it is given a turn; the
next turn is given once everybody else waits for one too, waits for a lock in PostgreSQL, or is done. Nothing here
sleeps for a chance to happen: which statement comes before which is chosen.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.util import await_only

from core.database import Database, libpq_url
from core.errors import SidelineError

Work = Callable[[], Awaitable[object]]

# How long to wait for an actor before asking PostgreSQL whether it waits for a lock.
A_MOMENT_SECONDS = 0.002
# An actor that does nothing for so long, without a lock to wait for, waits for another actor in some other way.
PATIENCE_SECONDS = 0.5
TOO_LONG_SECONDS = 30.0
# The pace of calls to Stripe is no part of what is shown here.
NOT_A_TURN = "rate_slots"


class Order(Protocol):
    """Says who comes next, out of those who may."""

    def next(self, ready: Sequence[int]) -> int: ...


class OneSwitch:
    """Lets one actor take so many turns, then the others all of theirs, and then the rest."""

    def __init__(self, first: int, turns: int) -> None:
        self._first, self._turns, self._taken = first, turns, 0

    def next(self, ready: Sequence[int]) -> int:
        others = [number for number in ready if number != self._first]
        if self._first in ready and (self._taken < self._turns or not others):
            self._taken += 1
            return self._first
        return others[0]

    def __str__(self) -> str:
        return f"OneSwitch({self._first}, {self._turns})"


class Shuffled:
    """Switches from actor to actor by chance; some seeds often, some seldom."""

    def __init__(self, seed: int) -> None:
        self._seed, self._random = seed, random.Random(seed)
        self._chance = self._random.choice((0.08, 0.2, 0.5, 0.9))
        self._current = -1

    def next(self, ready: Sequence[int]) -> int:
        if self._current not in ready or self._random.random() < self._chance:
            self._current = self._random.choice(ready)
        return self._current

    def __str__(self) -> str:
        return f"Shuffled({self._seed})"


@dataclass(frozen=True, slots=True)
class Played:
    """What the actors returned or, where it was an error of ours, raised; and how many turns each took."""

    results: tuple[object, ...]
    turns: tuple[int, ...]

    @property
    def errors(self) -> list[SidelineError]:
        return [result for result in self.results if isinstance(result, SidelineError)]


class _Actor:
    def __init__(self, moved: asyncio.Event) -> None:
        self._moved = moved
        self.waiting: deque[asyncio.Future[None]] = deque()
        # The server processes that run a statement of this actor right now.
        self.executing: set[int] = set()
        self.turns = 0
        self.is_done = self.is_held_up = False

    @property
    def is_busy(self) -> bool:
        return not (self.is_done or self.waiting or self.is_held_up)

    async def perform(self, work: Work) -> object:
        _current.set(self)
        try:
            return await work()
        except SidelineError as error:
            return error
        finally:
            self.is_done = True
            self._moved.set()

    async def wait_for_turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self._moved.set()
        await turn

    def take_turn(self) -> None:
        self.turns += 1
        turn = self.waiting.popleft()
        if not turn.done():
            turn.set_result(None)


_current: ContextVar[_Actor | None] = ContextVar("actor", default=None)


class Stage:
    """Where actors play. What works on a watched database outside of a play is not held up."""

    def __init__(self, monitor: psycopg.AsyncConnection) -> None:
        self._monitor = monitor

    @classmethod
    async def open(cls, url: URL) -> "Stage":
        return cls(await psycopg.AsyncConnection.connect(libpq_url(url), autocommit=True))

    async def close(self) -> None:
        await self._monitor.close()

    def watch(self, database: Database) -> None:
        """Have the statements on this database's connections take turns."""
        engine = database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", _before_statement)
        event.listen(engine, "after_cursor_execute", _after_statement)
        event.listen(engine, "handle_error", _after_error)
        event.listen(engine, "commit", _before_commit)

    async def play(self, order: Order, *works: Work) -> Played:
        """Have these pieces of work done at the same time, in this order.

        Raises whatever one of them raises that is no error of ours, e.g. a deadlock.
        """
        moved = asyncio.Event()
        cast = [_Actor(moved) for _ in works]
        tasks = [asyncio.create_task(actor.perform(work)) for actor, work in zip(cast, works, strict=True)]
        try:
            async with asyncio.timeout(TOO_LONG_SECONDS):
                await self._give_turns(order, cast, moved)
                results = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Played(tuple(results), tuple(actor.turns for actor in cast))

    async def _give_turns(self, order: Order, cast: Sequence[_Actor], moved: asyncio.Event) -> None:
        while not all(actor.is_done for actor in cast):
            await self._settle(cast, moved)
            ready = [number for number, actor in enumerate(cast) if actor.waiting]
            if ready:
                cast[order.next(ready)].take_turn()

    async def _settle(self, cast: Sequence[_Actor], moved: asyncio.Event) -> None:
        """Wait until everybody waits for a turn or a lock, or is done."""
        moment = 0.0 if any(actor.is_held_up for actor in cast) else A_MOMENT_SECONDS
        for actor in cast:
            actor.is_held_up = False
        loop = asyncio.get_running_loop()
        since = loop.time()
        while busy := [actor for actor in cast if actor.is_busy]:
            moved.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), moment)
                continue
            moment = A_MOMENT_SECONDS
            locked = await self._waiting_for_locks()
            is_late = loop.time() - since > PATIENCE_SECONDS
            for actor in busy:
                waits = bool(actor.executing) and actor.executing <= locked
                actor.is_held_up = actor.is_busy and (waits or is_late)

    async def _waiting_for_locks(self) -> set[int]:
        found = await self._monitor.execute("select pid from pg_locks where not granted", prepare=True)
        return {row[0] for row in await found.fetchall()}


def orders(turns: Sequence[int], number: int) -> Iterator[Order]:
    """Give so many orders for actors that take about so many turns when they come one after the other.

    Half of them let one be overtaken by the others at one place, the places spread over all there are; with a
    large enough number it is at every one of them. The others are shuffled.
    """
    places = [(first, at) for first, most in enumerate(turns) for at in range(most + 1)]
    chosen = min(len(places), number // 2)
    for index in range(chosen):
        yield OneSwitch(*places[index * len(places) // chosen])
    for seed in range(number - chosen):
        yield Shuffled(seed)


@contextmanager
def naming(order: Order) -> Iterator[None]:
    """Have whatever fails inside say in which order it did, so that it can be repeated."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in the order {order}")
        raise


def _server_process(connection: Connection) -> int:
    raw = connection.connection.driver_connection
    assert raw is not None
    return int(raw.info.backend_pid)


def _before_statement(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    actor = _current.get()
    if actor is not None and NOT_A_TURN not in statement:
        await_only(actor.wait_for_turn())
        actor.executing.add(_server_process(connection))


def _after_statement(connection: Connection, *_: object) -> None:
    actor = _current.get()
    if actor is not None:
        actor.executing.discard(_server_process(connection))


def _after_error(context: ExceptionContext) -> None:
    actor = _current.get()
    if actor is not None and context.connection is not None and not context.is_disconnect:
        actor.executing.discard(_server_process(context.connection))


def _before_commit(_connection: Connection) -> None:
    actor = _current.get()
    if actor is not None:
        await_only(actor.wait_for_turn())
