"""What mails and pages say, and that nothing typed by a person can change what they are."""

from dataclasses import replace
from datetime import date

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.models.statuses import EmailType
from core.pages import BalanceItem, BalancePage, ClosedPage, ErrorPage, PageRenderer, PaidItem
from core.rendering import (
    NOTE_LIMIT,
    SUBJECT_LIMIT,
    Brand,
    FamilyMail,
    MailItem,
    MailRenderer,
    build_environment,
    contrast,
    due_words,
    subject_of,
)

ENVIRONMENT = build_environment()
MAILS = MailRenderer(ENVIRONMENT)
PAGES = PageRenderer(ENVIRONMENT)
TODAY = date(2026, 12, 3)
BRAND = Brand("River City FC", "#0b6e4f", "treasurer@rivercity.test")
HARMFUL = "O\N{RIGHT SINGLE QUOTATION MARK}Neill <b>&\"'é😀{{ 7 * 7 }}<!--{% x %}-->"
MAIL = FamilyMail(
    kind=EmailType.OUTSTANDING_BALANCE,
    brand=BRAND,
    currency="usd",
    greeting_name="Dana",
    items=(
        MailItem("Jaxon Rivera", "Monthly fee, Dec 2026", 15000, date(2026, 12, 10), "http://club.test/pay/a"),
        MailItem(
            "Mia Rivera", "Monthly fee, Nov 2026", 15000, date(2026, 11, 1), "http://club.test/pay/b?x=1&y=2"
        ),
    ),
    total_cents=30000,
    balance_url="http://club.test/balance/c",
    today=TODAY,
)
colors = st.from_regex(r"\A#[0-9a-f]{6}\Z")


def for_players(*names: str) -> FamilyMail:
    return replace(MAIL, items=tuple(replace(MAIL.items[0], player_name=name) for name in names))


@settings(deadline=None)
@given(colors)
def test_text_on_any_club_color_is_readable(color: str) -> None:
    brand = replace(BRAND, color=color)
    assert contrast(brand.text_color, color) >= 4.5
    assert contrast(brand.edge_color, "#ffffff") >= 3


def test_contrast_is_the_one_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("color", ["red", "#fff", "#0b6e4f;x:y", "#0b6e4f\n", ""])
def test_a_color_is_a_color_and_nothing_else(color: str) -> None:
    with pytest.raises(InvalidInputError, match="#0b6e4f"):
        replace(BRAND, color=color)


def test_the_table_has_a_row_an_item_and_a_total() -> None:
    page = BeautifulSoup(MAILS.render(MAIL).html, "html.parser")
    table = page.find("table", class_="items")
    assert table is not None
    heads = [head.get_text() for head in table.select("thead th")]
    assert heads == ["Player", "Item", "Amount", "Pay Now"]
    rows = [
        [cell.get_text(" ", strip=True) for cell in row.select(".player, .item, .amount")]
        for row in table.select(".row")
    ]
    assert rows == [
        ["Jaxon Rivera", "Monthly fee, Dec 2026 Due Dec 10, 2026", "$150.00"],
        ["Mia Rivera", "Monthly fee, Nov 2026 Overdue since Nov 1, 2026", "$150.00"],
    ]
    assert [link["href"] for link in table.find_all("a")] == [
        "http://club.test/pay/a",
        "http://club.test/pay/b?x=1&y=2",
    ]
    assert table.select_one(".total").get_text() == "$300.00"  # type: ignore[union-attr] # fails the test by itself


def test_the_text_says_what_the_html_says() -> None:
    text = MAILS.render(replace(MAIL, note="Closed on Monday.\n<b>Sorry</b>")).text
    for part in (
        "Hello Dana,",
        "* Jaxon Rivera \N{EN DASH} Monthly fee, Dec 2026\n  $150.00 · Due Dec 10, 2026\n  Pay Now: http://club.test/pay/a\n",
        "$150.00 · Overdue since Nov 1, 2026\n  Pay Now: http://club.test/pay/b?x=1&y=2\n",
        "\nTotal: $300.00\n",
        "\nhttp://club.test/balance/c\n",
        "> Closed on Monday.\n> <b>Sorry</b>\n",
        "write to treasurer@rivercity.test",
    ):
        assert part in text


@pytest.mark.parametrize("kind", [EmailType.OUTSTANDING_BALANCE, EmailType.PAYMENT_LINK])
def test_names_arrive_intact_and_harmless(kind: EmailType) -> None:
    item = MailItem(HARMFUL, HARMFUL, 15000, None, "http://club.test/pay/a")
    brand = Brand(HARMFUL, "#0b6e4f", None)
    mail = replace(MAIL, kind=kind, brand=brand, greeting_name=HARMFUL, items=(item,), note=HARMFUL)
    rendered = MAILS.render(mail)
    page = BeautifulSoup(rendered.html, "html.parser")
    assert page.find("b") is None
    assert page.select_one(".player").get_text() == HARMFUL  # type: ignore[union-attr] # fails the test by itself
    assert page.get_text().count(HARMFUL) >= 6
    assert HARMFUL in page.find("a", class_="button-link")["aria-label"]  # type: ignore[index] # the same
    assert rendered.text.count(HARMFUL) >= 6


