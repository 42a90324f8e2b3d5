"""A small club with a bot, and a strict stand-in of Slack that the club's people act in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import URL
from starlette.requests import Request
from starlette.responses import Response

from bot.app import Bot, build_bot
from bot.manifest import manifest
from bot.messenger import SlackMessenger
from core.jobs import run_workers
from core.models import Order, Parent, Player, Team
from core.pace import Pacer
from core.services import Services, build_services
from sandbox.mailbox import Mailbox
from sandbox.server import serve
from sandbox.slack import SlackStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books
from web.slack_endpoint import slack_endpoint

COACH, ADMIN, TREASURER, OUTSIDER, GROUPED = "U0COACH", "U0ADMIN", "U0TREAS", "U0OUTSIDE", "U0GROUPED"
PAYMENTS, APPROVALS, GENERAL = "C0PAYMENTS", "C0APPROVALS", "C0GENERAL"
TOKEN, SECRET = "xoxb-test", "signing-secret-for-tests"
TEAM = "T0SIDELINE"
ODD_NAME = "Zoë <b>&\"'*_~` O'Brien"


@dataclass(frozen=True)
class Club:
    """Everything that a test acts on."""

    slack: SlackStandIn
    services: Services
    bot: Bot
    books: Books
    mailbox: Mailbox
    drain: Callable[[], Awaitable[None]]


class HurriedPacer(Pacer):
    """Hands out the same slots, a hundred times as fast."""

    async def wait(self, key: str, per_second: float) -> None:
        await super().wait(key, per_second * 100)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    made = manifest("http://127.0.0.1:1", socket_mode=False)
    slack = SlackStandIn(bot_token=TOKEN, signing_secret=SECRET, team_id=TEAM, manifest=made)
    slack.add_user(COACH, "Casey Coach", email="casey@example.com")
    slack.add_user(ADMIN, "Ada Admin", email="ada@example.com")
    slack.add_user(TREASURER, "Toni Treasurer", email="toni@example.com")
    slack.add_user(OUTSIDER, "Otto Outsider")
    slack.add_user(GROUPED, "Gil Grouped")
    slack.add_usergroup("S0COACHES", "coaches", [GROUPED])
    for channel_id, name in ((PAYMENTS, "payments"), (APPROVALS, "approvals"), (GENERAL, "general")):
        slack.add_channel(channel_id, name)
    async with serve(slack.app) as base_url:
        slack.base_url = base_url
        yield slack


@pytest.fixture
async def services(
    database_url: URL, slack: SlackStandIn, mailbox: Mailbox, tmp_path: Path
) -> AsyncIterator[Services]:
    settings = made_up_settings(
        tmp_path,
        **database_settings(database_url),
        public_url="https://club.example.com",
        slack_bot_token=TOKEN,
        slack_signing_secret=SECRET,
        slack_api_base_url=f"{slack.base_url}/api",
        slack_payments_channel=PAYMENTS,
        slack_approvals_channel=APPROVALS,
        slack_admins=f"{ADMIN},{TREASURER}",
        slack_coaches=f"{COACH},S0COACHES",
        smtp_url=mailbox.smtp_url,
        mail_from="River City FC <billing@club.test>",
    )
    services = build_services(settings, database_url)
    yield replace(services, pacer=HurriedPacer(services.database))
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
async def bot(services: Services, slack: SlackStandIn) -> AsyncIterator[Bot]:
    bot = build_bot(services, clubs_last_seconds=0)
    endpoint = slack_endpoint(bot.app)
    web = FastAPI()

    @web.post("/slack/events", response_model=None)
    async def receive(request: Request) -> Response:
        return await endpoint(request, await request.body())

    async with serve(web) as product:
        slack.events_url = f"{product}/slack/events"
        await bot.start()
        yield bot
        await bot.close()


@pytest.fixture
async def drain(services: Services, bot: Bot) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run workers, started on first use, until nothing is left to do."""
    worker: asyncio.Task[None] | None = None

    async def drain() -> None:
        nonlocal worker
        if worker is None and await jobs_left(services):
            handlers = services.handlers(SlackMessenger(services, bot.clubs))
            worker = asyncio.create_task(run_workers(services.jobs, services.database, handlers))
        async with asyncio.timeout(20):
            while await jobs_left(services):  # noqa: ASYNC110 - the queue is another process's as well
                await asyncio.sleep(0.02)

    yield drain
    if worker is not None:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def add_family(services: Services, books: Books, parent: str, *players: str, **order: object) -> list[int]:
    """Add a family, each player owing one item; names are `First Last`. Returns the players' ids."""
    ids = []
    async with services.database.transaction() as conn:
        first, _, last = parent.partition(" ")
        parent_id = await add(
            conn,
            Parent,
            tenant_id=books.tenant_id,
            first_name=first,
            last_name=last,
            email=order.pop("email", f"{first.lower()}@example.com"),
        )
        details = {"team_id": books.team_id, "contract_status": order.pop("contract_status", "signed")}
        for name in players:
            first, _, last = name.partition(" ")
            names = {"first_name": first, "last_name": last}
            player = {"tenant_id": books.tenant_id, "parent_id": parent_id, **details, **names}
            player_id = await add(conn, Player, **player)
            ids.append(player_id)
            bill = {
                "tenant_id": books.tenant_id,
                "player_id": player_id,
                "parent_id": parent_id,
                "product_id": books.product_id,
                "description": "Monthly fee, Dec 2026",
                "amount_cents": 15000,
                "due_date": date(2026, 12, 1),
            }
            await add(conn, Order, **(bill | order))
    return ids


@pytest.fixture
async def club(
    slack: SlackStandIn,
    services: Services,
    bot: Bot,
    mailbox: Mailbox,
    drain: Callable[[], Awaitable[None]],
) -> AsyncIterator[Club]:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        await add(conn, Team, tenant_id=books.tenant_id, name="U10 Red")
    await add_family(services, books, "Mia Sister-Parent", "Ana Lopez", "Bo Lopez")
    await add_family(services, books, "Nia Carter", "Ana Carter")
    await add_family(services, books, "Odd <Parent>&", ODD_NAME)
    yield Club(slack, services, bot, books, mailbox, drain)
    assert slack.problems == []
