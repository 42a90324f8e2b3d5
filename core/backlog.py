"""What waits and what went wrong, counted for those who watch the system."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.jobs import QUEUES
from core.models.statuses import EmailStatus


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """Jobs of one queue that are due, and for how long the oldest of them has been."""

    name: str
    waiting: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """Everything counted at one moment. `mails` are the last hour's attempts by status."""

    queues: tuple[QueueBacklog, ...]
    mails: Mapping[str, int]
    unmatched_payments: int
    failed_events: int


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
    select 'mail', status, count(*), null from email_logs
    where created_at > now() - interval '1 hour' group by status
    union all
    select 'unmatched', null, count(*), null from unmatched_payments where status = 'open'
    union all
    select 'failed', null, count(*), null from stripe_events where outcome = 'failed'
""")


async def load_backlog(conn: AsyncConnection) -> Backlog:
    """Count, with one statement; queues and statuses without any are there with a zero."""
    queues = {name: QueueBacklog(name, 0, 0.0) for name in QUEUES}
    mails = {status.value: 0 for status in EmailStatus}
    totals = {"unmatched": 0, "failed": 0}
    for part, name, count, oldest in await conn.execute(_COUNTS):
        if part == "queue":
            queues[name] = QueueBacklog(name, count, max(float(oldest or 0), 0.0))
        elif part == "mail":
            mails[name] = count
        else:
            totals[part] = count
    return Backlog(tuple(queues.values()), mails, totals["unmatched"], totals["failed"])
