"""Parents' pages as a browser gets them from the running server, style sheet and headers included."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page
from sqlalchemy import update
from sqlalchemy.engine import URL

from core.models import Order, Parent, Player, Tenant
from core.services import Services
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books, add, open_books
from tests.web.conftest import opened_services
from tests.web.kit import SECRET, STRIPE_KEY, refund_event, session_event, stripe_sdk_warning
from web.app import build_web

pytestmark = [pytest.mark.browser, stripe_sdk_warning]

Scheme = Literal["light", "dark"]
LONG_NAME = "Maximiliana-Alexandrina <b>&\"'\u00e9\N{GRINNING FACE}"
VIEWS: list[tuple[int, Scheme]] = [(360, "light"), (360, "dark"), (1000, "light")]


@dataclass(frozen=True, slots=True)
class Site:
    """A running server, with the books of one family behind it."""

    services: Services
    books: Books

    @property
    def balance_url(self) -> str:
        return self.services.family_links.balance_url(self.books.tenant_id, self.books.parent_id)

    def pay_url(self, order_id: int) -> str:
        return self.services.family_links.pay_url(self.books.tenant_id, order_id)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stripe() -> StripeStandIn:
    return StripeStandIn(secret_key=STRIPE_KEY, webhook_secret=SECRET)


@pytest.fixture
async def site(database_url: URL, tmp_path: Path, stripe: StripeStandIn) -> AsyncIterator[Site]:
    port = free_port()
    async with (
        opened_services(database_url, tmp_path, stripe, f"http://127.0.0.1:{port}") as services,
        serve(build_web(services, slack=None), port),
    ):
        async with services.database.transaction() as conn:
            books = await open_books(conn)
            await conn.execute(update(Tenant).values(reply_to="treasurer@rivercity.test"))
            await conn.execute(update(Parent).values(last_name="Featherstonehaugh-Montgomery"))
            mia = await add(
                conn,
                Player,
                tenant_id=books.tenant_id,
                parent_id=books.parent_id,
                first_name=LONG_NAME,
                last_name="Reed",
            )
            for description, status in (
                ("Winter Classic, a tournament with quite a long name", "pending"),
                ("Monthly fee, Nov 2026", "processing"),
            ):
                await add(
                    conn,
                    Order,
                    tenant_id=books.tenant_id,
                    player_id=mia,
                    parent_id=books.parent_id,
                    description=description,
                    amount_cents=123456,
                    status=status,
                    due_date=date(2026, 11, 1),
                )
        yield Site(services, books)


@asynccontextmanager
async def opened(browser: Browser, width: int = 360, scheme: Scheme = "light") -> AsyncIterator[Page]:
    """Open a page; whatever the browser complains of (e.g. of the security policy) fails the test."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    try:
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        yield page
    finally:
        await context.close()
    # A page's own status is logged too.
    assert [text for text in complaints if "status of 4" not in text] == []


async def assert_fits(page: Page, name: str) -> None:
    too_wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0
    family = await page.evaluate("getComputedStyle(document.body).fontFamily")
    assert family.startswith("system-ui"), "the style sheet did not arrive"
    folder = os.environ.get("SIDELINE_SCREENSHOTS")
    if folder:
        viewport = page.viewport_size or {"width": 0}
        await page.screenshot(path=f"{folder}/{name}-{viewport['width']}.png", full_page=True)


async def pay(site: Site) -> None:
    for told in (session_event(order_id=site.books.order_id), refund_event(5000)):
        await site.services.stripe_events.ingest(told, b"{}")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
async def test_a_familys_page(browser: Browser, site: Site, width: int, scheme: Scheme) -> None:
    await pay(site)
    async with opened(browser, width, scheme) as page:
        answer = await page.goto(site.balance_url)
        assert answer is not None
        assert answer.status == 200
        assert LONG_NAME in await page.inner_text("main")
        assert await page.locator("a.button").count() == 1
        await assert_fits(page, f"balance-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
async def test_a_closed_item_and_an_unknown_one(browser: Browser, site: Site, width: int, scheme: Scheme) -> None:
    await pay(site)
    async with opened(browser, width, scheme) as page:
        answer = await page.goto(site.pay_url(site.books.order_id))
        assert answer is not None
        assert answer.status == 410
        await assert_fits(page, f"closed-{scheme}")
        missing = await page.goto(site.pay_url(999))
        assert missing is not None
        assert missing.status == 404
        await assert_fits(page, f"missing-{scheme}")


async def test_the_button_leads_to_stripe_without_telling_it_the_address(
    browser: Browser, site: Site, stripe: StripeStandIn
) -> None:
    referrers: list[str | None] = []
    async with opened(browser) as page:
        page.on("request", lambda request: referrers.append(request.headers.get("referer")))
        await page.goto(site.balance_url)
        await page.get_by_role("link", name="Pay Now: $150.00 for Jaxon Reed").click()
        await page.wait_for_url(f"{stripe.base_url}/**")
        assert "$150.00" in await page.inner_text("body")
    ours = [address for address in referrers if address]
    assert ours == []
