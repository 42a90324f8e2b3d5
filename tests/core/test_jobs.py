import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import URL

from core.database import Database
from core.errors import StripeRefusedError, StripeUnavailableError
from core.jobs import QUEUES, TASKS, CappedBackoff, Handler, JobQueue, WorkerState, run_workers
from core.models import JobFailure

# What the clock does once a minute.
RESCUE = """
    insert into procrastinate_jobs (queue_name, task_name, queueing_lock, args)
    values ('upkeep', 'rescue_stalled', 'rescue_stalled', '{"timestamp": 0}')
"""


@pytest.fixture
def queue(database_url: URL) -> JobQueue:
    return JobQueue(database_url)


async def nothing(**_: object) -> None:
    """Do nothing."""


@asynccontextmanager
async def working(
    queue: JobQueue, database: Database, handlers: Mapping[str, Handler], state: WorkerState | None = None
) -> AsyncIterator[None]:
    all_handlers = {name: handlers.get(name, nothing) for name in TASKS}
    task = asyncio.create_task(run_workers(queue, database, all_handlers, state))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def job_statuses(database: Database) -> list[str]:
    async with database.transaction() as conn:
        rows = await conn.scalars(text("select status::text from procrastinate_jobs where queueing_lock is null"))
        return list(rows)


async def are_breaking_off() -> bool:
    names = [getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks()]
    return names.count("_run_worker") < len(QUEUES)


async def rename(database: Database, table: str, name: str) -> None:
    async with database.transaction() as conn:
        await conn.execute(text(f"alter table {table} rename to {name}"))


async def until(condition, within: float = 15) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - the database says when
            await asyncio.sleep(0.05)


async def test_a_job_is_part_of_the_transaction_that_enqueues_it(queue: JobQueue, database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        await queue.close_links(conn, "plink_1")
    assert await job_statuses(database) == []
    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
        assert await job_statuses(database) == []
    assert await job_statuses(database) == ["todo"]


async def test_a_job_runs_and_leaves_nothing_behind(queue: JobQueue, database: Database) -> None:
    closed: list[str] = []

    async def close(stripe_payment_link_id: str) -> None:
        closed.append(stripe_payment_link_id)

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
    async with working(queue, database, {"close_link": close}):
        await until(lambda: _is_empty(database))
    assert closed == ["plink_1"]


async def _is_empty(database: Database) -> bool:
    return await job_statuses(database) == []


async def test_what_passes_is_tried_again_and_the_error_is_kept(queue: JobQueue, database: Database) -> None:
    tries = 0

    async def close(stripe_payment_link_id: str) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StripeUnavailableError("Stripe is away")

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
    async with working(queue, database, {"close_link": close}):
        await until(lambda: _is_empty(database))
    assert tries == 2
    async with database.transaction() as conn:
        failure = (await conn.execute(select(JobFailure.task, JobFailure.error, JobFailure.reference))).one()
    assert failure.task == "close_link"
    assert "Stripe is away" in failure.error
    assert failure.reference.startswith("R-")


async def test_two_jobs_are_never_about_one_notice_at_once(queue: JobQueue, database: Database) -> None:
    running: set[int] = set()
    ended: list[int] = []
    both = asyncio.Barrier(2)

    async def post(notice_id: int) -> None:
        assert notice_id not in running
        running.add(notice_id)
        # Other notices are not held up.
        await both.wait()
        running.remove(notice_id)
        ended.append(notice_id)

    async def all_ended() -> bool:
        return len(ended) == 4

    async with database.transaction() as conn:
        await queue.post_notices(conn, 1, 1, 2, 2)
    async with working(queue, database, {"post_notice": post}):
        await until(all_ended)
    async with database.transaction() as conn:
        assert await conn.scalar(text("select count(*) from job_failures")) == 0


async def test_what_is_refused_for_good_is_not_tried_again(queue: JobQueue, database: Database) -> None:
    tries = 0

    async def close(stripe_payment_link_id: str) -> None:
        nonlocal tries
        tries += 1
        raise StripeRefusedError("no such link")

    async def has_failed() -> bool:
        return await job_statuses(database) == ["failed"]

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
    async with working(queue, database, {"close_link": close}):
        await until(has_failed)
    assert tries == 1


async def test_the_job_of_a_worker_that_died_is_given_back(queue: JobQueue, database: Database) -> None:
    done = asyncio.Event()

    async def close(stripe_payment_link_id: str) -> None:
        done.set()

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
        # What kill -9 leaves: a job in `doing`, and a worker that was last heard of a while ago.
        await conn.execute(
            text("""
                with dead as (
                    insert into procrastinate_workers (last_heartbeat) values (now() - interval '5 minutes')
                    returning id
                )
                update procrastinate_jobs set status = 'doing', worker_id = dead.id from dead
            """)
        )
        await conn.execute(text(RESCUE))
    async with working(queue, database, {"close_link": close}):
        async with asyncio.timeout(15):
            await done.wait()


async def test_workers_outlive_a_lost_database(queue: JobQueue, database: Database, database_url: URL) -> None:
    done = asyncio.Event()
    state = WorkerState()

    async def close(stripe_payment_link_id: str) -> None:
        done.set()

    async with working(queue, database, {"close_link": close}, state):
        await asyncio.sleep(0.5)
        assert state.is_running
        async with database.transaction() as conn:
            await conn.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            )
        async with database.transaction() as conn:
            await queue.close_links(conn, "plink_1")
        async with asyncio.timeout(30):
            await done.wait()


