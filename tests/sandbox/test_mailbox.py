"""The mailbox takes well-formed mail, refuses the rest, and has bad days on request."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiohttp
import aiosmtplib
import pytest

from sandbox.mailbox import Mailbox, MailFault
from sandbox.server import serve

PARENT, PASSWORD = "parent@example.com", "made-up"


def a_mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    given = {
        "From": "Club <billing@example.org>",
        "To": PARENT,
        "Subject": "What Zoë owes",
        "Date": format_datetime(datetime(2026, 12, 1, 9, 0, tzinfo=UTC)),
        "Message-ID": "<1@example.org>",
        **headers,
    }
    for name, value in given.items():
        if value:
            message[name] = value
    message.set_content("Zoë owes $150.00")
    message.add_alternative(
        '<html><head></head><body><a href="https://example.org/pay">Pay</a></body></html>', "html"
    )
    return message


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(user="club", password=PASSWORD) as mailbox:
        yield mailbox


async def send(
    mailbox: Mailbox, message: EmailMessage | bytes, *, to: str = PARENT, password: str = PASSWORD
) -> str:
    raw = message if isinstance(message, bytes) else message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, timeout=5) as smtp:
        if password:
            await smtp.login("club", password)
        await smtp.mail("billing@example.org")
        await smtp.rcpt(to)
        _, answer = await smtp.data(raw)
        return answer


async def refusal(mailbox: Mailbox, message: EmailMessage | bytes, *, to: str = PARENT) -> str:
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await send(mailbox, message, to=to)
    assert mailbox.messages == []
    return f"{caught.value.code} {caught.value.message}"


async def test_a_mail_is_kept_with_all_its_parts(mailbox: Mailbox) -> None:
    await send(mailbox, a_mail())
    [mail] = await mailbox.wait_for_mail()
    assert (mail.envelope_from, mail.envelope_to) == ("billing@example.org", (PARENT,))
    assert (mail.subject, mail.text) == ("What Zoë owes", "Zoë owes $150.00\r\n")
    assert "https://example.org/pay" in mail.html
    assert mail.header("message-id") == "<1@example.org>"


async def test_only_those_who_log_in_may_send(mailbox: Mailbox) -> None:
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        await send(mailbox, a_mail(), password="wrong")
    with pytest.raises(aiosmtplib.SMTPSenderRefused):
        await send(mailbox, a_mail(), password="")


@pytest.mark.parametrize("name", ["Message-ID", "Date", "From", "To", "Subject"])
async def test_a_needed_header_is_missing(mailbox: Mailbox, name: str) -> None:
    assert f"no {name}" in await refusal(mailbox, a_mail(**{name: ""}))


async def test_ill_formed_mail_is_refused(mailbox: Mailbox) -> None:
    good = a_mail().as_bytes(policy=a_mail().policy.clone(linesep="\r\n"))
    twice = good.replace(b"To: ", b"Subject: again\r\nTo: ", 1)
    assert "more than one Subject" in await refusal(mailbox, twice)
    assert "From must be one" in await refusal(mailbox, a_mail(From="a@example.org, b@example.org"))
    assert "Message-ID" in await refusal(mailbox, a_mail(**{"Message-ID": "<not an id>"}))
    assert "neither To nor Cc" in await refusal(mailbox, a_mail(), to="other@example.com")
    declared = b"Content-Transfer-Encoding: 8bit"
    assert declared in good
    assert "declared encoding" in await refusal(mailbox, good.replace(declared, b"X-Removed: yes"))
    assert "not ASCII" in await refusal(mailbox, b"X-Club: Zo\xc3\xab\r\n" + good)
    assert "longer than 998" in await refusal(mailbox, b"X-Long: " + b"x" * 991 + b"\r\n" + good)


async def test_bad_days(mailbox: Mailbox) -> None:
    mailbox.faults = [MailFault("tempfail"), MailFault("permfail", recipient=PARENT), MailFault("drop_before")]
    assert (await refusal(mailbox, a_mail())).startswith("550 5.1.1")
    assert (await refusal(mailbox, a_mail())).startswith("451")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(mailbox, a_mail())
    assert mailbox.messages == []
    mailbox.faults = [MailFault("drop_after"), MailFault("delay", seconds=0.01)]
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(mailbox, a_mail())
    await send(mailbox, a_mail())
    assert len(mailbox.messages) == 2


async def test_the_page_shows_mail_and_keeps_its_html_in_a_cage(mailbox: Mailbox) -> None:
    await send(mailbox, a_mail(Subject="<script>alert(1)</script>"))
    async with serve(mailbox.app) as address, aiohttp.ClientSession(address) as session:
        async with session.get("/") as response:
            page = await response.text()
        assert "&lt;script&gt;alert(1)" in page
        async with session.get("/mail/1") as response:
            assert 'sandbox="allow-popups' in await response.text()
        async with session.get("/mail/1/html") as response:
            assert '<base target="_blank">' in await response.text()
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        async with session.get("/mail/2") as response:
            assert response.status == 404
