"""The end of a process that was told to end: soon, whatever does not answer meanwhile."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

# Jobs get twenty seconds of it; the rest is for the queue to hear how they ended, which it can't while PostgreSQL
# is away. Supervisors wait a little longer before they kill (`deploy/systemd`).
ENDS_WITHIN_SECONDS = 30.0


@contextmanager
def ending_in_time(seconds: float = ENDS_WITHIN_SECONDS) -> Iterator[threading.Timer]:
    """Give a timer, to be started by what tells the process to end. It ends it should the block go on for so long.

    A thread's, so that it works while the event loop waits for a thread, or is blocked.
    """
    timer = threading.Timer(seconds, _break_off, [seconds])
    timer.daemon = True
    try:
        yield timer
    finally:
        timer.cancel()


def _break_off(seconds: float) -> None:
    """End as `kill -9` would, which is allowed at any time: other workers take over the jobs."""
    log.warning("broken_off", waited_seconds=seconds, hint="the jobs under way go back to the queue")
    os._exit(1)
