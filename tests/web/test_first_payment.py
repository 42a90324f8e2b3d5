"""The first payment's address: looked at on every click, and never a way to a dead or double payment."""

from datetime import date

import httpx
import pytest
from sqlalchemy import select, text, update

from core.models import Order, Player, Tournament
from core.services import Services
from sandbox.stripe import StripeStandIn
from tests.books import Books, add
from tests.web.kit import ADMIN_TOKEN, session_event, stripe_sdk_warning, tell

pytestmark = stripe_sdk_warning
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
async def fresh(services: Services, books: Books) -> Books:
    """Jaxon signed in the middle of December, and nothing was billed yet."""
    async with services.database.transaction() as conn:
        await conn.execute(text("delete from orders"))
        await conn.execute(update(Player).values(contract_date=date(2026, 12, 16)))
    return books


def path(services: Services, books: Books, *, prorate: bool = True) -> str:
    url = services.family_links.first_payment_url(
        books.tenant_id, books.player_id, books.parent_id, prorate=prorate
    )
    return url.removeprefix("http://club.test")


async def orders(services: Services) -> list[tuple[int, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(select(Order.amount_cents, Order.status).order_by(Order.id))
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def test_leads_to_stripe_and_mints_once(
    client: httpx.AsyncClient, services: Services, fresh: Books, stripe: StripeStandIn
) -> None:
    answers = [await client.get(path(services, fresh)) for _ in range(2)]
    (link,) = stripe.payment_links.values()
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, link["url"])] * 2
    assert answers[0].headers["cache-control"] == "no-store"
    assert await orders(services) == [(7742, "pending")]
    (asked,) = stripe.requests
    product = asked.params["line_items"][0]["price_data"]["product_data"]["name"]
    assert "Dec 16 to Dec 31: 16 of 31 days of $150.00" in product


async def test_the_query_may_ask_for_the_flat_fee_and_never_for_less(
    client: httpx.AsyncClient, services: Services, fresh: Books
) -> None:
    prorated = path(services, fresh)
    await client.get(prorated.replace("prorate=true", "prorate=false"))
    assert await orders(services) == [(15000, "pending")]
    flat = path(services, fresh, prorate=False)
    await client.get(flat.replace("prorate=false", "prorate=true"))
    assert await orders(services) == [(15000, "pending")]
    await client.get(prorated.replace("&prorate=true", ""))
    assert await orders(services) == [(15000, "canceled"), (7742, "pending")]


async def test_head_looks_and_makes_nothing(
    client: httpx.AsyncClient, services: Services, fresh: Books, stripe: StripeStandIn
) -> None:
    assert (await client.head(path(services, fresh))).status_code == 200
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    assert (await client.head(path(services, fresh))).status_code == 410
    assert await orders(services) == []
    assert stripe.requests == []


async def test_an_unsigned_contract_comes_first(
    client: httpx.AsyncClient, services: Services, fresh: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent", first_name="<b>Zoë"))
    answer = await client.get(path(services, fresh))
    assert answer.status_code == 410
    assert "One step comes first" in answer.text
    assert "The first monthly fee for &lt;b&gt;Zoë Reed can be paid once" in answer.text
    assert "/balance/" not in answer.text
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="signed"))
    assert (await client.get(path(services, fresh))).status_code == 303


async def test_paid_is_a_page_that_says_so(client: httpx.AsyncClient, services: Services, fresh: Books) -> None:
    await client.get(path(services, fresh))
    async with services.database.transaction() as conn:
        order_id = await conn.scalar(select(Order.id))
    await tell(client, session_event(order_id=order_id, amount_total=7742, payment_status="unpaid"))
    processing = await client.get(path(services, fresh))
    assert (processing.status_code, "on its way" in processing.text) == (410, True)
    await tell(client, session_event("async_payment_succeeded", order_id=order_id, amount_total=7742))
    paid = await client.get(path(services, fresh, prorate=False))
    assert paid.status_code == 410
    assert "Already paid. Thank you!" in paid.text
    assert "The first monthly fee for Jaxon Reed is paid." in paid.text
    assert await orders(services) == [(7742, "paid")]


