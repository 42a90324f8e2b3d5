"""Background jobs that were given up: what they were to do, why not, and doing them again.

A job is given up when trying again can't mend it, or after the last try. It stays in the queue's own table as
`failed`, where no worker takes it, until somebody has it tried again or lets it be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.errors import AlreadyDoneError

RETRIED, LEFT = "job.retry", "job.dismiss"
# What nobody foresaw has words for whoever reads the log only.
UNFORESEEN = "Something went wrong on our side."


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that was given up. `subject` is what it was about, in plain words (may be empty); `since` is UTC."""

    id: int
    task: str
    subject: str
    since: datetime
    attempts: int
    reason: str
    reference: str


@dataclass(frozen=True, slots=True)
class FailedJobs:
    """The newest of them, and how many there are altogether."""

    jobs: tuple[FailedJob, ...]
    total: int


# Whose a job is, its last failure tells. What the clock starts comes again by itself (it has a queueing lock) and
# is nobody's to look after.
_FAILED = """
    procrastinate_jobs job cross join lateral (
        select f.tenant_id, f.words, f.reference, f.created_at from job_failures f
        where f.job_id = job.id order by f.id desc limit 1
    ) as failure
    where job.status = 'failed' and job.queueing_lock is null and failure.tenant_id = :tenant_id
"""
_LIST = text(f"""
    select failed.*, coalesce(mail.to_address, parent.first_name || ' ' || parent.last_name, '') as subject
    from (
        select job.id, job.task_name, job.args, job.attempts, failure.words, failure.reference, failure.created_at,
            count(*) over () as total
        from {_FAILED} order by job.id desc limit :limit
    ) as failed
    left join email_logs mail on mail.id = cast(failed.args ->> 'email_log_id' as bigint)
    left join parents parent on parent.id = cast(failed.args ->> 'parent_id' as bigint)
    order by failed.id desc
""")
# One statement, so that of two presses one finds it failed. It starts anew, with all its tries.
_AGAIN = text(f"""
    update procrastinate_jobs set status = 'todo', attempts = 0, scheduled_at = null, worker_id = null
    where status = 'failed' and id in (
        select job.id from {_FAILED} and job.id = coalesce(:job_id, job.id) order by job.id for update of job
    )
    returning id, task_name
""")
_LET_BE = text(f"""
    update procrastinate_jobs set status = 'cancelled'
    where status = 'failed' and id in (
        select job.id from {_FAILED} and job.id = :job_id for update of job
    )
    returning id, task_name
""")
_WHO = text("""
    select actor, action from audit_log
    where tenant_id = :tenant_id and action in ('job.retry', 'job.dismiss')
        and (
            subject = 'job:' || cast(:job_id as bigint)
            or after -> 'job_ids' @> to_jsonb(cast(:job_id as bigint))
        )
    order by id desc limit 1
""")


async def failed_jobs(conn: AsyncConnection, tenant_id: int, *, limit: int = 5) -> FailedJobs:
    """Return the club's jobs that were given up, the newest first, with one statement."""
    rows = (await conn.execute(_LIST, {"tenant_id": tenant_id, "limit": limit})).all()
    return FailedJobs(tuple(_job(row._mapping) for row in rows), rows[0].total if rows else 0)


async def retry_job(conn: AsyncConnection, tenant_id: int, job_id: int, *, actor: str) -> str:
    """Have a job tried again, and return its task. Pressed twice, it is tried again once.

    Raises:
        AlreadyDoneError: where it is not given up (any more), naming who was first.
    """
    return await _change(conn, tenant_id, job_id, RETRIED, actor)


async def dismiss_job(conn: AsyncConnection, tenant_id: int, job_id: int, *, actor: str) -> str:
    """Let a job be: nobody is asked about it again. Returns its task.

    Raises:
        AlreadyDoneError: where it is not given up (any more), naming who was first.
    """
    return await _change(conn, tenant_id, job_id, LEFT, actor)


async def retry_all(conn: AsyncConnection, tenant_id: int, *, actor: str) -> int:
    """Have every job of the club that was given up tried again, and return how many.

    Raises:
        AlreadyDoneError: where there is none (any more).
    """
    rows = (await conn.execute(_AGAIN, {"tenant_id": tenant_id, "job_id": None})).all()
    if not rows:
        raise AlreadyDoneError("Nothing is left to try again.")
    done = {"job_ids": sorted(row.id for row in rows)}
    await record_change(conn, tenant_id, actor, RETRIED, "jobs:all", after=done)
    return len(rows)


async def _change(conn: AsyncConnection, tenant_id: int, job_id: int, action: str, actor: str) -> str:
    statement = _AGAIN if action == RETRIED else _LET_BE
    row = (await conn.execute(statement, {"tenant_id": tenant_id, "job_id": job_id})).one_or_none()
    if row is None:
        raise await _too_late(conn, tenant_id, job_id)
    await record_change(conn, tenant_id, actor, action, f"job:{job_id}", after={"task": row.task_name})
    return str(row.task_name)


async def _too_late(conn: AsyncConnection, tenant_id: int, job_id: int) -> AlreadyDoneError:
    first = (await conn.execute(_WHO, {"tenant_id": tenant_id, "job_id": job_id})).one_or_none()
    if first is None:
        return AlreadyDoneError("This is not waiting for anybody; it was done meanwhile.")
    did = "had this tried again" if first.action == RETRIED else "let this be"
    return AlreadyDoneError(f"{first.actor} already {did}.", people=[first.actor])


def _job(row: Mapping[Any, Any]) -> FailedJob:
    return FailedJob(
        id=row["id"],
        task=row["task_name"],
        subject=row["subject"].strip(),
        since=row["created_at"],
        attempts=row["attempts"],
        reason=row["words"] or UNFORESEEN,
        reference=row["reference"],
    )
