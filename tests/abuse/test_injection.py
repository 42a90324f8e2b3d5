"""Names and notes that try to be more: a header, a link, a tag, a formula. They are shown, and that is all."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from core.balances import fetch_owed
from core.club import club_by_id
from core.errors import MailRefusedError
from core.exports import BYTE_ORDER_MARK, Export, Span, write_export
from core.models import Order, Parent, Player, Product, Team, Tenant
from core.models.statuses import EmailType
from sandbox.slack.blockkit import texts_of
from tests.abuse.conftest import Product as Whole
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, HURTFUL, ask, with_every_hurtful
from tests.bot.conftest import ADMIN, GENERAL, TEAM

# PostgreSQL keeps no NUL, and what is empty is no name.
NAMES = st.one_of(st.sampled_from(HURTFUL), CLEAN_TEXTS).map(lambda text: text.replace("\0", "")[:400] or "x")
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
# Written by us into messages: links to our own pages, people, dates.
OWN_MARKUP = re.compile(r"<(?:https://club\.test/[^|>]*(?:\|[^>]*)?|@U[A-Z0-9]+|mailto:[^|>]*\|[^>]*)>")


async def rename_everybody(product: Whole, name: str) -> None:
    async with product.services.database.transaction() as conn:
        await conn.execute(update(Parent).values(first_name=name, last_name=name))
        await conn.execute(update(Player).values(first_name=name, last_name=name))
        await conn.execute(update(Team).values(name=name))
        await conn.execute(update(Product).values(name=name))
        await conn.execute(update(Tenant).values(name=name))
        await conn.execute(update(Order).values(description=name))


def parts_of(html: str) -> set[tuple[str, tuple[str, ...]]]:
    """Return the kinds of tags, each with the names of its attributes."""
    return {(tag.name, tuple(sorted(tag.attrs))) for tag in BeautifulSoup(html, "html.parser").find_all()}


def hrefs_of(html: str) -> Iterator[str]:
    for tag in BeautifulSoup(html, "html.parser").find_all(href=True):
        yield str(tag["href"])


@FUZZ
@with_every_hurtful("name")
@given(name=NAMES)
async def test_pages_show_names_as_text(product: Whole, name: str) -> None:
    links, books = product.services.family_links, product.books
    addresses = (
        links.balance_url(books.tenant_id, books.parent_id),
        links.statement_url(books.tenant_id, books.parent_id),
    )
    await rename_everybody(product, "Jo")
    usual_pages = [await ask(product.client, "GET", address) for address in addresses]
    await rename_everybody(product, name)
    for address, usual in zip(addresses, usual_pages, strict=True):
        answer = await ask(product.client, "GET", address)
        assert answer.status_code == 200
        assert parts_of(answer.text) <= parts_of(usual.text)
        assert sorted(hrefs_of(answer.text)) == sorted(hrefs_of(usual.text))


async def test_a_statement_as_pdf_is_made_of_any_name(product: Whole) -> None:
    links, books = product.services.family_links, product.books
    address = f"{links.statement_url(books.tenant_id, books.parent_id)}.pdf"
    for name in HURTFUL:
        await rename_everybody(product, name.replace("\0", "")[:400] or "x")
        answer = await ask(product.client, "GET", address)
        assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-"), name


@FUZZ
@with_every_hurtful("name", note=None, kind=EmailType.OUTSTANDING_BALANCE)
@given(name=NAMES, note=NAMES, kind=st.sampled_from([EmailType.OUTSTANDING_BALANCE, EmailType.PAYMENT_LINK]))
async def test_mails_have_our_headers_and_tags_alone(
    product: Whole, name: str, note: str, kind: EmailType
) -> None:
    usual = await mailed(product, "Jo", "Thanks", kind)
    sent = await mailed(product, name, note, kind)
    assert list(sent.keys()) == list(usual.keys()) == HEADERS
    assert sent["To"].addresses[0].addr_spec == "pat@example.com"
    assert len(sent["To"].addresses) == len(sent["From"].addresses) == 1
    assert [part.get_content_type() for part in sent.walk()] == [part.get_content_type() for part in usual.walk()]
    html, usual_html = body_of(sent), body_of(usual)
    assert parts_of(html) <= parts_of(usual_html)
    assert set(hrefs_of(html)) == set(hrefs_of(usual_html))


async def mailed(product: Whole, name: str, note: str, kind: EmailType) -> EmailMessage:
    """Send the family's mail over SMTP, and return what arrived."""
    services, books = product.services, product.books
    await rename_everybody(product, name)
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        items = await fetch_owed(conn, books.tenant_id, Order.id == books.order_id)
    mail = services.mails.compose(club, kind, items, note)
    before = len(product.mailbox.messages)
    await services.mailer.deliver(mail, to_address="pat@example.com", to_name=name, message_id="<1@club.test>")
    (arrived,) = product.mailbox.messages[before:]
    assert arrived.envelope_to == ("pat@example.com",)
    return message_from_bytes(arrived.raw, EmailMessage, policy=policy.default)


