"""A parent's click, Stripe's page, its signed events and ours again: the whole way round, by wire."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import select

from core.models import Notice, Order, StripeEvent
from core.services import Services
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books
from tests.web.kit import stripe_sdk_warning
from web.app import build_web

pytestmark = stripe_sdk_warning


@pytest.fixture
async def parent(services: Services, stripe: StripeStandIn) -> AsyncIterator[httpx.AsyncClient]:
    """A parent's browser, on a served application that Stripe delivers its events to."""
    async with serve(build_web(services, slack=None)) as base_url, httpx.AsyncClient(base_url=base_url) as client:
        stripe.webhook_url = f"{base_url}/webhooks/stripe"
        yield client


def pay_path(services: Services, books: Books) -> str:
    return services.family_links.pay_url(books.tenant_id, books.order_id).removeprefix("http://club.test")


async def visit(parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn) -> str:
    """Click the pay link; gives the session that Stripe opens."""
    answer = await parent.get(pay_path(services, books))
    (link,) = (link for link in stripe.payment_links.values() if link["url"] == answer.headers["location"])
    return await stripe.open_link(link["id"])


def intent_of(stripe: StripeStandIn, session_id: str) -> str:
    return str(stripe.sessions[session_id]["payment_intent"])


async def result(services: Services, books: Books, stripe: StripeStandIn) -> tuple[str, list[str]]:
    """Return the order's status and what the channel is told, once Stripe has told everything."""
    await stripe.wait_for_deliveries()
    async with services.database.transaction() as conn:
        status = await conn.scalar(select(Order.status).where(Order.id == books.order_id))
        notices = list(await conn.scalars(select(Notice.kind).order_by(Notice.id)))
        outcomes = set(await conn.scalars(select(StripeEvent.outcome)))
    assert outcomes <= {"applied", "ignored"}
    return str(status), notices


async def test_by_card(parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn) -> None:
    await stripe.pay(await visit(parent, services, books, stripe))
    assert await result(services, books, stripe) == ("paid", ["payment"])
    assert "Already paid" in (await parent.get(pay_path(services, books))).text


async def test_a_declined_card_changes_nothing(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await stripe.pay(await visit(parent, services, books, stripe), "card_declined")
    assert await result(services, books, stripe) == ("pending", [])


async def test_a_bank_debit_that_goes_through(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    session_id = await visit(parent, services, books, stripe)
    await stripe.pay(session_id, "bank_debit")
    assert await result(services, books, stripe) == ("processing", ["processing"])
    assert "on its way" in (await parent.get(pay_path(services, books))).text
    await stripe.settle(session_id)
    assert await result(services, books, stripe) == ("paid", ["processing", "payment"])


async def test_a_bank_debit_that_comes_back(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    session_id = await visit(parent, services, books, stripe)
    await stripe.pay(session_id, "bank_debit")
    await stripe.wait_for_deliveries()
    await stripe.settle(session_id, succeed=False)
    assert await result(services, books, stripe) == ("pending", ["processing", "payment_failed"])
    await stripe.pay(await visit(parent, services, books, stripe))
    assert (await result(services, books, stripe))[0] == "paid"


async def test_paid_twice_on_two_tabs_is_called_out(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    tabs = [await visit(parent, services, books, stripe) for _ in range(2)]
    for session_id in tabs:
        await stripe.pay(session_id)
        await stripe.wait_for_deliveries()
    assert await result(services, books, stripe) == ("paid", ["payment", "second_payment"])


async def test_money_given_back(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    session_id = await visit(parent, services, books, stripe)
    await stripe.pay(session_id)
    await stripe.wait_for_deliveries()
    await stripe.refund(intent_of(stripe, session_id), 5000)
    assert (await result(services, books, stripe))[0] == "partially_refunded"
    await stripe.refund(intent_of(stripe, session_id))
    assert await result(services, books, stripe) == ("refunded", ["payment", "refund", "refund"])


async def test_a_dispute(
    parent: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    session_id = await visit(parent, services, books, stripe)
    await stripe.pay(session_id)
    await stripe.wait_for_deliveries()
    dispute_id = await stripe.dispute(intent_of(stripe, session_id))
    assert (await result(services, books, stripe))[0] == "disputed"
    await stripe.close_dispute(dispute_id, "won")
    assert (await result(services, books, stripe))[0] == "paid"
