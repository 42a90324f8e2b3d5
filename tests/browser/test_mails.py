"""Mails and pages as people see them: on a phone, on a desk, in the light and in the dark."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from importlib.resources import files
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, Route

from core.models.statuses import EmailType
from core.pages import BalanceItem, BalancePage, ClosedPage, ErrorPage, PageRenderer, PaidItem
from core.rendering import (
    Brand,
    FamilyMail,
    MailItem,
    MailRenderer,
    ReceiptMail,
    build_environment,
    contrast,
)
from core.statement_page import StatementPage, StatementRow, StatementSection

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
TODAY = date(2026, 12, 3)
LONG_NAME = "Maximiliana-Alexandrina Featherstonehaugh-Montgomery <b>&"
CLUB = Brand("River City FC", "#0b6e4f", "treasurer@rivercity.test")
BRANDS = {
    "green": CLUB,
    "yellow": replace(CLUB, color="#ffd400"),
    "white": replace(CLUB, color="#ffffff"),
    "black": replace(CLUB, color="#000000"),
    "grey": replace(CLUB, color="#777777"),
}


def family_mail(kind: EmailType, brand: Brand = CLUB) -> FamilyMail:
    pay = "http://club.test/pay/"
    items = (
        MailItem("Jaxon Rivera", "Monthly fee, Dec 2026", 15000, date(2026, 12, 10), f"{pay}a"),
        MailItem("Jaxon Rivera", "Monthly fee, Nov 2026", 15000, date(2026, 11, 1), f"{pay}b"),
        MailItem(LONG_NAME, "Winter Classic tournament fee", 125000, TODAY, f"{pay}c"),
    )
    return FamilyMail(
        kind=kind,
        brand=brand,
        currency="usd",
        greeting_name="Dana",
        items=items,
        total_cents=155000,
        balance_url="http://club.test/balance/d",
        today=TODAY,
        note="The field is closed on Monday.\nSee you on Tuesday at 5!",
    )


def receipt(brand: Brand = CLUB) -> ReceiptMail:
    return ReceiptMail(
        kind=EmailType.RECEIPT,
        brand=brand,
        currency="usd",
        greeting_name="Dana",
        items=(MailItem(LONG_NAME, "Winter Classic tournament fee", 65000, None, "http://club.test/pay/c"),),
        total_cents=60000,
        balance_url="http://club.test/balance/d",
        today=TODAY,
        paid_on=TODAY,
        method="check 1041",
        left_cents=65000,
        statement_url="http://club.test/statement/e",
    )


def statement(brand: Brand = CLUB) -> StatementPage:
    rows = (
        StatementRow("Nov 1, 2026", "2026-11-01", "Monthly fee, Nov 2026", "Charged", "$1,150.00", "$1,300.00"),
        StatementRow("Nov 12, 2026", "2026-11-12", LONG_NAME, "Paid: bank payment", "-$1,150.00", "$150.00"),
    )
    return StatementPage(
        brand=brand,
        title="Statement 2026",
        club_name=brand.club_name,
        family_name=LONG_NAME,
        period="Jan 1, 2026 to Dec 3, 2026",
        made_on="Dec 3, 2026",
        opens_on="Jan 1, 2026",
        closes_on="Dec 3, 2026",
        summary=(("Balance before Jan 1, 2026", "$150.00"), ("Charged", "$1,150.00"), ("Paid", "-$1,150.00")),
        sections=(StatementSection(LONG_NAME, "$150.00", rows, "$150.00"),),
        year=2026,
        other_years=(2025, 2024),
    )


def pages(brand: Brand = CLUB) -> dict[str, str]:
    renderer = PageRenderer(build_environment())
    pay = "http://club.test/pay/"
    items = (
        BalanceItem("Jaxon Rivera", "Monthly fee, Dec 2026", 15000, date(2026, 12, 10), f"{pay}a"),
        BalanceItem("Jaxon Rivera", "Monthly fee, Nov 2026", 15000, date(2026, 11, 1), f"{pay}b"),
        BalanceItem(LONG_NAME, "Jersey", 6500, None, None, "Your bank payment is on its way."),
    )
    paid = (
        PaidItem(date(2026, 10, 2), "Jaxon Rivera", "Monthly fee, Oct 2026", 15000, "Card"),
        PaidItem(date(2026, 9, 28), LONG_NAME, "Harvest Cup tournament fee", -9500, "Bank"),
    )
    family = BalancePage(brand, "usd", "The Rivera family", items, 30000, paid, TODAY, "http://club.test/s")
    closed = ClosedPage(
        brand,
        "This is already paid",
        "Monthly fee, Dec 2026 for Jaxon Rivera was paid on Dec 2, 2026.",
        "There is nothing more to do. Thank you!",
    )
    error = ErrorPage(None, "That did not work", "Please try again in a minute.", "7f3a91c2")
    return {
        "balance": renderer.balance(family),
        "nothing": renderer.balance(replace(family, items=(), total_cents=0, paid=())),
        "closed": renderer.closed(closed),
        "error": renderer.error(error),
        "statement": renderer.statement(statement(brand), "http://club.test/statement/e", "http://club.test/b"),
    }


def mails(brand: Brand = CLUB) -> dict[str, str]:
    renderer = MailRenderer(build_environment())
    kinds = (EmailType.OUTSTANDING_BALANCE, EmailType.PAYMENT_LINK)
    made = {kind.value: renderer.render(family_mail(kind, brand)).html for kind in kinds}
    return made | {EmailType.RECEIPT.value: renderer.render(receipt(brand)).html}


@asynccontextmanager
async def shown(browser: Browser, html: str, *, width: int, scheme: Scheme = "light") -> AsyncIterator[Page]:
    """Show a document as the club's server would, without any network."""
    style = files("templates").joinpath("pages/pages.css").read_text()

    async def answer(route: Route) -> None:
        if route.request.url.endswith("/static/pages.css"):
            await route.fulfill(body=style, content_type="text/css")
        else:
            policy = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:"}
            is_page = "/static/pages.css" in html
            await route.fulfill(
                body=html, content_type="text/html; charset=utf-8", headers=policy if is_page else {}
            )

    context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    try:
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        await context.route("**/*", answer)
        await page.goto("http://club.test/")
        yield page
    finally:
        await context.close()
    assert complaints == []


