"""The nightly comparison: once a night over all processes, told in Slack, repaired by one person."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from core.clock import system_clock
from core.errors import AlreadyDoneError, NotFoundError
from core.jobs import PERIODIC, TASKS, run_workers
from core.models import AuditLog, Order, ReconcileFinding, ReconcileRun, Tenant
from core.reconcile import Reconciliation
from sandbox.stripe import Fault
from tests.core.conftest import jobs_left
from tests.core.stripe.conftest import Desk

NIGHT = int(datetime(2026, 12, 1, 4, 23, tzinfo=UTC).timestamp())


@pytest.fixture
async def work(desk: Desk) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run a worker until nothing is left to do."""
    services = desk.services
    worker = asyncio.create_task(run_workers(services.jobs, services.database, services.handlers()))

    async def work() -> None:
        async with asyncio.timeout(20):
            while await jobs_left(services):  # noqa: ASYNC110 - the queue is another process's as well
                await asyncio.sleep(0.02)

    yield work
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def grown_up(desk: Desk) -> None:
    """Let the club be a day old."""
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(created_at=system_clock() - timedelta(days=1)))


async def runs(desk: Desk) -> int:
    async with desk.services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(ReconcileRun)) or 0)


async def jobs(desk: Desk, task: str) -> int:
    async with desk.services.database.transaction() as conn:
        waiting = text("select count(*) from procrastinate_jobs where task_name = :task and status = 'todo'")
        return int(await conn.scalar(waiting, {"task": task}) or 0)


async def test_a_night_compares_every_club_once_whatever_the_number_of_processes(
    desk: Desk, work: Callable[[], Awaitable[None]]
) -> None:
    await grown_up(desk)
    reconciliation = desk.services.reconciliation
    await asyncio.gather(*(reconciliation.start_night(NIGHT) for _ in range(3)))
    await work()
    assert await runs(desk) == 1
    # The hours after, in which other processes may be up.
    await reconciliation.start_night(NIGHT + 3600)
    assert await jobs(desk, "reconcile_club") == 0
    await reconciliation.start_night(NIGHT + 86400)
    await work()
    assert await runs(desk) == 2


async def test_a_club_that_was_just_set_up_sleeps_through_the_night(desk: Desk) -> None:
    await desk.services.reconciliation.start_night(NIGHT)
    assert await jobs(desk, "reconcile_club") == 0


async def test_without_stripe_there_is_nothing_to_compare(desk: Desk) -> None:
    await grown_up(desk)
    services = desk.services
    await Reconciliation(services.database, services.jobs, None, services.clock).start_night(NIGHT)
    assert await jobs(desk, "reconcile_club") == 0


async def test_what_happened_just_now_is_on_its_way_and_nothing_is_repaired(desk: Desk) -> None:
    await grown_up(desk)
    order_id = await desk.order()
    await desk.mint(order_id)
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == order_id).values(amount_cents=9000))
    await desk.pay(await desk.mint())
    await desk.services.reconciliation.run_night(desk.books.tenant_id, "2026-12-01")
    async with desk.services.database.transaction() as conn:
        found = list(await conn.scalars(select(ReconcileFinding.kind)))
    assert found == ["link_amount_differs"]
    assert (await desk.status(), await desk.link_status(order_id)) == ("pending", await desk.link_status(order_id))
    assert await jobs(desk, "refresh_reconciliation") == 1


async def finding(desk: Desk) -> int:
    await desk.pay(await desk.mint())
    run_id = await desk.services.reconciliation.keep(await desk.compare())
    async with desk.services.database.transaction() as conn:
        found = await conn.scalar(select(ReconcileFinding.id).where(ReconcileFinding.run_id == run_id))
    return int(found or 0)


async def test_ten_people_press_and_one_has_it_repaired(desk: Desk, work: Callable[[], Awaitable[None]]) -> None:
    finding_id = await finding(desk)
    repairs = desk.services.reconcile_desk
    results = await asyncio.gather(
        *(repairs.request_repair(desk.club, finding_id, f"U0PERSON{n}") for n in range(10)), return_exceptions=True
    )
    losers = [result for result in results if result is not None]
    assert len(losers) == 9
    assert all(isinstance(loser, AlreadyDoneError) for loser in losers)
    await work()
    assert await desk.status() == "paid"
    with pytest.raises(AlreadyDoneError, match="Already repaired by U0PERSON"):
        await repairs.request_repair(desk.club, finding_id, "U0LATE")
    async with desk.services.database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(AuditLog)) == 1


async def test_a_repair_that_fails_can_be_tried_again(desk: Desk) -> None:
    finding_id = await finding(desk)
    repairs = desk.services.reconcile_desk
    await repairs.request_repair(desk.club, finding_id, "U0ADMIN")
    # The event is gone at Stripe before its turn came.
    events = dict(desk.stripe.events)
    desk.stripe.events.clear()
    await repairs.repair_requested(finding_id, "U0ADMIN")
    async with desk.services.database.transaction() as conn:
        row = (await conn.execute(select(ReconcileFinding.status, ReconcileFinding.error))).one()
    assert (row.status, "30 days" in str(row.error)) == ("failed", True)
    desk.stripe.events.update(events)
    await repairs.request_repair(desk.club, finding_id, "U0TREAS")
    await repairs.repair_requested(finding_id, "U0TREAS")
    assert await desk.status() == "paid"
    await repairs.repair_requested(finding_id, "U0TREAS")


async def test_another_clubs_difference_is_unknown(desk: Desk) -> None:
    finding_id = await finding(desk)
    with pytest.raises(NotFoundError):
        await desk.services.reconcile_desk.request_repair(replace(desk.club, id=4711), finding_id, "U0ADMIN")


async def test_stripe_away_at_night_is_tried_again_by_the_queue(
    desk: Desk, work: Callable[[], Awaitable[None]]
) -> None:
    await grown_up(desk)
    desk.stripe.faults.add(Fault("drop", path="/v1/events", times=5))
    await desk.services.reconciliation.start_night(NIGHT)
    await work()
    assert await runs(desk) == 1


def test_the_clock_starts_known_tasks_only() -> None:
    assert set(PERIODIC) <= set(TASKS)
