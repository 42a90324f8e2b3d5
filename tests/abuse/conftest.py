"""The whole product, Slack, Stripe and mail included, reached through the addresses that strangers know."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy.engine import URL
from structlog.typing import EventDict

from bot.app import Bot, build_bot
from core.services import Services, build_services
from sandbox.mailbox import Mailbox
from sandbox.server import serve
from sandbox.slack import SlackStandIn
from sandbox.stripe import StripeStandIn
from tests.abuse.kit import FromEverywhere
from tests.books import Books, database_settings, made_up_settings, open_books
from tests.bot.conftest import ADMIN, APPROVALS, COACH, PAYMENTS, TOKEN, TREASURER, mailbox, slack
from tests.bot.conftest import SECRET as SLACK_SECRET
from tests.web.conftest import stripe
from tests.web.kit import ADMIN_TOKEN, SECRET, STRIPE_KEY
from web.app import build_web
from web.slack_endpoint import slack_endpoint

__all__ = ["mailbox", "slack", "stripe"]


@dataclass(frozen=True)
class Product:
    """Everything that a test may reach."""

    services: Services
    bot: Bot
    books: Books
    application: FastAPI
    client: httpx.AsyncClient
    slack: SlackStandIn
    stripe: StripeStandIn
    mailbox: Mailbox


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """Collect what is logged; printing thousands of tracebacks would take most of the time."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture
async def services(
    database_url: URL, tmp_path: Path, slack: SlackStandIn, stripe: StripeStandIn, mailbox: Mailbox
) -> AsyncIterator[Services]:
    async with serve(stripe.app) as stripe_url:
        stripe.base_url = stripe_url
        settings = made_up_settings(
            tmp_path,
            **database_settings(database_url),
            public_url="https://club.test",
            stripe_secret_key=STRIPE_KEY,
            stripe_api_base=stripe_url,
            stripe_webhook_secret=SECRET,
            slack_bot_token=TOKEN,
            slack_signing_secret=SLACK_SECRET,
            slack_api_base_url=f"{slack.base_url}/api",
            slack_payments_channel=PAYMENTS,
            slack_approvals_channel=APPROVALS,
            slack_admins=f"{ADMIN},{TREASURER}",
            slack_coaches=COACH,
            admin_api_token=ADMIN_TOKEN,
            smtp_url=mailbox.smtp_url,
            mail_from="River City FC <billing@club.test>",
        )
        services = build_services(settings, database_url)
        yield services
        await services.close()


@pytest.fixture
async def product(
    services: Services, slack: SlackStandIn, stripe: StripeStandIn, mailbox: Mailbox
) -> AsyncIterator[Product]:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
    bot = build_bot(services, clubs_last_seconds=0)
    application = build_web(services, slack=slack_endpoint(bot.app))
    await bot.start()
    transport = FromEverywhere(application)
    async with httpx.AsyncClient(transport=transport, base_url="https://club.test") as client:
        yield Product(services, bot, books, application, client, slack, stripe, mailbox)
    await bot.close()
