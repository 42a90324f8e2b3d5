"""The link door against Stripe's real test mode, for those who have a key of it.

Run with `STRIPE_TEST_API_KEY=sk_test_… pytest -m stripe_test_mode`. What it makes it deactivates and archives.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from core.models import PaymentLink
from core.services import Services, build_services
from tests.books import Books, database_settings, made_up_settings, open_books

KEY = os.environ.get("STRIPE_TEST_API_KEY", "")
WANTED = "sk_test_"

pytestmark = [
    pytest.mark.stripe_test_mode,
    pytest.mark.skipif(not KEY, reason="STRIPE_TEST_API_KEY is not set: Stripe's real test mode is not asked"),
    # The only tests that may leave this machine.
    pytest.mark.enable_socket,
]


@pytest.fixture
def key() -> str:
    """Give the key; anything but one of the test mode is refused before a single call."""
    if not KEY.startswith(WANTED):
        pytest.fail(f"STRIPE_TEST_API_KEY has to start with {WANTED}: no test may touch real money")
    return KEY


@pytest.fixture
async def services(key: str, database_url: URL, tmp_path: Path) -> AsyncIterator[Services]:
    settings = made_up_settings(tmp_path, **database_settings(database_url), stripe_secret_key=key)
    services = build_services(settings, database_url)
    yield services
    await services.close()


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


async def test_what_stripe_holds_of_a_link_is_what_we_asked_for(services: Services, books: Books) -> None:
    assert services.gateway is not None
    url = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    async with services.database.transaction() as conn:
        link_id = str(await conn.scalar(select(PaymentLink.stripe_payment_link_id)))
    try:
        link = await services.gateway.read.link(link_id)
        assert link is not None
        held = (await services.gateway._client.v1.payment_links.retrieve_async(link_id)).to_dict()
        ids = {
            "order_id": str(books.order_id),
            "player_id": str(books.player_id),
            "product_id": str(books.product_id),
            "tenant_id": str(books.tenant_id),
        }
        assert held["metadata"] == ids
        assert held["payment_intent_data"]["metadata"] == ids
        assert held["payment_intent_data"]["setup_future_usage"] == "off_session"
        assert (link.url, link.active) == (url, True)
        assert (link.amount_cents, link.currency, held["livemode"]) == (15000, "usd", False)
        assert "expires_at" not in held
        assert held["restrictions"] is None
        assert await services.payment_links.payable_url(books.tenant_id, books.order_id) == url
    finally:
        await services.payment_links.close_link(link_id)
        await archive(services, link_id)
    closed = await services.gateway.read.link(link_id)
    assert closed is not None
    assert closed.active is False


async def archive(services: Services, link_id: str) -> None:
    """Take the product that the link's inline price made out of the catalogue."""
    assert services.gateway is not None
    api = services.gateway._client.v1
    items = await api.payment_links.line_items.list_async(link_id)
    for item in items.data:
        price = item.price
        if price is not None:
            await api.products.update_async(str(price.product), {"active": False})
