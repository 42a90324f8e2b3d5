"""A pay link looks at the item on every click, and never leads to a dead or double payment."""

from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text, update

from core.models import Order, Player, Tenant
from core.models.statuses import OrderStatus
from core.payment_links import PaymentLinks
from core.services import Services
from sandbox.stripe import Fault, StripeStandIn
from tests.books import Books
from tests.web.conftest import web_client
from tests.web.kit import refund_event, session_event, stripe_sdk_warning, tell

pytestmark = stripe_sdk_warning


def pay_path(services: Services, books: Books) -> str:
    return services.family_links.pay_url(books.tenant_id, books.order_id).removeprefix("http://club.test")


async def change_order(services: Services, books: Books, **values: object) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == books.order_id).values(**values))


async def test_leads_to_stripe_and_mints_once(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    path = pay_path(services, books)
    answers = [await client.get(path) for _ in range(2)]
    (link,) = stripe.payment_links.values()
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, link["url"])] * 2
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].headers["referrer-policy"] == "no-referrer"
    asked = stripe.requests[0].params
    assert asked["line_items"][0]["price_data"]["unit_amount"] == 15000
    for metadata in (asked["metadata"], asked["payment_intent_data"]["metadata"]):
        assert metadata["order_id"] == str(books.order_id)
        assert metadata["tenant_id"] == str(books.tenant_id)


async def test_a_changed_amount_leads_to_a_fresh_link(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    path = pay_path(services, books)
    await client.get(path)
    await change_order(services, books, amount_cents=12000)
    answer = await client.get(path)
    old, new = stripe.payment_links.values()
    assert answer.headers["location"] == new["url"]
    assert stripe.requests[-1].params["line_items"][0]["price_data"]["unit_amount"] == 12000
    async with services.database.transaction() as conn:
        closed = (await conn.execute(text("select args - 'trace' from procrastinate_jobs"))).scalars().all()
    assert closed == [{"stripe_payment_link_id": old["id"]}]


async def test_head_looks_and_mints_nothing(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    path = pay_path(services, books)
    assert (await client.head(path)).status_code == 200
    await change_order(services, books, status=OrderStatus.CANCELED)
    assert (await client.head(path)).status_code == 410
    assert stripe.requests == []


OBSTACLES = {
    "paid": "Already paid. Thank you!",
    "processing": "Your bank payment is on its way",
    "canceled": "Nothing to pay here any more",
    "refunded": "This payment was given back",
    "disputed": "Your bank is looking into this payment",
}


@pytest.mark.parametrize("status", OBSTACLES)
async def test_says_in_plain_words_why_not(
    status: str, client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await change_order(services, books, status=status)
    answer = await client.get(pay_path(services, books))
    assert answer.status_code == 410
    assert f"<h1>{OBSTACLES[status]}</h1>" in answer.text
    assert "Monthly fee, Dec 2026 for Jaxon Reed" in answer.text
    # Whoever was passed the link sees this one item, and no way to the rest of the family's.
    assert "/balance/" not in answer.text
    assert "River City FC" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert stripe.requests == []


async def test_follows_the_webhook(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    path = pay_path(services, books)
    await tell(client, session_event(order_id=books.order_id))
    assert "Already paid" in (await client.get(path)).text
    await tell(client, refund_event())
    assert "given back" in (await client.get(path)).text


async def test_an_unsigned_contract_comes_first(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    answer = await client.get(pay_path(services, books))
    assert answer.status_code == 410
    assert "One step comes first" in answer.text


async def test_names_are_shown_as_typed_and_do_no_harm(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    odd = "<b>&\"'\u00e9\N{GRINNING FACE}{item}"
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(first_name=odd))
        await conn.execute(update(Tenant).values(name=odd))
    await change_order(services, books, status="paid", description=odd)
    answer = await client.get(pay_path(services, books))
    assert "<b>" not in answer.text
    shown = "&lt;b&gt;&amp;&#34;&#39;\u00e9\N{GRINNING FACE}{item}"
    assert f"{shown} for {shown} Reed is paid." in answer.text


@pytest.mark.parametrize("token", ["x", "WzEsMV0.forged", "%00", "%ff", "\u00e9", "a" * 3000])
async def test_an_unknown_link_is_a_plain_page(token: str, client: httpx.AsyncClient, books: Books) -> None:
    for method in ("GET", "HEAD"):
        answer = await client.request(method, f"/pay/{token}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "We can't find this page".replace("'", "&#39;") in (await client.get(f"/pay/{token}")).text


async def test_a_family_page_token_opens_no_payment(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    url = services.family_links.balance_url(books.tenant_id, books.order_id)
    assert (await client.get(f"/pay/{url.rpartition('/')[2]}")).status_code == 404


async def test_another_clubs_order_is_unknown(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    url = services.family_links.pay_url(books.tenant_id + 1, books.order_id)
    assert (await client.get(url)).status_code == 404


async def test_when_stripe_says_no_the_page_has_a_reference(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    # Less than Stripe takes.
    await change_order(services, books, amount_cents=1)
    answer = await client.get(pay_path(services, books))
    assert answer.status_code == 502
    assert "We can&#39;t open the payment page" in answer.text
    assert 'class="reference">R-' in answer.text
    assert "Stripe said" not in answer.text


async def test_when_stripe_stumbles_the_parent_sees_nothing_of_it(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    stripe.faults.add(Fault("drop", executes=True))
    answer = await client.get(pay_path(services, books))
    (link,) = stripe.payment_links.values()
    assert (answer.status_code, answer.headers["location"]) == (303, link["url"])


async def test_when_stripe_is_out_of_reach_the_page_asks_for_patience(services: Services, books: Books) -> None:
    off = replace(services, payment_links=PaymentLinks(services.database, None, services.jobs, services.clock))
    async with web_client(off) as client:
        answer = await client.get(pay_path(services, books))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert "out of reach right now" in answer.text
    assert 'class="reference">R-' in answer.text
