"""What callers ask for at the same time is done together."""

import asyncio
from collections.abc import Sequence

import pytest

from core.batches import Batches


class Work:
    """Doubles numbers; keeps what it was given at a time."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.given.append(list(items))
        await asyncio.sleep(0)
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * item for item in items]


async def test_each_gets_its_own_result_and_none_of_a_batch_shares_a_key() -> None:
    work = Work()
    batches = Batches[int, int](work, lambda item: [item % 10])
    assert await asyncio.gather(*(batches.add(item) for item in (1, 2, 11, 3, 21))) == [2, 4, 22, 6, 42]
    assert work.given == [[1, 2, 3], [11], [21]]


async def test_a_batch_is_no_larger_than_it_may_be() -> None:
    work = Work()
    batches = Batches[int, int](work, lambda item: [item], largest=2)
    assert await asyncio.gather(*(batches.add(item) for item in range(5))) == [0, 2, 4, 6, 8]
    assert work.given == [[0, 1], [2, 3], [4]]


async def test_those_who_were_answered_together_are_waited_for_and_nobody_else_for_long() -> None:
    work = Work()
    batches = Batches[int, int](work, lambda item: [item])

    async def add_late(item: int, turns: int) -> int | None:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await batches.add(item)

    await asyncio.gather(*(batches.add(item) for item in (1, 2, 3)))
    await asyncio.gather(add_late(4, 0), add_late(5, 5), add_late(6, 20))
    async with asyncio.timeout(1):
        await batches.add(7)
    await asyncio.gather(add_late(8, 0), add_late(9, 5))
    assert work.given == [[1, 2, 3], [4, 5, 6], [7], [8], [9]]


async def test_a_batch_that_fails_leaves_its_callers_to_themselves_and_the_next_is_done() -> None:
    work = Work()
    batches = Batches[int, int](work, lambda item: [item])
    assert list(await asyncio.gather(batches.add(13), batches.add(1))) == [None, None]
    assert await batches.add(1) == 2


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    work = Work()
    batches = Batches[int, int](work, lambda item: [item])
    gone, stays = asyncio.create_task(batches.add(1)), asyncio.create_task(batches.add(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert work.given == [[1, 2]]
