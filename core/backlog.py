"""What waits and what went wrong, counted for those who watch the system."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database
from core.jobs import QUEUES, STALLED_AFTER_SECONDS, TASKS
from core.models.statuses import EmailStatus

log = structlog.get_logger(__name__)

# Prometheus asks every 15 seconds or so; this is for many of them, and for whoever else asks.
FRESH_SECONDS = 3.0
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """Jobs of one queue: those that are due, for how long the oldest has been, and those that were given up."""

    name: str
    waiting: int = 0
    oldest_seconds: float = 0.0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Everything counted at one moment.

    `mails` are the last hour's attempts by status, `failed_attempts` the last hour's failed attempts at jobs by
    task, whether or not a later attempt went well. `workers` counts one a queue and process.
    """

    queues: tuple[QueueBacklog, ...]
    mails: Mapping[str, int]
    failed_attempts: Mapping[str, int]
    unmatched_payments: int
    oldest_unmatched_seconds: float
    failed_events: int
    notices_not_posted: int
    workers: int


# One statement, so that the figures are of one moment.
_COUNTS = text("""
    select 'queue' as part, job.queue_name as name, count(*) as count,
        extract(epoch from now() - min(coalesce(job.scheduled_at, deferred.at))) as oldest
    from procrastinate_jobs as job
    left join lateral (
        select min(event.at) as at from procrastinate_events as event where event.job_id = job.id
    ) as deferred on true
    where job.status = 'todo' and (job.scheduled_at is null or job.scheduled_at <= now())
    group by job.queue_name
    union all
    select 'given_up', queue_name, count(*), null from procrastinate_jobs
    where status = 'failed' and queueing_lock is null group by queue_name
    union all
    select 'mail', status, count(*), null from email_logs
    where created_at > now() - interval '1 hour' group by status
    union all
    select 'attempt', task, count(*), null from job_failures
    where created_at > now() - interval '1 hour' group by task
    union all
    select 'unmatched', '', count(*), extract(epoch from now() - min(created_at))
    from unmatched_payments where status = 'open'
    union all
    select 'event', '', count(*), null from stripe_events where outcome = 'failed'
    union all
    select 'notice', '', count(*), null from notices
    where status = 'failed' and created_at > now() - interval '1 day'
    union all
    select 'worker', '', count(*), null from procrastinate_workers
    where last_heartbeat > now() - make_interval(secs => :alive)
""")


async def load_backlog(conn: AsyncConnection) -> Backlog:
    """Count, with one statement; queues, statuses and tasks without any are there with a zero.

    What comes again by itself (the clock's tasks) never counts as given up.
    """
    counts = defaultdict[str, dict[str, tuple[int, float]]](dict)
    for part, name, count, seconds in await conn.execute(_COUNTS, {"alive": STALLED_AFTER_SECONDS}):
        counts[part][name] = (count, max(float(seconds or 0), 0.0))

    def by_name(part: str, names: Iterable[str]) -> dict[str, int]:
        return dict.fromkeys(names, 0) | {name: count for name, (count, _) in counts[part].items()}

    given_up = by_name("given_up", QUEUES)
    unmatched, oldest = counts["unmatched"][""]
    return Backlog(
        queues=tuple(
            QueueBacklog(name, *counts["queue"].get(name, (0, 0.0)), failed=failed)
            for name, failed in given_up.items()
        ),
        mails=by_name("mail", [status.value for status in EmailStatus]),
        failed_attempts=by_name("attempt", TASKS),
        unmatched_payments=unmatched,
        oldest_unmatched_seconds=oldest,
        failed_events=counts["event"][""][0],
        notices_not_posted=counts["notice"][""][0],
        workers=counts["worker"][""][0],
    )


class BacklogReader:
    """Counts at most once in a few seconds, however often and by however many it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._counted: Backlog | None = None
        self._counted_at = -FRESH_SECONDS

    async def read(self) -> Backlog | None:
        """Return what was counted last; None where the database did not answer."""
        async with self._turn:
            if time.monotonic() - self._counted_at >= FRESH_SECONDS:
                self._counted = await self._count()
                self._counted_at = time.monotonic()
            return self._counted

    async def _count(self) -> Backlog | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._database.reading() as conn:
                return await load_backlog(conn)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("backlog_unreadable", error=type(error).__name__)
            return None