async def sideways(page: Page) -> int:
    """Return by how many pixels the document is wider than the window."""
    width = await page.evaluate(
        "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - window.innerWidth"
    )
    return int(width)


COLORS_OF_TEXT = """
() => {
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!color.startsWith('rgba(0, 0, 0, 0')) return color;
    }
    return getComputedStyle(document.documentElement).colorScheme;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    const element = text.parentElement;
    if (!text.data.trim() || !element.checkVisibility() || element.closest('svg')) continue;
    found.push([text.data.trim(), getComputedStyle(element).color, ground(element)]);
  }
  return found;
}
"""


def as_hex(color: str) -> str:
    channels = re.findall(r"\d+", color)[:3]
    return "#" + "".join(f"{int(channel):02x}" for channel in channels)


async def assert_readable(page: Page) -> None:
    texts = await page.evaluate(COLORS_OF_TEXT)
    assert texts
    weak = [text for text in texts if contrast(as_hex(text[1]), as_hex(text[2])) < 4.5]
    assert weak == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
async def test_mails_fit_and_read_well(browser: Browser, width: int, scheme: Scheme) -> None:
    for html in mails().values():
        async with shown(browser, html, width=width, scheme=scheme) as page:
            assert await sideways(page) <= 0
            await assert_readable(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
async def test_pages_fit_and_read_well(browser: Browser, width: int, scheme: Scheme) -> None:
    for html in pages().values():
        async with shown(browser, html, width=width, scheme=scheme) as page:
            assert await sideways(page) <= 0
            await assert_readable(page)


@pytest.mark.parametrize("brand", BRANDS.values(), ids=BRANDS.keys())
async def test_buttons_read_well_in_any_club_color(browser: Browser, brand: Brand) -> None:
    for scheme in ("light", "dark"):
        for html in (mails(brand)["payment_link"], pages(brand)["balance"]):
            async with shown(browser, html, width=360, scheme=scheme) as page:
                await assert_readable(page)


async def test_a_mail_program_without_style_sheets_still_fits_a_phone(browser: Browser) -> None:
    html = re.sub(r"<style>.*?</style>", "", mails()["outstanding_balance"], flags=re.DOTALL)
    async with shown(browser, html, width=360) as page:
        assert await sideways(page) <= 0


async def test_each_button_says_what_it_pays(browser: Browser) -> None:
    for html in (mails()["outstanding_balance"], pages()["balance"]):
        async with shown(browser, html, width=360) as page:
            name = "Pay Now: $150.00 for Jaxon Rivera \N{EN DASH} Monthly fee, Nov 2026"
            button = page.get_by_role("link", name=name)
            assert await button.inner_text() == "Pay\N{NO-BREAK SPACE}Now"
            assert await button.get_attribute("href") == "http://club.test/pay/b"
            box = await button.bounding_box()
            assert box is not None
            assert box["height"] >= 40


async def test_pages_are_reached_by_keyboard(browser: Browser) -> None:
    async with shown(browser, pages()["balance"], width=360) as page:
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        assert await page.get_by_role("table", name="Paid so far").count() == 1
