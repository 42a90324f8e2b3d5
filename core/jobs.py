"""The background queue: enqueues in the caller's transaction, and runs what was enqueued.

PostgreSQL is the queue (procrastinate). A job carries ids only and reads the rest when it runs, so it may run
late, again, or on another machine.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate import BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job, Status
from procrastinate.types import JSONDict
from procrastinate.worker import Worker
from sqlalchemy import insert
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database, libpq_url
from core.errors import MailRefusedError, NotFoundError, SidelineError, StripeRefusedError
from core.models import JobFailure
from core.references import new_reference

log = structlog.get_logger(__name__)

Handler = Callable[..., Awaitable[None]]

# What trying again can't mend.
PERMANENT = (StripeRefusedError, MailRefusedError, NotFoundError, TypeError, KeyError)
MAX_ATTEMPTS = 12
LONGEST_WAIT = timedelta(minutes=10)
STALLED_AFTER_SECONDS = 30.0
RESTART_PAUSE_SECONDS = 2.0

# Sleeping jobs hold their slots, so mail, Slack and Stripe never wait for one another.
QUEUES: Mapping[str, int] = {"mail": 8, "slack": 4, "stripe": 8, "upkeep": 1}
TASKS: Mapping[str, str] = {
    "send_mail": "mail",
    "send_blast_mail": "mail",
    "send_receipts": "mail",
    "post_notice": "slack",
    "refresh_blast_message": "slack",
    "tell_person": "slack",
    "close_link": "stripe",
    "refund_payment": "stripe",
    "refresh_notice": "slack",
    "start_reminders": "upkeep",
    "remind_club": "mail",
    "start_reconciliations": "upkeep",
    "reconcile_club": "stripe",
    "repair_finding": "stripe",
    "refresh_reconciliation": "slack",
}
# When the clock starts a task, in UTC. More than once a night: the first process that is up does the work.
PERIODIC: Mapping[str, str] = {
    "start_reconciliations": "23 4-7 * * *",
    # Which clubs it is time for depends on their own clocks.
    "start_reminders": "*/5 * * * *",
}


class CappedBackoff(BaseRetryStrategy):
    """Retries with doubling waits, a cap and jitter; gives up at once on what trying again can't mend."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to try again, or None to give up."""
        if isinstance(exception, PERMANENT) or job.attempts + 1 >= MAX_ATTEMPTS:
            return None
        asked = getattr(exception, "retry_after", None)
        wait = timedelta(seconds=asked) if asked else min(timedelta(seconds=2**job.attempts), LONGEST_WAIT)
        return RetryDecision(retry_at=datetime.now(UTC) + wait * random.uniform(1.0, 1.3))  # noqa: S311 - jitter


class JobQueue:
    """Everything that the product enqueues: one method a task, in the transaction it belongs to."""

    def __init__(self, url: URL) -> None:
        connector = PsycopgConnector(conninfo=libpq_url(url), min_size=1, max_size=6)
        self.app = procrastinate.App(connector=connector)

    async def close_link(self, conn: AsyncConnection, stripe_payment_link_id: str) -> None:
        """Close a link at Stripe."""
        await self._defer(conn, "close_link", {"stripe_payment_link_id": stripe_payment_link_id})

    async def refund_payment(self, conn: AsyncConnection, refund_request_id: int) -> None:
        """Ask Stripe for a refund that somebody wants."""
        await self._defer(conn, "refund_payment", {"refund_request_id": refund_request_id})

    async def send_mail(self, conn: AsyncConnection, email_log_id: int, *, after: timedelta | None = None) -> None:
        """Send the mail that a row of `email_logs` stands for."""
        await self._defer(conn, "send_mail", {"email_log_id": email_log_id}, after=after)

    async def send_blast_mails(
        self, conn: AsyncConnection, blast_id: int, parent_ids: Sequence[int], *, after: timedelta | None = None
    ) -> None:
        """Send a blast's mail to each of these families."""
        jobs: list[JSONDict] = [{"blast_id": blast_id, "parent_id": parent_id} for parent_id in parent_ids]
        await self._defer(conn, "send_blast_mail", *jobs, after=after)

    async def remind_clubs(self, conn: AsyncConnection, tenant_ids: Sequence[int]) -> None:
        """Make today's reminders of each of these clubs."""
        jobs: list[JSONDict] = [{"tenant_id": tenant_id} for tenant_id in tenant_ids]
        await self._defer(conn, "remind_club", *jobs)

    async def send_receipts(self, conn: AsyncConnection, payment_id: int) -> None:
        """Mail a payment's receipt, where the club sends them."""
        await self._defer(conn, "send_receipts", {"payment_id": payment_id})

    async def post_notice(self, conn: AsyncConnection, notice_id: int) -> None:
        """Tell the club's channel."""
        await self._defer(conn, "post_notice", {"notice_id": notice_id})

    async def refresh_notice(self, conn: AsyncConnection, notice_id: int) -> None:
        """Bring a notice that was posted up to date."""
        await self._defer(conn, "refresh_notice", {"notice_id": notice_id})

    async def refresh_blast_message(self, conn: AsyncConnection, blast_id: int) -> None:
        """Post or update a blast's message in the approvals channel."""
        await self._defer(conn, "refresh_blast_message", {"blast_id": blast_id})

    async def reconcile_clubs(self, conn: AsyncConnection, tenant_ids: Sequence[int], night: date) -> None:
        """Compare each of these clubs' books with Stripe's."""
        jobs: list[JSONDict] = [{"tenant_id": tenant_id, "night": night.isoformat()} for tenant_id in tenant_ids]
        await self._defer(conn, "reconcile_club", *jobs)

    async def repair_finding(self, conn: AsyncConnection, finding_id: int, actor: str) -> None:
        """Repair one difference between our books and Stripe's."""
        await self._defer(conn, "repair_finding", {"finding_id": finding_id, "actor": actor})

    async def refresh_reconciliation(self, conn: AsyncConnection, run_id: int) -> None:
        """Post or update the message about a comparison with Stripe."""
        await self._defer(conn, "refresh_reconciliation", {"run_id": run_id})

    async def tell_person(self, conn: AsyncConnection, tenant_id: int, user_id: str, text: str) -> None:
        """Tell one person in private, e.g. that the mail they asked for came back."""
        await self._defer(conn, "tell_person", {"tenant_id": tenant_id, "user_id": user_id, "text": text})

    async def _defer(
        self, conn: AsyncConnection, task: str, *jobs: JSONDict, after: timedelta | None = None
    ) -> None:
        if not jobs:
            return
        raw = (await conn.get_raw_connection()).driver_connection
        deferrer = self.app.configure_task(
            task,
            queue=TASKS[task],
            connection=raw,
            schedule_at=None if after is None else datetime.now(UTC) + after,
        )
        await deferrer.batch_defer_async(*jobs)