async def test_a_pool_full_of_lost_connections_is_no_long_wait(queue: JobQueue, database: Database) -> None:
    async with queue.app.open_async() as app:
        async with database.transaction() as conn:
            # So that each needs a connection of its own.
            await conn.execute(text("lock table procrastinate_workers"))
            asked = [asyncio.create_task(app.job_manager.register_worker()) for _ in range(6)]
            await asyncio.sleep(1.5)
        await asyncio.gather(*asked)
        async with database.transaction() as conn:
            lost = await conn.scalar(
                text(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where datname = current_database() and application_name <> 'sideline'"
                )
            )
        async with asyncio.timeout(8):
            await app.job_manager.register_worker()
    assert lost == 6


async def test_workers_that_broke_off_come_back(queue: JobQueue, database: Database) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def close(stripe_payment_link_id: str) -> None:
        (first if stripe_payment_link_id == "plink_1" else second).set()

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
    async with working(queue, database, {"close_link": close}):
        await first.wait()
        # As where the database is restored: for a moment nothing is there.
        await rename(database, "procrastinate_jobs", "hidden_jobs")
        await until(are_breaking_off)
        await rename(database, "hidden_jobs", "procrastinate_jobs")
        async with database.transaction() as conn:
            await queue.close_links(conn, "plink_2")
        async with asyncio.timeout(15):
            await second.wait()


async def test_a_job_whose_end_the_queue_did_not_hear_of_is_given_back(
    queue: JobQueue, database: Database
) -> None:
    tries = 0

    async def close(stripe_payment_link_id: str) -> None:
        nonlocal tries
        tries += 1

    async def has_tried() -> bool:
        return tries == 1

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
        # As where just the connection breaks that was to tell: the worker goes on, and has the job in its books.
        await conn.execute(text("alter function procrastinate_finish_job_v1 rename to hidden"))
    async with working(queue, database, {"close_link": close}):
        await until(has_tried)
        await until(are_breaking_off)
        async with database.transaction() as conn:
            await conn.execute(text("alter function hidden rename to procrastinate_finish_job_v1"))
            await conn.execute(text(RESCUE))
        await until(lambda: _is_empty(database))
    assert tries == 2


async def test_workers_told_to_stop_while_they_break_off_do_stop(queue: JobQueue, database: Database) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def close(stripe_payment_link_id: str) -> None:
        started.set()
        await may_end.wait()

    async with database.transaction() as conn:
        await queue.close_links(conn, "plink_1")
    task = asyncio.create_task(run_workers(queue, database, dict.fromkeys(TASKS, nothing) | {"close_link": close}))
    await started.wait()
    # Without their table all workers fail but the one that has a job to end first.
    await rename(database, "procrastinate_jobs", "hidden_jobs")
    await until(are_breaking_off)
    await rename(database, "hidden_jobs", "procrastinate_jobs")
    task.cancel()
    may_end.set()
    done, _ = await asyncio.wait([task], timeout=10)
    task.cancel()
    assert done


def test_waits_grow_to_a_cap() -> None:
    from procrastinate.jobs import Job  # noqa: PLC0415 - only here

    def wait(attempts: int) -> float:
        from datetime import UTC, datetime  # noqa: PLC0415

        job = Job(id=1, queue="stripe", lock=None, queueing_lock=None, task_name="t", attempts=attempts)
        decision = CappedBackoff().get_retry_decision(exception=OSError(), job=job)
        assert decision is not None
        assert decision.retry_at is not None
        return (decision.retry_at - datetime.now(UTC)).total_seconds()

    waits = [wait(attempts) for attempts in range(11)]
    assert waits[0] < 2
    assert all(600 < late < 800 for late in waits[10:])
