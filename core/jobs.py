"""The background queue: enqueues in the caller's transaction, and runs what was enqueued.

PostgreSQL is the queue (procrastinate). A job carries ids only and reads the rest when it runs, so it may run
late, again, or on another machine.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import procrastinate
import psycopg
import structlog
from procrastinate import BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job, Status
from procrastinate.types import JSONDict, JSONValue
from procrastinate.worker import Worker
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import insert, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database, libpq_url
from core.errors import MailRefusedError, NotFoundError, SidelineError, StripeRefusedError
from core.job_tenants import JobTenants
from core.models import JobFailure
from core.references import new_reference
from core.telemetry import PARENT, carried, span
from core.tenancy import tenant_scope
from core.traces import TRACE, current_trace, traced

log = structlog.get_logger(__name__)

Handler = Callable[..., Awaitable[None]]
_CARRIED = {TRACE, PARENT}

# What trying again can't mend.
PERMANENT = (StripeRefusedError, MailRefusedError, NotFoundError, TypeError, KeyError)
MAX_ATTEMPTS = 12
LONGEST_WAIT = timedelta(minutes=10)
STALLED_AFTER_SECONDS = 30.0
RESTART_PAUSE_SECONDS = 2.0
# Fetching and ending a job costs more than sending a mail; a job of a few seconds still makes room for others'.
MAILS_A_JOB, MAIL_JOBS_AT_LEAST = 25, 32
BROKE_OFF = "The program stopped each time while it was doing this."

# Sleeping jobs hold their slots, so mail, Slack and Stripe never wait for one another.
QUEUES: Mapping[str, int] = {"mail": 8, "slack": 4, "stripe": 8, "upkeep": 2}
TASKS: Mapping[str, str] = {
    "send_mail": "mail",
    "send_blast_mail": "mail",
    "send_blast_mails": "mail",
    "send_receipts": "mail",
    "post_notice": "slack",
    "refresh_blast_message": "slack",
    "tell_person": "slack",
    "close_link": "stripe",
    "refund_payment": "stripe",
    "refresh_notice": "slack",
    "follow_up_payments": "upkeep",
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
        return RetryDecision(retry_at=datetime.now(UTC) + wait_before_next(exception, attempts=job.attempts))


def wait_before_next(error: BaseException, *, attempts: int) -> timedelta:
    """Return how long to wait after a try that failed, before which there were so many: as asked, or doubling."""
    asked = getattr(error, "retry_after", None)
    wait = timedelta(seconds=asked) if asked else min(timedelta(seconds=2**attempts), LONGEST_WAIT)
    return wait * random.uniform(1.0, 1.3)  # noqa: S311 - jitter


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What comes after a payment: its receipt, a notice, links to close at Stripe; all part of one trace."""

    tenant_id: int
    trace: str
    payment_id: int
    notice_id: int | None
    link_ids: Sequence[str]


# The queue's own function, which its library calls as well; here for jobs of several tasks at once.
_DEFER = text("""
    select procrastinate_defer_jobs_v1(array(
        select cast(
            row(queue, task, 0, lock, null, args, cast(:at as timestamptz)) as procrastinate_job_to_defer_v1
        )
        from jsonb_to_recordset(cast(:jobs as jsonb)) as job (queue text, task text, lock text, args jsonb)
    ))
""")


_REFRESH_DUE = text("""
    select exists (
        select from procrastinate_jobs
        where queue_name = 'slack' and status = 'todo' and task_name = 'refresh_blast_message'
            and args ->> 'blast_id' = cast(:blast_id as text) and coalesce(scheduled_at <= now(), true)
    )
""")


def _make_pool(**settings: Any) -> AsyncConnectionPool:  # noqa: ANN401 - whatever the library says
    """Make the queue's pool. Where it finds a connection dead, it looks at all the others that rest in it at once.

    By itself it pauses after each dead one, for a second, two, four and so on: six of them, as a restart of
    PostgreSQL leaves, cost more than the half minute that it waits altogether.
    """

    async def check(connection: psycopg.AsyncConnection) -> None:
        try:
            await pool.check_connection(connection)
        except psycopg.Error:
            await pool.check()
            raise

    pool = AsyncConnectionPool(**settings | {"check": check})
    return pool


