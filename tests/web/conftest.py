"""The web application on real services, a real database and the stand-in of Stripe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from core.services import Services, build_services
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books, database_settings, made_up_settings, open_books
from tests.web.kit import ADMIN_TOKEN, OLD_SECRET, SECRET, STRIPE_KEY
from web.app import build_web

# Every table that a request could leave something in.
TRACES = (
    "stripe_events",
    "payments",
    "order_history",
    "notices",
    "unmatched_payments",
    "checkout_attempts",
    "stripe_refunds",
    "stripe_disputes",
    "procrastinate_jobs",
)


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=STRIPE_KEY, webhook_secret=SECRET)
    yield stripe
    await stripe.close()


@asynccontextmanager
async def opened_services(
    database_url: URL, data_dir: Path, stripe: StripeStandIn, public_url: str = "http://club.test"
) -> AsyncIterator[Services]:
    async with serve(stripe.app) as stripe_url:
        stripe.base_url = stripe_url
        settings = made_up_settings(
            data_dir,
            **database_settings(database_url),
            public_url=public_url,
            stripe_secret_key=STRIPE_KEY,
            stripe_api_base=stripe_url,
            stripe_webhook_secret=f"{SECRET},{OLD_SECRET}",
            slack_signing_secret="made-up-signing-secret",
            admin_api_token=f"another-token, {ADMIN_TOKEN}",
            smtp_url="smtp://127.0.0.1:9",
            mail_from="River City FC <billing@club.test>",
        )
        services = build_services(settings, database_url)
        try:
            yield services
        finally:
            await services.close()


@pytest.fixture
async def services(database_url: URL, tmp_path: Path, stripe: StripeStandIn) -> AsyncIterator[Services]:
    async with opened_services(database_url, tmp_path, stripe) as services:
        yield services


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with web_client(services) as client:
        yield client


def web_client(services: Services) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_web(services, slack=None))
    return httpx.AsyncClient(transport=transport, base_url="http://club.test")


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


async def traces(services: Services) -> dict[str, int]:
    """Count the rows of every table that a webhook writes to, leaving out the empty ones."""
    counts = " union all ".join(f"select '{table}', count(*) from {table}" for table in TRACES)
    async with services.database.transaction() as conn:
        rows = (await conn.execute(text(counts))).all()
    return {table: count for table, count in rows if count}
