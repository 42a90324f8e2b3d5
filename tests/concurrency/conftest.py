"""Three processes of one club on one database, with Stripe's stand-in and a mail server around them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from core.services import build_services
from sandbox.mailbox import Mailbox
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import database_settings, made_up_settings, open_books
from tests.concurrency.interleave import Stage
from tests.concurrency.world import World

KEY = "sk_test_made_up"
# Calls to Stripe take no pauses: their pace is no part of what is shown here.
_NO_PACE = (
    """
    create function no_pace() returns trigger language plpgsql as
        $$ begin new.next_at = clock_timestamp() - interval '1 minute'; return new; end $$
    """,
    "create trigger no_pace before insert or update on rate_slots for each row execute function no_pace()",
)


@pytest.fixture
async def stage(postgres: tuple[URL, Engine], database_url: URL) -> AsyncIterator[Stage]:
    _, admin = postgres
    with admin.connect() as connection:
        # Before the first connection: two who wait for each other are told soon, and the test fails.
        connection.execute(text(f"alter database {database_url.database} set deadlock_timeout = '50ms'"))
    stage = await Stage.open(database_url)
    yield stage
    await stage.close()


@pytest.fixture
async def world(database_url: URL, stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False, max_per_second=None)
    async with serve(stripe.app) as stripe.base_url, Mailbox() as mailbox:
        settings = made_up_settings(
            tmp_path,
            **database_settings(database_url),
            stripe_secret_key=KEY,
            stripe_api_base=stripe.base_url,
            smtp_url=mailbox.smtp_url,
            mail_from="River City FC <billing@club.test>",
        )
        processes = tuple(build_services(settings, database_url) for _ in range(3))
        async with processes[0].database.transaction() as conn:
            for statement in _NO_PACE:
                await conn.execute(text(statement))
            books = await open_books(conn)
        for process in processes:
            stage.watch(process.database)
        yield await World.open(stage, stripe, mailbox, processes, books)
        for process in processes:
            await process.close()
    await stripe.close()
