"""A family's mail from its data to the server's door."""

import email
import email.policy
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage

import pytest

from core.errors import AddressRefusedError, MailRefusedError, SettingsError
from core.mail import Mailer
from core.models.statuses import EmailType
from core.rendering import Brand, FamilyMail, MailItem, MailRenderer, build_environment

RENDERER = MailRenderer(build_environment())
MAIL = FamilyMail(
    kind=EmailType.PAYMENT_LINK,
    brand=Brand("River City FC", "#0b6e4f", "treasurer@rivercity.test"),
    currency="usd",
    greeting_name="Dana",
    items=(MailItem("Jaxon Rivera", "Monthly fee, Dec 2026", 15000, None, "http://club.test/pay/a"),),
    total_cents=15000,
    balance_url="http://club.test/balance/c",
    today=date(2026, 12, 3),
)


class Letterbox:
    """A transport that keeps what it is handed."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, EmailMessage]] = []
        self.is_checked = self.is_closed = False

    def turn(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:
        self.sent.append((sender, recipient, email.message_from_bytes(message, policy=email.policy.default)))
        return "Taken"

    async def check(self) -> None:
        self.is_checked = True

    async def close(self) -> None:
        self.is_closed = True


async def test_a_mail_is_delivered() -> None:
    letterbox = Letterbox()
    mailer = Mailer(letterbox, RENDERER, "Billing <billing@rivercity.test>")
    message_id = mailer.new_message_id()
    await mailer.deliver(
        MAIL, to_address="dana@example.com", to_name="Dana Rivera", message_id=message_id, subject_prefix="[Test] "
    )
    ((sender, recipient, message),) = letterbox.sent
    assert (sender, recipient) == ("billing@rivercity.test", "dana@example.com")
    assert message["From"] == "Billing <billing@rivercity.test>"
    assert message["To"] == "Dana Rivera <dana@example.com>"
    assert message["Reply-To"] == "treasurer@rivercity.test"
    assert message["Subject"] == mailer.subject_of(MAIL, subject_prefix="[Test] ")
    assert message["Subject"] == "[Test] River City FC: your payment link for Jaxon ($150.00)"
    assert message["Message-ID"] == message_id
    assert datetime.now(UTC) - message["Date"].datetime < timedelta(minutes=1)
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        assert "http://club.test/pay/a" in part.get_content()


async def test_a_sender_without_a_name_goes_by_the_clubs() -> None:
    letterbox = Letterbox()
    mailer = Mailer(letterbox, RENDERER, "billing@rivercity.test")
    mail = replace(MAIL, brand=replace(MAIL.brand, reply_to=None))
    await mailer.deliver(mail, to_address="dana@example.com", to_name="", message_id="<a@rivercity.test>")
    message = letterbox.sent[0][2]
    assert message["From"] == "River City FC <billing@rivercity.test>"
    assert "Reply-To" not in message


async def test_an_address_that_is_none_is_the_addresss_fault() -> None:
    letterbox = Letterbox()
    mailer = Mailer(letterbox, RENDERER, "billing@rivercity.test")
    with pytest.raises(AddressRefusedError, match="dana at home"):
        await mailer.deliver(MAIL, to_address="dana at home", to_name="", message_id="<a@rivercity.test>")
    assert letterbox.sent == []


def test_message_ids_are_the_senders_and_never_the_same() -> None:
    mailer = Mailer(Letterbox(), RENDERER, "Billing <billing@rivercity.test>")
    ids = {mailer.new_message_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(one.startswith("<") and one.endswith("@rivercity.test>") for one in ids)


async def test_mail_that_is_off_says_so() -> None:
    for mailer in (Mailer(None, RENDERER, "billing@rivercity.test"), Mailer(Letterbox(), RENDERER, None)):
        assert not mailer.is_on
        with pytest.raises(MailRefusedError, match="set SMTP_URL and MAIL_FROM"):
            await mailer.deliver(MAIL, to_address="dana@example.com", to_name="Dana", message_id="<a@b.test>")
        with pytest.raises(MailRefusedError, match="set SMTP_URL and MAIL_FROM"):
            await mailer.check()
        await mailer.close()


async def test_checking_and_closing_reach_the_transport() -> None:
    letterbox = Letterbox()
    mailer = Mailer(letterbox, RENDERER, "billing@rivercity.test")
    assert mailer.is_on
    await mailer.check()
    await mailer.close()
    assert letterbox.is_checked
    assert letterbox.is_closed


def test_a_sender_without_an_address_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^MAIL_FROM: should look like"):
        Mailer(Letterbox(), RENDERER, "River City FC")
