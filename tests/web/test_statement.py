"""A family's statement, as a page and as a PDF."""

import asyncio

import httpx
import pytest
from sqlalchemy import update

from core.models import Order, Parent, Player, Tenant
from core.services import Services
from tests.books import Books
from tests.web.kit import refund_event, session_event, tell


def path_of(services: Services, books: Books) -> str:
    url = services.family_links.statement_url(books.tenant_id, books.parent_id)
    return url.removeprefix("http://club.test")


async def test_the_page_adds_up(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    await tell(client, session_event(order_id=books.order_id))
    await tell(client, refund_event(5000))
    answer = await client.get(path_of(services, books))
    assert answer.status_code == 200
    for words in ("Jaxon Reed", "Charged", "Paid: card", "Given back: card", "Not owed any more", "-$150.00"):
        assert words in answer.text
    assert f"{path_of(services, books)}.pdf?year=" in answer.text
    assert services.family_links.balance_url(books.tenant_id, books.parent_id) in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_the_familys_page_leads_to_it(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    links = services.family_links
    page = await client.get(links.balance_url(books.tenant_id, books.parent_id))
    assert f'href="{links.statement_url(books.tenant_id, books.parent_id)}"' in page.text


async def test_the_pdf_is_private_too(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    year = services.clock().year
    answer = await client.get(f"{path_of(services, books)}.pdf", params={"year": year})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-disposition"] == f'inline; filename="statement-{year}.pdf"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_asking_for_the_head_makes_no_pdf(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    for path in (path_of(services, books), f"{path_of(services, books)}.pdf"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_many_at_once_are_all_served(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    path = f"{path_of(services, books)}.pdf"
    answers = await asyncio.gather(*(client.get(path) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("year", ["1999", "2999", "20265", "x", "-1", "\u0662\u0660\u0662\u0666"])
@pytest.mark.parametrize("ending", ["", ".pdf"])
async def test_a_year_that_is_none_is_not_found(
    year: str, ending: str, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    answer = await client.get(f"{path_of(services, books)}{ending}", params={"year": year})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_others_are_unknown(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    links = services.family_links
    tokens = [
        links.balance_url(books.tenant_id, books.parent_id),
        links.pay_url(books.tenant_id, books.order_id),
        links.statement_url(books.tenant_id, 999),
        links.statement_url(books.tenant_id + 1, books.parent_id),
        "x",
    ]
    for token in (url.rpartition("/")[2] for url in tokens):
        for ending in ("", ".pdf"):
            answer = await client.get(f"/statement/{token}{ending}")
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_names_are_shown_as_typed_and_do_no_harm(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    odd = "\u0141ukasz <b>&\"'\u00e9 #1 *x* $y$\N{GRINNING FACE}"
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(first_name=odd))
        await conn.execute(update(Parent).values(first_name=odd))
        await conn.execute(update(Tenant).values(name=odd))
        await conn.execute(update(Order).values(description=odd))
    page = (await client.get(path_of(services, books))).text
    assert "<b>" not in page
    assert page.count("\u0141ukasz &lt;b&gt;&amp;&#34;&#39;\u00e9 #1 *x* $y$\N{GRINNING FACE}") >= 4
    pdf = await client.get(f"{path_of(services, books)}.pdf")
    assert pdf.content.startswith(b"%PDF-")
