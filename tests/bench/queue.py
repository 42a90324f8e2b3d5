"""How many jobs a second one, two and four worker processes get done.

`python -m tests.bench.queue` is one worker: all of the product's, but that the job does nothing. The database is
in `BENCH_DATABASE`, a folder in `BENCH_FOLDER`.
"""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from sqlalchemy import TextClause, text
from sqlalchemy.engine import URL, make_url

from core.database import libpq_url
from core.jobs import run_workers
from core.services import Services, build_services
from tests.bench.ground import database
from tests.bench.serving import process
from tests.bench.tables import table
from tests.books import made_up_settings

JOBS = 2000
PROCESSES = (1, 2, 4)
# Its only argument is the club, so that finding out whose the job is costs nothing.
TASK = "remind_club"
_LEFT = text(f"select count(*) from procrastinate_jobs where task_name = '{TASK}'")
_FORGET_WORKERS = text("delete from procrastinate_workers")
_READY = text("select count(*) from procrastinate_workers")
WORKERS_A_PROCESS = 4


async def run() -> str:
    """Measure one, two and four processes on one PostgreSQL."""
    rates = {}
    with database() as (url, folder):
        services = build_services(made_up_settings(folder), url)
        for number in PROCESSES:
            rates[number] = await _rate(services, number, url, folder)
        await services.close()
    rows = [
        (f"{number} worker {'process' if number == 1 else 'processes'}", f"{rate / rates[1]:.2f}", f"{rate:,.0f}")
        for number, rate in rates.items()
    ]
    return table("The queue, jobs that do nothing", ("ratio", "jobs a second"), rows)


async def _rate(services: Services, number: int, url: URL, folder: Path) -> float:
    environment = {"BENCH_DATABASE": libpq_url(url), "BENCH_FOLDER": str(folder)}
    async with services.database.transaction() as conn:
        # Those of the run before were simply ended.
        await conn.execute(_FORGET_WORKERS)
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(
                process(sys.executable, "-m", "tests.bench.queue", environment=environment)
            )
        await _until(services, _READY, number * WORKERS_A_PROCESS)
        async with services.database.transaction() as conn:
            await services.jobs.remind_clubs(conn, [1] * JOBS)
        begun = time.perf_counter()
        await _until(services, _LEFT, 0)
        return JOBS / (time.perf_counter() - begun)


async def _until(services: Services, count: TextClause, wanted: int) -> None:
    while True:
        async with services.database.reading() as conn:
            if await conn.scalar(count) == wanted:
                return
        await asyncio.sleep(0.02)


async def work(url: URL, folder: Path) -> None:
    """Be one worker process until told to stop."""
    services = build_services(made_up_settings(folder), url)

    async def nothing(tenant_id: int) -> None:
        """Do nothing."""

    await run_workers(services.jobs, services.database, {**services.handlers(), TASK: nothing})


if __name__ == "__main__":
    given = make_url(os.environ["BENCH_DATABASE"]).set(drivername="postgresql+psycopg")
    uvloop.run(work(given, Path(os.environ["BENCH_FOLDER"])))
