"""Work that goes on after Slack has its acknowledgement. What must not be lost belongs into the queue."""

import asyncio
from collections.abc import Coroutine

DRAIN_SECONDS = 10.0


class Background:
    """Keeps hold of what is under way, and lets it end before the process does."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Start work that handles its own errors."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Wait for what is under way; what takes too long is cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
