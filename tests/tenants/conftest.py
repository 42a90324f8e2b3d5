"""Two clubs in one database, each with a workspace and a Stripe account; the first one's data is easy to spot."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from slack_sdk.oauth.installation_store import Installation
from sqlalchemy import insert, text, update
from sqlalchemy.engine import URL

from bot.app import Bot, build_bot
from bot.manifest import manifest
from core.database import Database
from core.models import (
    Base,
    Blast,
    BlastRecipient,
    CheckoutAttempt,
    OrderHistory,
    Parent,
    Payment,
    Player,
    Tenant,
)
from core.services import Services, build_services
from core.tenancy import tenant_scope
from sandbox.server import serve
from sandbox.slack.installs import ManyWorkspaces
from sandbox.slack.pace import Pace
from sandbox.slack.stand_in import SlackStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books

HERE_TEAM, THERE_TEAM = "T0HERE", "T0THERE"
HERE_TOKEN, THERE_TOKEN = "xoxb-here", "xoxb-there"
HERE_ADMIN, THERE_ADMIN = "U0HERE", "U0THERE"
HERE_CHANNEL, THERE_CHANNEL = "C0HERE", "C0THERE"
HERE_ACCOUNT, THERE_ACCOUNT = None, "acct_test_there"
CLIENT_ID, CLIENT_SECRET = "111.222", "made-up-client-secret"
SIGNING_SECRET = "signing-secret-for-tests"
PUBLIC_URL = "https://club.example.com"
REDIRECT = f"{PUBLIC_URL}/slack/oauth_redirect"
# No word of it may turn up anywhere else.
SECRET_NAMES = ("Zebedee", "Quill", "river city", "quill@example.com")
FIRST_ID = 7_000_000


@dataclass
class TwoClubs:
    """`here` is the one whose things must not be seen by `there`."""

    database: Database
    here: Books
    there: Books
    filled: dict[int, dict[str, int]] = field(default_factory=dict)

    @classmethod
    async def open(cls, database: Database) -> "TwoClubs":
        async with database.transaction() as conn:
            there = await open_books(conn, club="Harbor United")
            details = {"slack_team_id": THERE_TEAM, "slack_admins": [THERE_ADMIN]}
            channels = {"slack_payments_channel": THERE_CHANNEL, "stripe_account_id": THERE_ACCOUNT}
            is_it = Tenant.id == there.tenant_id
            await conn.execute(update(Tenant).where(is_it).values(**details, **channels))
            await conn.execute(text(f"select setval(oid, {FIRST_ID}) from pg_class where relkind = 'S'"))
            here = await open_books(conn, email="quill@example.com")
            names = {"first_name": "Zebedee", "last_name": "Quill"}
            await conn.execute(update(Player).where(Player.id == here.player_id).values(**names))
            await conn.execute(update(Parent).where(Parent.id == here.parent_id).values(last_name="Quill"))
            await conn.execute(update(Tenant).where(Tenant.id == here.tenant_id).values(slack_team_id=HERE_TEAM))
        return cls(database, here, there)

    async def fill(self) -> None:
        """Give each club one row of what has no club of its own."""
        async with self.database.transaction() as conn:
            for number, books in enumerate((self.here, self.there)):
                payment = await add(conn, Payment, order_id=books.order_id, amount_cents=100, method="cash")
                change = {"from_status": "pending", "to_status": "paid", "reason": "a test"}
                await add(conn, OrderHistory, order_id=books.order_id, **change)
                attempt = {"stripe_checkout_session_id": f"cs_test_{number}", "status": "expired"}
                await conn.execute(insert(CheckoutAttempt).values(order_id=books.order_id, **attempt))
                draft = {"kind": "outstanding_balance", "requested_by": "U0ADMIN"}
                blast = await add(conn, Blast, tenant_id=books.tenant_id, **draft)
                row = {"blast_id": blast, "parent_id": books.parent_id}
                await conn.execute(insert(BlastRecipient).values(**row))
                self.filled[books.tenant_id] = {"payment": payment, "blast": blast}

    async def everything_here(self) -> dict[str, list[str]]:
        """Return every row that the first club sees."""
        with tenant_scope(self.here.tenant_id):
            async with self.database.transaction() as conn:
                return {
                    name: [str(row) for row in await conn.execute(text(f"select * from {name} order by 1"))]
                    for name in Base.metadata.tables
                    if name not in {"stripe_events", "stripe_refunds", "stripe_disputes", "rate_slots"}
                }

    async def jobs_about_here(self) -> list[str]:
        async with self.database.transaction() as conn:
            found = await conn.scalars(
                text(f"select args::text from procrastinate_jobs where args::text ~ '{FIRST_ID // 1000}'")
            )
            return list(found)


@pytest.fixture
async def two(database: Database) -> TwoClubs:
    return await TwoClubs.open(database)


@dataclass
class Workspaces:
    """Both clubs' Slack, and the product between them."""

    here: SlackStandIn
    there: SlackStandIn
    front: ManyWorkspaces
    bot: Bot
    services: Services


def a_workspace(token: str, team_id: str, admin: str, channel: str) -> SlackStandIn:
    made = manifest("http://127.0.0.1:1", socket_mode=False)
    pace = Pace(posts_per_second=1000, post_burst=1000, tiers=False)
    slack = SlackStandIn(bot_token=token, signing_secret=SIGNING_SECRET, team_id=team_id, manifest=made, pace=pace)
    slack.add_user(admin, "Ada Admin", email="ada@example.com")
    slack.add_channel(channel, "payments")
    return slack


@pytest.fixture
async def workspaces(database_url: URL, tmp_path: Path) -> AsyncIterator[Workspaces]:
    here = a_workspace(HERE_TOKEN, HERE_TEAM, HERE_ADMIN, HERE_CHANNEL)
    there = a_workspace(THERE_TOKEN, THERE_TEAM, THERE_ADMIN, THERE_CHANNEL)
    front = ManyWorkspaces(CLIENT_ID, CLIENT_SECRET, [REDIRECT], {HERE_TOKEN: here, THERE_TOKEN: there})
    front.installed.add(HERE_TOKEN)
    async with serve(front.app) as slack_url:
        here.base_url = there.base_url = slack_url
        settings = made_up_settings(
            tmp_path,
            **database_settings(database_url),
            public_url=PUBLIC_URL,
            slack_bot_token=HERE_TOKEN,
            slack_signing_secret=SIGNING_SECRET,
            slack_api_base_url=f"{slack_url}/api",
            slack_payments_channel=HERE_CHANNEL,
            slack_admins=HERE_ADMIN,
            slack_client_id=CLIENT_ID,
            slack_client_secret=CLIENT_SECRET,
            stripe_webhook_secret="whsec_test_current",
            admin_api_token="made-up-admin-token",
            smtp_url="smtp://127.0.0.1:9",
            mail_from="billing@club.test",
        )
        services = build_services(settings, database_url)
        bot = build_bot(services, clubs_last_seconds=0)
        await bot.start()
        yield Workspaces(here, there, front, bot, services)
        await bot.close()
        await services.close()


async def install_there(workspaces: Workspaces) -> None:
    """Keep the second workspace's token as an installation would."""
    store = workspaces.bot.clubs.installations
    assert store is not None
    workspaces.front.installed.add(THERE_TOKEN)
    await store.async_save(
        Installation(
            app_id="A0", team_id=THERE_TEAM, user_id=THERE_ADMIN, bot_token=THERE_TOKEN, bot_user_id="U0SIDELINE"
        )
    )
