"""Doing many things that wait for an outside service, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

# Enough to keep Stripe's pace with an answer taking a third of a second.
AT_ONCE = 8


async def a_few_at_once(things: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for each thing, begun in their order. What the work raises ends all of it."""
    waiting = iter(things)

    async def worker() -> None:
        for thing in waiting:
            await work(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
