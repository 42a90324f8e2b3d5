"""One mail as it arrived, and what a careful server would refuse it for.

The rules are RFC 5322's (header fields), RFC 5321's (lines) and RFC 2045's (declared encodings).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses, parsedate_to_datetime

NEEDED = ("Message-ID", "Date", "From", "To", "Subject")
ONCE = (*NEEDED, "Reply-To", "Cc")
LONGEST_LINE = 998

_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was accepted.

    Attributes:
        envelope_from: the address in MAIL FROM.
        envelope_to: the addresses in RCPT TO.
        subject: the decoded subject.
        html: the HTML part; empty if there is none.
        text: the plain part; empty if there is none.
        headers: all header fields, decoded, in order.
        raw: the bytes as received.
        received_at: when, in UTC.
    """

    envelope_from: str
    envelope_to: tuple[str, ...]
    subject: str
    html: str
    text: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    received_at: datetime

    def header(self, name: str) -> str:
        """The first header field of that name; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def parse(raw: bytes) -> EmailMessage:
    """The message in some bytes."""
    return message_from_bytes(raw, EmailMessage, policy=SMTP)


def read_mail(
    message: EmailMessage, raw: bytes, envelope_from: str, envelope_to: list[str], received_at: datetime
) -> Mail:
    """A mail out of a parsed message that `complaint` had nothing against."""
    return Mail(
        envelope_from=envelope_from,
        envelope_to=tuple(envelope_to),
        subject=str(message["Subject"]),
        html=_body(message, "html"),
        text=_body(message, "plain"),
        headers=tuple((name, str(value)) for name, value in message.items()),
        raw=raw,
        received_at=received_at,
    )


def complaint(message: EmailMessage, raw: bytes, envelope_to: list[str]) -> str | None:
    """The answer (`5xx …`) that refuses a mail, or None if it is well-formed."""
    for reason in _reasons(message, raw, envelope_to):
        return reason
    return None


def _reasons(message: EmailMessage, raw: bytes, envelope_to: list[str]) -> Iterator[str]:
    yield from _bytes_out_of_order(raw)
    for name in NEEDED:
        if not str(message[name] or "").strip():
            yield f"550 5.6.0 no {name}"
    for name in ONCE:
        if len(message.get_all(name, [])) > 1:
            yield f"550 5.6.0 more than one {name}"
    yield from _ill_formed(message)
    yield from _recipients(message, envelope_to)
    for part in message.walk():
        if not part.is_multipart() and _has_undeclared_8bit(part):
            yield "550 5.6.1 8-bit text without a declared encoding"


def _bytes_out_of_order(raw: bytes) -> Iterator[str]:
    head, _, body = raw.partition(b"\r\n\r\n")
    if re.search(rb"(?<!\r)\n", raw) or re.search(rb"\r(?!\n)", raw):
        yield "550 5.6.11 bare CR or LF"
    if any(len(line) > LONGEST_LINE for line in raw.split(b"\r\n")):
        yield "550 5.6.0 a line is longer than 998 octets"
    if not head.isascii():
        yield "550 5.6.7 a header field is not ASCII"
    if not body.strip():
        yield "550 5.6.0 the mail is empty"


def _ill_formed(message: EmailMessage) -> Iterator[str]:
    if not _MESSAGE_ID.fullmatch(str(message["Message-ID"] or "").strip()):
        yield "550 5.6.0 the Message-ID is not one"
    try:
        parsedate_to_datetime(str(message["Date"]))
    except ValueError:
        yield "550 5.6.0 the Date is not one"
    senders: tuple[Address, ...] = getattr(message["From"], "addresses", ())
    if len(senders) != 1 or not senders[0].domain:
        yield "550 5.6.0 From must be one address"
    for name, value in message.items():
        if defects := getattr(value, "defects", ()):
            yield f"550 5.6.0 {name} is malformed: {defects[0]}".splitlines()[0]
    if message.defects:
        yield f"550 5.6.0 the mail is malformed: {type(message.defects[0]).__name__}"


def _recipients(message: EmailMessage, envelope_to: list[str]) -> Iterator[str]:
    named = [str(value) for name in ("To", "Cc") for value in message.get_all(name, [])]
    addresses = {address.casefold() for _, address in getaddresses(named)}
    for address in envelope_to:
        if address.casefold() not in addresses:
            yield f"550 5.7.1 {address} is in neither To nor Cc"


def _has_undeclared_8bit(part: EmailMessage) -> bool:
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding in {"8bit", "binary"}:
        return not part.get_content_charset()
    payload = part.get_payload()
    return isinstance(payload, str) and not payload.isascii()


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content())
