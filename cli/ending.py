"""The end of a process that was told to end: soon, whatever does not answer meanwhile."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog

log = structlog.get_logger(__name__)

# Jobs get twenty seconds of it; the rest is for the queue to hear how they ended, which it can't while PostgreSQL
# is away. Supervisors wait a little longer before they kill (`deploy/systemd`).
ENDS_WITHIN_SECONDS = 30.0
_MOST_TOLD = 20


class Deadline:
    """Ends the process so many seconds after `begin`, as `kill -9` would: other workers take over its jobs.

    A thread does it, so that it works while the event loop waits for a thread, or is blocked.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer = threading.Timer(seconds, self._break_off)
        self._timer.daemon = True

    def begin(self) -> None:
        """Begin to wait, in the event loop that has to end; another time changes nothing."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._timer.start()

    def cancel(self) -> None:
        """Wait no longer."""
        self._timer.cancel()

    def _break_off(self) -> None:
        tasks = asyncio.all_tasks(self._loop) if self._loop else set()
        waits = sorted(f"{task.get_name()}: {_place(task)}" for task in tasks)
        hint = "the jobs under way go back to the queue"
        log.warning("broken_off", waited_seconds=self._seconds, hint=hint, waits_for=waits[:_MOST_TOLD])
        os._exit(1)


@contextmanager
def ending_in_time(seconds: float = ENDS_WITHIN_SECONDS) -> Iterator[Deadline]:
    """Give a deadline, for what tells the process to end to begin; it holds for the block."""
    deadline = Deadline(seconds)
    try:
        yield deadline
    finally:
        deadline.cancel()


def _place(task: asyncio.Task[Any]) -> str:
    """Return the functions that a task is in, the innermost last, and the line there."""
    names, innermost = list[str](), "?"
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame: FrameType | None = next(
            (found for kind in ("cr", "gi", "ag") if (found := getattr(waiting, f"{kind}_frame", None))), None
        )
        if frame is not None:
            names.append(frame.f_code.co_name)
            innermost = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119 - of any kind
        waiting = next(
            (
                found
                for name in ("cr_await", "gi_yieldfrom", "ag_await")
                if (found := getattr(waiting, name, None)) is not None
            ),
            None,
        )
    return f"{' > '.join(names)} ({innermost})"