class WorkerState:
    """Whether this process's workers are running, for `/readyz`."""

    def __init__(self) -> None:
        self.is_running = False


async def run_workers(
    queue: JobQueue, database: Database, handlers: Mapping[str, Handler], state: WorkerState | None = None
) -> None:
    """Run this process's workers until cancelled, one a queue; restarts them when PostgreSQL was away.

    `handlers` maps each name in `TASKS` to the function that does it.
    """
    _register(queue.app, handlers)
    state = state or WorkerState()
    while True:
        try:
            async with queue.app.open_async():
                state.is_running = True
                async with asyncio.TaskGroup() as group:
                    for name, concurrency in QUEUES.items():
                        group.create_task(_run_worker(queue.app, database, name, concurrency))
        except* (psycopg.Error, procrastinate.exceptions.ProcrastinateException, OSError) as errors:
            log.warning("workers_stopped", error=repr(errors.exceptions[0]))
        finally:
            state.is_running = False
        await asyncio.sleep(RESTART_PAUSE_SECONDS)


async def _run_worker(app: procrastinate.App, database: Database, name: str, concurrency: int) -> None:
    async def keep_errors(call_next: Callable[[], Awaitable[Any]], context: JobContext, _: Worker) -> object:
        return await _run_job(database, call_next, context)

    await app.run_worker_async(
        queues=[name],
        name=name,
        concurrency=concurrency,
        install_signal_handlers=False,
        delete_jobs="successful",
        worker_middleware=[keep_errors],
        shutdown_graceful_timeout=20,
        # New jobs are notified of at once; this is for those that wait for their time.
        fetch_job_polling_interval=1.0,
    )
    # It returns by itself only when PostgreSQL went away: raising stops the other queues' workers too.
    raise ConnectionError(f"the worker of queue {name} stopped")


async def _run_job(database: Database, call_next: Callable[[], Awaitable[Any]], context: JobContext) -> object:
    """Run a job; what it raises is kept under a reference that the log shows too, and raised again."""
    job = context.job
    with structlog.contextvars.bound_contextvars(job_id=job.id, task=job.task_name):
        try:
            return await call_next()
        except Exception as error:
            reference = new_reference()
            log.warning("job_failed", reference=reference, exc_info=not isinstance(error, SidelineError))
            async with database.transaction() as conn:
                await conn.execute(
                    insert(JobFailure).values(
                        job_id=job.id,
                        task=job.task_name,
                        attempt=job.attempts + 1,
                        reference=reference,
                        error=f"{type(error).__name__}: {error}",
                    )
                )
            raise


def _register(app: procrastinate.App, handlers: Mapping[str, Handler]) -> None:
    for name, handler in handlers.items():
        if name in PERIODIC:
            # No retry: the next time comes anyway, and a lock on the queue does not go with it.
            app.periodic(cron=PERIODIC[name])(app.task(name=name, queue=TASKS[name], queueing_lock=name)(handler))
        else:
            app.task(name=name, queue=TASKS[name], retry=CappedBackoff())(handler)
    rescue = app.task(name="rescue_stalled", queue="upkeep", queueing_lock="rescue_stalled", pass_context=True)(
        _rescue_stalled
    )
    app.periodic(cron="* * * * *")(rescue)


async def _rescue_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - a periodic task gets it
    """Give the jobs of workers that died back to the queue; without this they stay `doing` for ever."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
        try:
            if job.attempts + 1 >= MAX_ATTEMPTS:
                await manager.finish_job(job, Status.FAILED, delete_job=False)
            else:
                await manager.retry_job(job)
        except procrastinate.exceptions.ConnectorException:
            log.warning("rescue_failed", job_id=job.id, exc_info=True)