class JobQueue:
    """Everything that the product enqueues: one method a task, in the transaction it belongs to."""

    def __init__(self, url: URL) -> None:
        connector = PsycopgConnector(conninfo=libpq_url(url), min_size=1, max_size=6, pool_factory=_make_pool)
        self.app = procrastinate.App(connector=connector)

    async def close_links(self, conn: AsyncConnection, *stripe_payment_link_ids: str) -> None:
        """Close links at Stripe."""
        jobs: list[JSONDict] = [{"stripe_payment_link_id": link_id} for link_id in stripe_payment_link_ids]
        await self._defer(conn, "close_link", *jobs)

    async def refund_payment(self, conn: AsyncConnection, refund_request_id: int) -> None:
        """Ask Stripe for a refund that somebody wants."""
        await self._defer(conn, "refund_payment", {"refund_request_id": refund_request_id})

    async def send_mail(self, conn: AsyncConnection, email_log_id: int, *, after: timedelta | None = None) -> None:
        """Send the mail that a row of `email_logs` stands for."""
        await self._defer(conn, "send_mail", {"email_log_id": email_log_id}, after=after)

    async def send_blast_mails(
        self, conn: AsyncConnection, blast_id: int, parent_ids: Sequence[int], *, after: timedelta | None = None
    ) -> None:
        """Send a blast's mail to each of these families.

        Several are one job where there are many, but never so many that workers stand idle beside it.
        """
        size = min(MAILS_A_JOB, -(-len(parent_ids) // MAIL_JOBS_AT_LEAST)) or 1
        parts: list[list[JSONValue]] = [
            list(parent_ids[start : start + size]) for start in range(0, len(parent_ids), size)
        ]
        jobs: list[tuple[str, JSONDict]] = [
            ("send_blast_mail", {"blast_id": blast_id, "parent_id": part[0]})
            if len(part) == 1
            else ("send_blast_mails", {"blast_id": blast_id, "parent_ids": part})
            for part in parts
        ]
        await self._enqueue(conn, jobs, after=after)

    async def remind_clubs(self, conn: AsyncConnection, tenant_ids: Sequence[int]) -> None:
        """Make today's reminders of each of these clubs."""
        jobs: list[JSONDict] = [{"tenant_id": tenant_id} for tenant_id in tenant_ids]
        await self._defer(conn, "remind_club", *jobs)

    async def send_receipts(self, conn: AsyncConnection, *payment_ids: int) -> None:
        """Mail payments' receipts, where the club sends them."""
        jobs: list[JSONDict] = [{"payment_id": payment_id} for payment_id in payment_ids]
        await self._defer(conn, "send_receipts", *jobs)

    async def follow_up_payments(self, conn: AsyncConnection, payments: Sequence[FollowUp]) -> None:
        """Do for each of these payments what comes after one, all enqueued with one statement.

        Several of a club are one job, which enqueues theirs: who brought them is answered sooner.
        """
        clubs: dict[int, list[FollowUp]] = {}
        for payment in payments:
            clubs.setdefault(payment.tenant_id, []).append(payment)
        jobs = [job for together in clubs.values() for job in _jobs_after_several(together)]
        await self._enqueue(conn, jobs)

    async def follow_up_each(self, conn: AsyncConnection, payments: Sequence[FollowUp]) -> None:
        """Do what several payments of a club left to a job of its own."""
        await self._enqueue(conn, [job for payment in payments for job in _jobs_after(payment)])

    async def post_notices(self, conn: AsyncConnection, *notice_ids: int) -> None:
        """Tell the club's channel."""
        jobs: list[JSONDict] = [{"notice_id": notice_id} for notice_id in notice_ids]
        await self._defer(conn, "post_notice", *jobs)

    async def refresh_notice(self, conn: AsyncConnection, notice_id: int) -> None:
        """Bring a notice that was posted up to date."""
        await self._defer(conn, "refresh_notice", {"notice_id": notice_id})

    async def refresh_blast_message(self, conn: AsyncConnection, blast_id: int) -> None:
        """Post or update a blast's message in the approvals channel."""
        await self._defer(conn, "refresh_blast_message", {"blast_id": blast_id})

    async def is_refresh_due(self, conn: AsyncConnection, blast_id: int) -> bool:
        """Say whether another job will bring a blast's message up to date now, with what is true then."""
        return bool(await conn.scalar(_REFRESH_DUE, {"blast_id": blast_id}))

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
        await self._enqueue(conn, [(task, job) for job in jobs], after=after)

    async def _enqueue(
        self, conn: AsyncConnection, jobs: Sequence[tuple[str, JSONDict]], *, after: timedelta | None = None
    ) -> None:
        if not jobs:
            return
        shared = _carried_on()
        # One with an id of its own is another request's than the one that happens to run here.
        rows = [
            {
                "queue": TASKS[task],
                "task": task,
                "lock": _lock(task, given),
                "args": given if TRACE in given else {**shared, **given},
            }
            for task, given in jobs
        ]
        at = None if after is None else datetime.now(UTC) + after
        await conn.execute(_DEFER, {"jobs": orjson.dumps(rows).decode(), "at": at})


def _lock(task: str, arguments: JSONDict) -> str | None:
    """Return what only one job at a time may hold.

    A notice that is being posted by one job looks to another like one whose posting was broken off, which is
    posted again.
    """
    return f"notice:{arguments['notice_id']}" if task == "post_notice" else None


def _jobs_after_several(payments: Sequence[FollowUp]) -> Iterator[tuple[str, JSONDict]]:
    """Yield the jobs after payments of one club."""
    if len(payments) == 1:
        yield from _jobs_after(payments[0])
        return
    first = payments[0]
    given: list[JSONValue] = [asdict(payment) for payment in payments]
    # In the log it goes with the first of its events; the jobs that it enqueues, each with their own.
    yield "follow_up_payments", {"tenant_id": first.tenant_id, "payments": given, TRACE: first.trace}


def _jobs_after(payment: FollowUp) -> Iterator[tuple[str, JSONDict]]:
    trace = {TRACE: payment.trace}
    for link_id in payment.link_ids:
        yield "close_link", {"stripe_payment_link_id": link_id, **trace}
    if payment.notice_id is not None:
        yield "post_notice", {"notice_id": payment.notice_id, **trace}
    yield "send_receipts", {"payment_id": payment.payment_id, **trace}


def _carried_on() -> JSONDict:
    """Return what every job takes along besides its own arguments: whose it is in the log, and its span."""
    trace = current_trace()
    return {**carried()} if trace is None else {TRACE: trace, **carried()}


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
    _register(queue.app, handlers, database)
    state = state or WorkerState()
    while True:
        try:
            # A task of its own: a group that breaks off counts as a cancellation of the task it is in.
            await asyncio.create_task(_run_once(queue, database, state))
        except* (psycopg.Error, procrastinate.exceptions.ProcrastinateException, OSError) as errors:
            log.warning("workers_stopped", error=repr(errors.exceptions[0]))
        finally:
            state.is_running = False
        if (this := asyncio.current_task()) and this.cancelling():
            # Told to stop while the workers broke off: the group raised their errors, and forgot about that.
            raise asyncio.CancelledError
        await asyncio.sleep(RESTART_PAUSE_SECONDS)


async def _run_once(queue: JobQueue, database: Database, state: WorkerState) -> None:
    """Run the workers until cancelled, or until one of them breaks off."""
    async with queue.app.open_async():
        state.is_running = True
        async with asyncio.TaskGroup() as group:
            for name, concurrency in QUEUES.items():
                group.create_task(_run_worker(queue.app, database, name, concurrency))


async def _run_worker(app: procrastinate.App, database: Database, name: str, concurrency: int) -> None:
    tenants = JobTenants(database)

    async def in_scope(call_next: Callable[[], Awaitable[Any]], context: JobContext, worker: Worker) -> object:
        _watch_end(worker, context.job)
        return await _run_job(database, tenants, call_next, context)

    await app.run_worker_async(
        queues=[name],
        name=name,
        concurrency=concurrency,
        install_signal_handlers=False,
        delete_jobs="successful",
        worker_middleware=[in_scope],
        shutdown_graceful_timeout=20,
        # New jobs are notified of at once; this is for those that wait for their time.
        fetch_job_polling_interval=1.0,
    )
    # It returns by itself only when PostgreSQL went away, if just for a moment: raising stops the other queues'
    # workers too.
    raise ConnectionError(f"the worker of queue {name} stopped")


def _watch_end(worker: Worker, job: Job) -> None:
    """See whether the queue hears how a job ended, which its library tells it in the task that it runs the job in.

    A job of whose end it did not hear would stay `doing` for as long as the worker lives. So the worker is
    stopped, and started again as another one: then the job is nobody's, and given back like a dead worker's.
    """

    def note(ended: asyncio.Task[Any]) -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is None:
            return
        if isinstance(error.__cause__, psycopg.errors.RaiseException):
            # The queue's own words: others thought this worker dead, and have the job, or had it.
            log.info("job_was_taken_over", job_id=job.id, task=job.task_name)
            return
        log.warning("job_end_not_told", job_id=job.id, task=job.task_name, error=repr(error.__cause__ or error))
        worker.stop()  # type: ignore[no-untyped-call] # untyped in the library

    if (this := asyncio.current_task()) is not None:
        this.add_done_callback(note)


async def _run_job(
    database: Database, tenants: JobTenants, call_next: Callable[[], Awaitable[Any]], context: JobContext
) -> object:
    """Run a job in its club's scope; what it raises is raised, and kept under a reference that the log has too."""
    job, tenant_id = context.job, None
    parent = str(job.task_kwargs[PARENT]) if PARENT in job.task_kwargs else None
    with (
        traced(str(job.task_kwargs.get(TRACE) or f"job-{job.id}")),
        structlog.contextvars.bound_contextvars(job_id=job.id, task=job.task_name),
    ):
        try:
            tenant_id = await tenants.tenant_of(job.task_name, job.task_kwargs)
            with tenant_scope(tenant_id), span(f"job {job.task_name}", parent, queue=job.queue):
                return await call_next()
        except Exception as error:
            await _keep_failure(database, job, tenant_id, error)
            raise


async def _keep_failure(
    database: Database, job: Job, tenant_id: int | None, error: Exception | None = None
) -> None:
    """Write down why a job failed, under a reference that the log shows too; no error: its process died."""
    reference = new_reference()
    is_expected = error is None or isinstance(error, SidelineError)
    log.warning("job_failed", reference=reference, exc_info=None if is_expected else error)
    words = BROKE_OFF if error is None else str(error)
    async with database.transaction() as conn:
        await conn.execute(
            insert(JobFailure).values(
                tenant_id=tenant_id,
                job_id=job.id,
                task=job.task_name,
                attempt=job.attempts + 1,
                reference=reference,
                error=words if error is None else f"{type(error).__name__}: {words}",
                words=words if is_expected else None,
            )
        )


def _register(app: procrastinate.App, handlers: Mapping[str, Handler], database: Database) -> None:
    for name, given in handlers.items():
        handler = _without_carried(given)
        if name in PERIODIC:
            # No retry: the next time comes anyway, and a lock on the queue does not go with it.
            app.periodic(cron=PERIODIC[name])(app.task(name=name, queue=TASKS[name], queueing_lock=name)(handler))
        else:
            app.task(name=name, queue=TASKS[name], retry=CappedBackoff())(handler)

    async def rescue(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - a periodic task gets it
        await _rescue_stalled(database, context)

    rescuing = app.task(name="rescue_stalled", queue="upkeep", queueing_lock="rescue_stalled", pass_context=True)
    app.periodic(cron="* * * * *")(rescuing(rescue))


def _without_carried(handler: Handler) -> Handler:
    """Return a task that keeps to itself what the job took along."""

    async def run(**arguments: Any) -> None:  # noqa: ANN401 - each task has its own
        await handler(**{name: value for name, value in arguments.items() if name not in _CARRIED})

    return run


async def _rescue_stalled(database: Database, context: JobContext) -> None:
    """Give the jobs of workers that died back to the queue; without this they stay `doing` for ever."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
        try:
            if job.attempts + 1 >= MAX_ATTEMPTS:
                tenant_id = await JobTenants(database).tenant_of(job.task_name, job.task_kwargs)
                await _keep_failure(database, job, tenant_id)
                await manager.finish_job(job, Status.FAILED, delete_job=False)
            else:
                await manager.retry_job(job)
        except procrastinate.exceptions.ConnectorException:
            log.warning("rescue_failed", job_id=job.id, exc_info=True)
