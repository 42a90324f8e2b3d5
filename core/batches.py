"""Doing together what several callers ask for at the same time, e.g. to commit once for all of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

# How long is waited, at most, for as many as came along last time.
GATHER_SECONDS = 0.002

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Collects what comes while the batch before it is being worked on; who comes alone hardly waits.

    `work` gets the items of one batch and returns their results in the same order. `keys` names what two items of
    one batch must not share; the later one is part of the next batch. Items whose batch failed get None.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        keys: Callable[[Item], Iterable[Hashable]],
        *,
        largest: int = 64,
    ) -> None:
        self._work = work
        self._keys = keys
        self._largest = largest
        self._waiting: list[tuple[Item, asyncio.Future[Result | None]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._expected = 1
        self._are_there = asyncio.Event()

    async def add(self, item: Item) -> Result | None:
        """Return the item's result; None where its batch failed as a whole, which the log tells about."""
        done: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if len(self._waiting) >= self._expected:
            self._are_there.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._next()
                results = await self._results([item for item, _ in batch])
                for (_, done), result in zip(batch, results, strict=True):
                    if not done.done():  # its caller may have gone away
                        done.set_result(result)
        finally:
            self._worker = None
            for _, done in self._waiting:
                done.cancel()

    async def _gather(self) -> None:
        """Wait for those who were answered together: they ask again together, and a moment later all are there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._are_there.wait()

    def _next(self) -> list[tuple[Item, asyncio.Future[Result | None]]]:
        taken: set[Hashable] = set()
        batch: list[tuple[Item, asyncio.Future[Result | None]]] = []
        later: list[tuple[Item, asyncio.Future[Result | None]]] = []
        for each in self._waiting:
            keys = set(self._keys(each[0]))
            is_free = len(batch) < self._largest and taken.isdisjoint(keys)
            taken |= keys
            (batch if is_free else later).append(each)
        self._waiting = later
        self._expected = len(batch)
        if len(later) < self._expected:
            self._are_there.clear()
        return batch

    async def _results(self, items: Sequence[Item]) -> Sequence[Result | None]:
        try:
            return await self._work(items)
        except Exception:
            log.warning("batch_failed", items=len(items), exc_info=True)
            return [None] * len(items)
