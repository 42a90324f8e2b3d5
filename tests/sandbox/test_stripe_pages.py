import contextlib
from collections.abc import AsyncIterator

import httpx
from bs4 import BeautifulSoup

from tests.sandbox.stripe_kit import Account, account


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[tuple[Account, httpx.AsyncClient]]:
    async with (
        account() as club,
        httpx.AsyncClient(base_url=club.stripe.base_url, follow_redirects=True) as browser,
    ):
        yield club, browser


def words(answer: httpx.Response) -> str:
    return " ".join(BeautifulSoup(answer.text, "html.parser").get_text(" ").split())


async def test_a_parent_is_declined_and_then_pays() -> None:
    async with browsing() as (club, browser):
        link = club.stripe.payment_links[await club.link()]
        page = await browser.get(
            link["url"], params={"prefilled_email": "pat@example.com", "client_reference_id": "order-7"}
        )
        assert "Monthly fee" in words(page)
        assert "$150.00" in words(page)
        assert "no real money" in words(page)
        assert 'value="pat@example.com"' in page.text
        declined = await browser.post(page.url, data={"method": "card_declined"})
        assert declined.status_code == 402
        assert "declined" in words(declined)
        paid = await browser.post(page.url, data={"method": "card", "email": "pat@example.com"})
        assert "Thank you" in words(paid)
        (session,) = club.stripe.sessions.values()
        assert (session["client_reference_id"], session["payment_status"]) == ("order-7", "paid")
        assert (await browser.post(page.url, data={"method": "card"})).status_code == 409


async def test_a_bank_debit_is_settled_on_the_page() -> None:
    async with browsing() as (club, browser):
        page = await browser.get(club.stripe.payment_links[await club.link()]["url"])
        done = await browser.post(page.url, data={"method": "bank_debit"})
        assert "Let the bank settle now" in words(done)
        failed = await browser.post(f"{page.url}/settle", data={"outcome": "fail"})
        assert "nothing was charged" in words(failed)


async def test_after_paying_the_parent_is_sent_on() -> None:
    async with browsing() as (club, browser):
        after = {"type": "redirect", "redirect": {"url": "https://club.test/thanks?s={CHECKOUT_SESSION_ID}"}}
        page = await browser.get(club.stripe.payment_links[await club.link(after_completion=after)]["url"])
        answer = await browser.post(page.url, data={"method": "card"}, follow_redirects=False)
        (session_id,) = club.stripe.sessions
        assert answer.status_code == 303
        assert answer.headers["location"] == f"https://club.test/thanks?s={session_id}"


async def test_a_closed_link_says_so_and_makes_no_session() -> None:
    async with browsing() as (club, browser):
        link = await club.link()
        await club.stripe.deactivate(link)
        assert "This link is closed." in words(await browser.get(f"/pay/{link}"))
        assert club.stripe.sessions == {}
        assert (await browser.get("/pay/plink_none")).status_code == 404


async def test_names_are_harmless_on_every_page() -> None:
    async with browsing() as (club, browser):
        price = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "<b>O'Neil & Zoë</b>"}}
        link = await club.link(line_items=[{"price_data": price, "quantity": 1}])
        for page in (await browser.get(f"/pay/{link}"), await browser.get("/dashboard")):
            assert "<b>O'Neil" not in page.text
            assert "<b>O'Neil & Zoë</b>" in words(page)


async def test_the_dashboard_refunds_disputes_and_delivers() -> None:
    async with browsing() as (club, browser):
        assert "No payments yet." in words(await browser.get("/"))
        intent = await club.paid()

        async def press(button: str, subject: str, detail: str = "") -> str:
            answer = await browser.post(f"/dashboard/{button}", data={"id": subject, "detail": detail})
            return words(answer)

        assert "opened a dispute" in await press("dispute", intent)
        (dispute,) = club.stripe.books.disputes
        assert "has decided" in await press("close-dispute", dispute, "won")
        assert "$150.00 refunded" in await press("refund", intent)
        assert "already been refunded" in await press("refund", intent)
        event = club.latest_event("checkout.session.completed")
        shown = await press("deliver", event["id"], "copies")
        assert "answered with 200, 200, 200" in shown
        assert "delivered: 3 tries, last 200" in shown
