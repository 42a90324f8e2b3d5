"""Services on a real database and a real mail server, with a worker that runs until the queue is empty."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from core.jobs import run_workers
from core.services import Services, build_services
from sandbox.mailbox import Mailbox
from tests.books import database_settings, made_up_settings

Drain = Callable[[], Awaitable[None]]


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def services(database_url: URL, mailbox: Mailbox, tmp_path: Path) -> AsyncIterator[Services]:
    settings = made_up_settings(
        tmp_path,
        **database_settings(database_url),
        smtp_url=mailbox.smtp_url,
        mail_from="River City FC <billing@club.test>",
    )
    services = build_services(settings, database_url)
    yield services
    await services.close()


async def jobs_left(services: Services) -> int:
    async with services.database.transaction() as conn:
        left = await conn.scalar(
            text(
                "select count(*) from procrastinate_jobs "
                "where status in ('todo', 'doing') and queueing_lock is null"
            )
        )
    return int(left or 0)


@pytest.fixture
async def drain(services: Services) -> AsyncIterator[Drain]:
    """Run workers, started on first use, until nothing is left to do."""
    worker: asyncio.Task[None] | None = None

    async def drain() -> None:
        nonlocal worker
        if worker is None:
            worker = asyncio.create_task(run_workers(services.jobs, services.database, services.handlers()))
        async with asyncio.timeout(20):
            while await jobs_left(services):  # noqa: ASYNC110 - the queue is another process's as well
                await asyncio.sleep(0.02)

    yield drain
    if worker is not None:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