def test_styles_are_in_the_elements_and_the_brand_in_the_styles() -> None:
    html = MAILS.render(replace(MAIL, brand=replace(BRAND, color="#ffd400"))).html
    page = BeautifulSoup(html, "html.parser")
    for css_class in ("brand", "button-cell"):
        element = page.find(class_=css_class)
        assert element is not None
        assert "background-color: #ffd400" in str(element["style"])
    assert "color: #000000" in str(page.find(class_="button-link"))
    assert "var(" not in html
    assert "{%" not in html
    assert "prefers-color-scheme: dark" in html


def test_a_name_cannot_start_a_line_of_its_own_in_the_text() -> None:
    mail = for_players("Jaxon\n  Pay Now: http://evil.test/")
    assert "\n  Pay Now: http://evil.test/" not in MAILS.render(mail).text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Jaxon Rivera",), "River City FC: $300.00 due for Jaxon"),
        (("Jaxon Rivera", "Mia Rivera", "Jaxon Rivera"), "River City FC: $300.00 due for Jaxon and Mia"),
        (("Jaxon R", "Mia R", "Leo R"), "River City FC: $300.00 due for Jaxon, Mia and Leo"),
        (("Mary Ann R", "Mary Jo R"), "River City FC: $300.00 due for Mary Ann R and Mary Jo R"),
        (tuple(f"Maximilian{n} R" for n in range(5)), "River City FC: $300.00 due for 5 players"),
        (("X" * 80,), "River City FC: $300.00 due for your player"),
    ],
)
def test_subject(names: tuple[str, ...], expected: str) -> None:
    assert subject_of(for_players(*names)) == expected


def test_subject_of_a_link() -> None:
    mail = replace(for_players("Jaxon Rivera"), kind=EmailType.PAYMENT_LINK, total_cents=15000)
    assert subject_of(mail) == "River City FC: your payment link for Jaxon ($150.00)"


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.text(max_size=120), st.integers(1, 99_999_999))
def test_any_subject_is_one_short_line_with_the_amount(names: list[str], club: str, cents: int) -> None:
    mail = replace(for_players(*names), brand=replace(BRAND, club_name=club), total_cents=cents)
    for kind in (EmailType.OUTSTANDING_BALANCE, EmailType.PAYMENT_LINK):
        subject = subject_of(replace(mail, kind=kind))
        assert len(subject) <= SUBJECT_LIMIT
        assert f"{cents / 100:,.2f}" in subject
        assert len(subject.splitlines()) == 1


def test_a_note_has_an_end() -> None:
    with pytest.raises(InvalidInputError, match="1,000"):
        replace(MAIL, note="x" * (NOTE_LIMIT + 1))


def test_due_words() -> None:
    assert due_words(None, TODAY) == ""
    assert due_words(date(2026, 12, 10), TODAY) == "Due Dec 10, 2026"
    assert due_words(TODAY, TODAY) == "Due today"
    assert due_words(date(2026, 11, 1), TODAY) == "Overdue since Nov 1, 2026"


def test_the_familys_page() -> None:
    items = (
        BalanceItem(HARMFUL, "Monthly fee", 15000, date(2026, 11, 1), "http://club.test/pay/a"),
        BalanceItem("Mia", "Jersey", 6500, None, None, "Your bank payment is on its way."),
        BalanceItem(HARMFUL, "Tournament", 9500, None, "http://club.test/pay/b"),
    )
    paid = (PaidItem(date(2026, 10, 2), "Mia", HARMFUL, 15000, "Card"),)
    page = BeautifulSoup(
        PAGES.balance(BalancePage(BRAND, "usd", "The Rivera family", items, 24500, paid, TODAY)), "html.parser"
    )
    assert page.find("b") is None
    assert page.find("script") is None
    assert page.find(style=True) is None
    assert [heading.get_text() for heading in page.find_all("h2")] == ["To pay now", HARMFUL, "Mia"]
    assert [link["href"] for link in page.select("a.button")] == [
        "http://club.test/pay/a",
        "http://club.test/pay/b",
    ]
    text = page.get_text(" ", strip=True)
    for part in (
        "$245.00",
        "Overdue since Nov 1, 2026",
        "Your bank payment is on its way.",
        "Oct 2, 2026",
        "Card",
    ):
        assert part in text


def test_a_family_that_owes_nothing_is_thanked() -> None:
    html = PAGES.balance(BalancePage(BRAND, "usd", "The Rivera family", (), 0, (), TODAY))
    assert "owes nothing right now. Thank you!" in html


def test_closed_and_error_pages() -> None:
    closed = PAGES.closed(ClosedPage(BRAND, "Already <paid>", "It was paid.", "Nothing more to do."))
    assert "<h1>Already &lt;paid&gt;</h1>" in closed
    assert "mailto:treasurer@rivercity.test" in closed
    error = PAGES.error(ErrorPage(None, "That did not work", "Please try again.", "7f3a91c2"))
    assert "7f3a91c2" in error
    assert "theme-color" not in error
