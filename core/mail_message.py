"""A mail as the bytes that SMTP carries (RFC 5322, MIME).

Put together by hand: the standard library's `EmailMessage` takes longer over it than rendering and sending
take together. What it reads back as is tested against the standard library's parser.
"""

import binascii
import re
import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache

import idna

from core.errors import MailRefusedError
from core.rendering import RenderedMail, one_line

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
# No spaces, control characters or anything that means something in a header or an SMTP command.
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\x7f-\x9f()<>@,;:\\\"\[\]]{1,64}")
_LINE_LENGTH = 76
_FOLD = "\r\n "
_ENCODED_WORD_FRAME = len("=?utf-8?b??=")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name, possibly empty, and an address."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> "Mailbox":
        """Read `Club <billing@club.example>` or a bare address.

        Raises:
            MailRefusedError: where there is no address in it.
        """
        name, address = parseaddr(text)
        ascii_domain(address)
        return cls(name, address)


@lru_cache(maxsize=4096)
def _domain_for_dns(domain: str) -> str:
    return idna.encode(domain, uts46=True).decode()


def ascii_domain(address: str) -> str:
    """Return the address with its domain as DNS knows it (IDNA 2008); what is before the @ stays as it is.

    Raises:
        MailRefusedError: where it is not an address that a mail can be sent to.
    """
    local, _, domain = address.rpartition("@")
    try:
        if not _LOCAL_PART.fullmatch(local):
            raise MailRefusedError(f"“{one_line(address)}” is not an e-mail address.")
        return f"{local}@{_domain_for_dns(domain)}"
    except idna.IDNAError:
        raise MailRefusedError(f"“{one_line(address)}” is not an e-mail address.") from None


def build_message(
    rendered: RenderedMail,
    *,
    sender: Mailbox,
    to: Mailbox,
    reply_to: Mailbox | None,
    message_id: str,
    date: datetime,
) -> bytes:
    """Return the message: plain text and HTML as alternatives, every line within RFC 5322's limits.

    It is ASCII throughout, unless an address itself is not (then it needs a server with SMTPUTF8).

    Raises:
        MailRefusedError: where one of the addresses is none.
    """
    # `=_` can't occur in quoted-printable text, so the boundary can't either (RFC 2045, 6.7).
    boundary = f"=_{secrets.token_hex(12)}"
    headers = (
        _mailbox_header("From", sender),
        _mailbox_header("To", to),
        _mailbox_header("Reply-To", reply_to) if reply_to else "",
        _text_header("Subject", rendered.subject),
        f"Date: {format_datetime(date)}\r\n",
        f"Message-ID: {one_line(message_id)}\r\n",
        "Auto-Submitted: auto-generated\r\n",  # RFC 3834: no vacation answers to billing mail
        "MIME-Version: 1.0\r\n",
        f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n',
    )
    delimiter = f"\r\n--{boundary}"
    return b"".join(
        (
            "".join(headers).encode(),
            _part(delimiter, "plain", rendered.text),
            _part(delimiter, "html", rendered.html),
            f"{delimiter}--\r\n".encode(),
        )
    )


def _part(delimiter: str, subtype: str, text: str) -> bytes:
    head = (
        f"{delimiter}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return head.encode() + binascii.b2a_qp(lines.encode(), istext=True).replace(b"\n", b"\r\n")


def _text_header(name: str, text: str) -> str:
    shown = one_line(text)
    if not _is_plain(shown):
        shown = _encoded_words(shown, len(name) + 2)
    return f"{name}: {shown}\r\n"


def _mailbox_header(name: str, mailbox: Mailbox) -> str:
    address = ascii_domain(mailbox.address)
    shown = one_line(mailbox.name)
    if not shown:
        return f"{name}: {address}\r\n"
    if not _is_plain(shown):
        shown = _encoded_words(shown, len(name) + 2)
    elif not _ATOMS.fullmatch(shown):
        shown = '"' + shown.replace("\\", r"\\").replace('"', r"\"") + '"'
    is_long = len(name) + len(shown) + len(address) > _LINE_LENGTH - 5
    return f"{name}: {shown}{_FOLD if is_long else ' '}<{address}>\r\n"


def _is_plain(text: str) -> bool:
    """Whether one line of a header can hold the text; a reader would take `=?` for an encoded word."""
    return text.isascii() and "=?" not in text and len(text) < 500


def _encoded_words(text: str, used: int) -> str:
    """Return the text as RFC 2047's encoded words, one a line, no character split between two."""
    words, chunk = [], b""
    room = (_LINE_LENGTH - used - _ENCODED_WORD_FRAME) // 4 * 3
    for char in map(str.encode, text):
        if len(chunk) + len(char) > room:
            words.append(chunk)
            chunk, room = b"", (_LINE_LENGTH - 1 - _ENCODED_WORD_FRAME) // 4 * 3
        chunk += char
    words.append(chunk)
    return _FOLD.join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)