def body_of(message: EmailMessage) -> str:
    part: Any = message.get_body(("html",))
    return str(part.get_content())


@pytest.mark.parametrize(
    "address",
    [
        "pat@example.com\r\nBcc: all@example.org",
        "pat@example.com, all@example.org",
        "pat@example.com>\r\nRCPT TO:<all@example.org",
        '"pat\r\n"@example.com',
        "pat@example.com\0",
        "<pat@example.com>",
        "pat@exa mple.com",
        "@example.com",
        f"pat@{'a' * 70}.test",
    ],
)
async def test_an_address_that_is_more_than_one_is_refused(product: Whole, address: str) -> None:
    services, books = product.services, product.books
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        items = await fetch_owed(conn, books.tenant_id, Order.id == books.order_id)
    mail = services.mails.compose(club, EmailType.PAYMENT_LINK, items)
    with pytest.raises(MailRefusedError):
        await services.mailer.deliver(mail, to_address=address, to_name="Pat", message_id="<1@club.test>")
    assert product.mailbox.messages == []


@FUZZ
@with_every_hurtful("name", command="/player")
@given(name=NAMES, command=st.sampled_from(["/player", "/resend", "/dues"]))
async def test_messages_mention_nobody_and_link_nowhere_else(product: Whole, name: str, command: str) -> None:
    await rename_everybody(product, name)
    form = {"command": command, "text": name, "team_id": TEAM, "user_id": ADMIN, "channel_id": GENERAL}
    body = urlencode(form | {"trigger_id": "1.2.3"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", **product.slack.sign(body)}
    answer = (await ask(product.client, "POST", "/slack/events", content=body, headers=headers)).json()
    shown = [text["text"] for text in texts_of(answer.get("blocks", [])) if text["type"] == "mrkdwn"]
    assert answer["text"]
    for text in [*shown, answer["text"]]:
        assert "<" not in OWN_MARKUP.sub("", text), text
        assert "*bold*" not in text
        assert "`code`" not in text


@FUZZ
@with_every_hurtful("name", kind=Export.ORDERS)
@given(name=NAMES, kind=st.sampled_from(Export))
async def test_exports_hold_no_formula(product: Whole, name: str, kind: Export) -> None:
    await rename_everybody(product, name)
    file = io.StringIO(newline="")
    async with product.services.database.transaction() as conn:
        club = await club_by_id(conn, product.books.tenant_id)
        await write_export(conn, club, kind, file, span=Span(), today=date(2026, 12, 15))
    rows = list(csv.reader(io.StringIO(file.getvalue().removeprefix(BYTE_ORDER_MARK), newline="")))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not re.match(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", cell), cell


@FUZZ
@given(given_id=st.binary(max_size=200))
async def test_a_request_id_of_strangers_is_a_plain_word_or_ours(product: Whole, given_id: bytes) -> None:
    clean = bytes(byte for byte in given_id if byte >= 0x20 and byte != 0x7F).strip()
    for header in (clean, b"made-up-12345678", b"a" * 5000, b'x"} {"event": "made up'):
        answer = await ask(product.client, "GET", "/healthz", headers={b"X-Request-ID": header})
        assert re.fullmatch(r"[A-Za-z0-9._:-]{8,128}", answer.headers["x-request-id"])