@pytest.mark.parametrize(
    "query", ["", "?token=", "?token=x", "?token=WzEsMSwxLDFd.forged&prorate=true", "?token=%00"]
)
async def test_an_unknown_token_is_a_plain_page(query: str, client: httpx.AsyncClient, books: Books) -> None:
    answer = await client.get(f"/checkout/first-payment{query}")
    assert answer.status_code == 404
    assert "We can&#39;t find this page" in answer.text


async def test_another_kinds_token_opens_nothing(
    client: httpx.AsyncClient, services: Services, fresh: Books
) -> None:
    for url in (services.family_links.pay_url(1, 1), services.family_links.balance_url(1, 1)):
        answer = await client.get("/checkout/first-payment", params={"token": url.rpartition("/")[2]})
        assert answer.status_code == 404


async def test_the_first_payment_blast(client: httpx.AsyncClient, services: Services, fresh: Books) -> None:
    address = "/admin/email/first-payment"
    assert (await client.post(address)).status_code == 401
    dry = (await client.post(address, headers=BEARER, params={"dry_run": "true"})).json()
    assert (dry["blast_id"], dry["recipients"], dry["emails_queued"], dry["total_cents"]) == (None, 1, 0, 7742)
    assert await orders(services) == []
    flat = await client.post(address, headers=BEARER, params={"skip_proration": "true"})
    assert flat.json() == {
        "blast_id": flat.json()["blast_id"],
        "recipients": 1,
        "emails_queued": 1,
        "skipped": [],
        "total_cents": 15000,
    }
    assert await orders(services) == [(15000, "pending")]


# Jaxon's team pays for it, and his sister is in no team.
CUP = (
    """
    insert into products (tenant_id, category, name, price_cents)
    values (:tenant, 'tournament', 'Cup, U12 Blue', 9500)
    """,
    "insert into tournament_products select :cup, :team, max(id), :tenant from products",
    """
    insert into players (tenant_id, parent_id, first_name, last_name, contract_status)
    select tenant_id, parent_id, 'Mia', last_name, 'signed' from players
    """,
    """
    insert into tournament_entries (tenant_id, tournament_id, player_id)
    select tenant_id, :cup, id from players
    """,
)


@pytest.fixture
async def cup_id(services: Services, fresh: Books) -> int:
    async with services.database.transaction() as conn:
        cup = await add(conn, Tournament, tenant_id=fresh.tenant_id, name="Cup", starts_on=date(2027, 3, 6))
        named = {"tenant": fresh.tenant_id, "cup": cup, "team": fresh.team_id, "player": fresh.player_id}
        for statement in CUP:
            await conn.execute(text(statement), named)
    return cup


async def test_the_tournament_fee_blast(
    client: httpx.AsyncClient, services: Services, fresh: Books, cup_id: int
) -> None:
    address = "/admin/email/tournament-fee"
    here = {"tournament_id": str(cup_id)}
    left_out = [{"parent_id": fresh.parent_id, "reason": "Mia Reed: in no team, so there is no fee"}]
    dry = await client.post(address, headers=BEARER, params=here | {"dry_run": "1"})
    assert dry.json() == {
        "blast_id": None,
        "recipients": 1,
        "emails_queued": 0,
        "skipped": left_out,
        "total_cents": 9500,
    }
    assert await orders(services) == []
    sent = await client.post(address, headers=BEARER, params=here | {"test_email": "pat@example.com"})
    assert (sent.json()["emails_queued"], sent.json()["skipped"]) == (1, left_out)
    assert await orders(services) == [(9500, "pending")]


@pytest.mark.parametrize(
    ("address", "params", "status"),
    [
        ("tournament-fee", {"tournament_id": "999"}, 404),
        ("tournament-fee", {}, 400),
        ("tournament-fee", {"tournament_id": "cup"}, 400),
        ("tournament-fee", {"tournament_id": "1", "team_id": "1"}, 400),
        ("first-payment", {"skip_proration": "perhaps"}, 400),
        ("first-payment", {"skipproration": "true"}, 400),
        ("first-payment", {"test_email": "nobody@example.com"}, 404),
    ],
)
async def test_what_is_not_meant_mails_nobody(
    address: str, params: dict[str, str], status: int, client: httpx.AsyncClient, services: Services, fresh: Books
) -> None:
    answer = await client.post(f"/admin/email/{address}", headers=BEARER, params=params)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]
    assert await orders(services) == []
