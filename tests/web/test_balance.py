"""A family's page."""

from datetime import date

import httpx
from sqlalchemy import update

from core.models import Order, Parent, Player, Tenant
from core.services import Services
from tests.books import Books, add
from tests.web.kit import refund_event, session_event, tell


def balance_path(services: Services, books: Books) -> str:
    return services.family_links.balance_url(books.tenant_id, books.parent_id).removeprefix("http://club.test")


async def add_order(services: Services, books: Books, **values: object) -> int:
    async with services.database.transaction() as conn:
        return await add(
            conn,
            Order,
            tenant_id=books.tenant_id,
            player_id=books.player_id,
            parent_id=books.parent_id,
            **{"due_date": date(2026, 11, 1), "amount_cents": 6500, **values},
        )


async def test_shows_what_is_owed_with_a_button_each(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    jersey = await add_order(services, books, description="Jersey")
    await add_order(services, books, description="Tryout", status="processing")
    answer = await client.get(balance_path(services, books))
    assert answer.status_code == 200
    for order_id in (books.order_id, jersey):
        assert f'href="{services.family_links.pay_url(books.tenant_id, order_id)}"' in answer.text
    assert answer.text.count("Pay&nbsp;Now") == 2
    assert "Your bank payment is on its way." in answer.text
    assert "$215.00" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_shows_what_was_paid_and_given_back(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    await tell(client, session_event(order_id=books.order_id))
    await tell(client, refund_event(5000))
    page = (await client.get(balance_path(services, books))).text
    assert "Your family owes nothing right now. Thank you!" in page
    assert "$150.00" in page
    assert "given back" in page
    assert "Card" in page


async def test_with_a_bank_payment_on_its_way_there_is_nothing_to_pay_now(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="processing"))
    page = (await client.get(balance_path(services, books))).text
    assert "Nothing to pay now" in page
    assert "nothing more for you to do" in page
    # The item, with what it costs, is still there.
    assert "$150.00" in page
    for words in ("To pay now", "$0.00", "Pay&nbsp;Now", "owes nothing"):
        assert words not in page
    await add_order(services, books, description="Jersey")
    page = (await client.get(balance_path(services, books))).text
    assert "To pay now" in page
    assert "Nothing to pay now" not in page


async def test_an_unsigned_contract_is_named(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="none"))
    page = (await client.get(balance_path(services, books))).text
    assert "Nothing to pay now" in page
    assert "each item says why" in page
    assert "$0.00" not in page
    assert "You can pay this once the contract is signed." in page
    assert "Pay&nbsp;Now" not in page


async def test_names_are_shown_as_typed_and_do_no_harm(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    odd = "<b>&\"'\u00e9\N{GRINNING FACE}"
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(first_name=odd))
        await conn.execute(update(Parent).values(first_name=odd))
        await conn.execute(update(Tenant).values(name=odd))
        await conn.execute(update(Order).values(description=odd))
    page = (await client.get(balance_path(services, books))).text
    assert "<b>" not in page
    assert page.count("&lt;b&gt;&amp;&#34;&#39;\u00e9\N{GRINNING FACE}") >= 4


async def test_others_are_unknown(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    pay = services.family_links.pay_url(books.tenant_id, books.parent_id).rpartition("/")[2]
    nobody = services.family_links.balance_url(books.tenant_id, 999).rpartition("/")[2]
    elsewhere = services.family_links.balance_url(books.tenant_id + 1, books.parent_id).rpartition("/")[2]
    for token in (pay, nobody, elsewhere, "x"):
        answer = await client.get(f"/balance/{token}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
