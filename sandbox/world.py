"""The whole outside world on loopback: Slack, Stripe, a mailbox, and one page that leads to all three."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.home import home_app
from sandbox.mailbox import Mailbox
from sandbox.sample import ADMIN, APPROVALS, COACH, GENERAL, OUTSIDER, PAYMENTS, TREASURER
from sandbox.server import serve
from sandbox.slack import SlackStandIn
from sandbox.stripe import StripeStandIn

BOT_TOKEN = "xoxb-sandbox"  # noqa: S105 - opens nothing but this sandbox
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105 - the same
STRIPE_KEY = "sk_test_sandbox"
WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - the same
ADMIN_TOKEN = "sandbox-admin-token"  # noqa: S105 - the same


@dataclass(frozen=True, slots=True)
class World:
    """The stand-ins, all being served."""

    slack: SlackStandIn
    stripe: StripeStandIn
    mailbox: Mailbox
    home_url: str
    product_url: str

    def settings(self) -> dict[str, str]:
        """The product's environment: it finds the stand-ins by its public settings, like the real ones."""
        return {
            "PUBLIC_URL": self.product_url,
            "ADMIN_API_TOKEN": ADMIN_TOKEN,
            "STRIPE_SECRET_KEY": STRIPE_KEY,
            "STRIPE_API_BASE": self.stripe.base_url,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_API_BASE_URL": f"{self.slack.base_url}/api/",
            "SLACK_PAYMENTS_CHANNEL": PAYMENTS,
            "SLACK_APPROVALS_CHANNEL": APPROVALS,
            "SLACK_ADMINS": f"{ADMIN},{TREASURER}",
            "SLACK_COACHES": COACH,
            "SMTP_URL": self.mailbox.smtp_url,
            "MAIL_FROM": "billing@rivercity.test",
        }


@asynccontextmanager
async def open_world(
    product_url: str, *, manifest: dict[str, Any] | None = None, home_port: int = 0
) -> AsyncIterator[World]:
    """Serve the world while the block runs; `product_url` is where the product will listen."""
    slack = SlackStandIn(
        bot_token=BOT_TOKEN,
        signing_secret=SIGNING_SECRET,
        events_url=f"{product_url}/slack/events",
        manifest=manifest,
    )
    _furnish(slack)
    stripe = StripeStandIn(
        secret_key=STRIPE_KEY, webhook_secret=WEBHOOK_SECRET, webhook_url=f"{product_url}/webhooks/stripe"
    )
    async with AsyncExitStack() as stack:
        mailbox = await stack.enter_async_context(Mailbox(user="sideline", password="sandbox"))  # noqa: S106 - a stand-in's
        slack.base_url = await stack.enter_async_context(serve(slack.app))
        stripe.base_url = await stack.enter_async_context(serve(stripe.app))
        home = home_app(slack, stripe, mailbox)
        home_url = await stack.enter_async_context(serve(home, home_port))
        yield World(slack, stripe, mailbox, home_url, product_url)
        await stripe.close()


def _furnish(slack: SlackStandIn) -> None:
    slack.add_user(COACH, "Casey (coach)", email="casey@rivercity.test")
    slack.add_user(ADMIN, "Alex (admin)", email="alex@rivercity.test")
    slack.add_user(TREASURER, "Toni (treasurer)", email="toni@rivercity.test")
    slack.add_user(OUTSIDER, "Sam (not on the list)", email="sam@rivercity.test")
    slack.add_channel(GENERAL, "coaches")
    slack.add_channel(PAYMENTS, "payments")
    slack.add_channel(APPROVALS, "approvals")
