"""The bytes that go out, read back by the standard library's parser."""

import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MailRefusedError
from core.mail_message import Mailbox, ascii_domain, build_message
from core.rendering import RenderedMail, one_line

NOW = datetime(2026, 12, 3, 15, 4, 5, tzinfo=UTC)
CLUB = Mailbox("River City FC", "billing@rivercity.test")
DANA = Mailbox("Dana Rivera", "dana@example.com")
MAIL = RenderedMail("Hello", "<p>Hello</p>", "Hello")
# What can be in a database: any text but for lone surrogates.
texts = st.text(st.characters(codec="utf-8"), max_size=300)


def build(rendered: RenderedMail = MAIL, *, sender: Mailbox = CLUB, to: Mailbox = DANA) -> bytes:
    return build_message(
        rendered, sender=sender, to=to, reply_to=CLUB, message_id="<abc@rivercity.test>", date=NOW
    )


def parse(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


def name_in(raw: bytes, header: str) -> str:
    """Read a name as RFC 2047 says; Python 3.11's `display_name` puts a space between encoded words."""
    (pair,) = getaddresses([email.message_from_bytes(raw, policy=email.policy.compat32)[header]])
    return str(make_header(decode_header(pair[0])))


def as_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=60, deadline=None)
@given(subject=texts, html=texts, text=texts, name=texts)
def test_anything_arrives_as_it_was_and_within_the_limits(subject: str, html: str, text: str, name: str) -> None:
    raw = build(
        RenderedMail(subject, html, text), sender=Mailbox(name, CLUB.address), to=Mailbox(name, DANA.address)
    )
    message = parse(raw)
    assert message.defects == []
    assert message["Subject"] == one_line(subject)
    assert as_lines(body(message, "plain")) == as_lines(text)
    assert as_lines(body(message, "html")) == as_lines(html)
    for header, mailbox in (("From", CLUB), ("To", DANA)):
        (address,) = message[header].addresses
        assert address.addr_spec == mailbox.address
        assert name_in(raw, header) == one_line(name)
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(len(line) <= 76 for line in head if b"=?" in line)


def test_headers() -> None:
    message = parse(build())
    assert message.keys() == [
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ]
    assert message["From"] == "River City FC <billing@rivercity.test>"
    assert message["Date"].datetime == NOW
    assert message["Message-ID"] == "<abc@rivercity.test>"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\x0b", "\x85", "\N{LINE SEPARATOR}"])
def test_no_name_or_subject_adds_a_header(line_break: str) -> None:
    evil = f"Dana{line_break}Bcc: everybody@example.org"
    raw = build(RenderedMail(evil, "", ""), sender=Mailbox(evil, CLUB.address), to=Mailbox(evil, DANA.address))
    assert "Bcc" not in parse(raw)
    assert parse(raw)["Subject"] == "Dana Bcc: everybody@example.org"


@pytest.mark.parametrize(
    "name",
    ['Dana "DJ" Rivera', "Rivera, Dana", "Dana \\ Rivera", "Zoë Müller", "=?utf-8?q?Bob?=", "a@b.test", "😀" * 40],
)
def test_names_that_need_care(name: str) -> None:
    raw = build(to=Mailbox(name, DANA.address))
    (address,) = parse(raw)["To"].addresses
    assert name_in(raw, "To") == name
    assert address.addr_spec == DANA.address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dana",
        "@example.com",
        "dana@",
        "da na@example.com",
        "dana@exa mple.com",
        "dana@example.com\r\nBcc: x@example.org",
        "<dana@example.com>",
        'x"y@example.com',
        "a,b@example.com",
        "dana@-example-.com",
        "dana@example..com",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MailRefusedError, match="not an e-mail address"):
        build(to=Mailbox("Dana", address))


def test_domains_are_written_as_dns_knows_them() -> None:
    assert ascii_domain("dana@bücher.example") == "dana@xn--bcher-kva.example"
    assert ascii_domain("dana@straße.example") == "dana@xn--strae-oqa.example"
    assert ascii_domain("zoë@example.com") == "zoë@example.com"


def test_an_address_of_other_letters_is_carried_as_it_is() -> None:
    raw = build(to=Mailbox("Zoë", "zoë@bücher.example"))
    assert "<zoë@xn--bcher-kva.example>".encode() in raw


def test_reading_the_senders_setting() -> None:
    assert Mailbox.parse("River City FC <billing@rivercity.test>") == CLUB
    assert Mailbox.parse("billing@rivercity.test") == Mailbox("", "billing@rivercity.test")
    with pytest.raises(MailRefusedError):
        Mailbox.parse("River City FC")
