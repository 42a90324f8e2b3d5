"""The one place that renders and sends mail. What was sent is written down by `core.outbox` around it."""

import secrets
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from core.errors import AddressRefusedError, MailRefusedError, SettingsError
from core.mail_message import Mailbox, ascii_domain, build_message
from core.rendering import FamilyMail, MailRenderer, subject_of


class Transport(Protocol):
    """What carries a message; `core.smtp.SmtpMailer` or `core.gmail.GmailMailer` outside of tests."""

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Wait until a message could be handed over at once; held around `send`."""

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:
        """Hand a message over; see `SmtpMailer.send`."""

    async def check(self) -> None:
        """See whether messages could be sent now."""

    async def close(self) -> None:
        """Let go of what is held open."""


def read_sender(mail_from: str) -> Mailbox:
    """Return the sender in `MAIL_FROM`, with or without a name.

    Raises:
        SettingsError: where there is no address in it.
    """
    try:
        return Mailbox.parse(mail_from)
    except MailRefusedError:
        raise SettingsError('MAIL_FROM: should look like "Club <billing@club.example>"') from None


class Mailer:
    """Renders a family's mail and hands it over. `sender` is `MAIL_FROM`, with or without a name.

    Raises:
        SettingsError: where the sender has no address in it.
    """

    def __init__(self, transport: Transport | None, renderer: MailRenderer, sender: str | None) -> None:
        self._transport = transport
        self._renderer = renderer
        self._sender = read_sender(sender) if sender else None

    @property
    def is_on(self) -> bool:
        """Whether there is a server and a sender, so that mail can go out."""
        return self._transport is not None and self._sender is not None

    def new_message_id(self) -> str:
        """Return a `Message-ID` that nobody else uses, to be written down before the mail goes out."""
        domain = "sideline.invalid" if self._sender is None else ascii_domain(self._sender.address)
        return f"<{secrets.token_hex(16)}@{domain.rpartition('@')[2]}>"

    def subject_of(self, mail: FamilyMail, *, subject_prefix: str = "") -> str:
        """Return the subject that `deliver` would send."""
        return subject_prefix + subject_of(mail)

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Wait for a turn, to be held while a mail is claimed and delivered.

        Whoever claims a mail first and waits then leaves a claim behind when the process dies, of which nobody can
        say whether the mail went out.
        """
        return nullcontext() if self._transport is None else self._transport.turn()

    async def deliver(
        self, mail: FamilyMail, *, to_address: str, to_name: str, message_id: str, subject_prefix: str = ""
    ) -> None:
        """Send a mail to one person. Without a name of its own, the sender goes by the club's.

        Raises:
            MailDeferredError: not sent; worth another try.
            MailRefusedError: not sent, and won't be: refused by the server, no address, or mail is off. An
                `AddressRefusedError` where nothing can be sent to this address.
            MailUncertainError: it may have been sent.
        """
        if self._transport is None or self._sender is None:
            raise MailRefusedError("mail is off: set SMTP_URL and MAIL_FROM")
        try:
            ascii_domain(to_address)
        except MailRefusedError as error:
            raise AddressRefusedError(str(error)) from None
        rendered = self._renderer.render(mail)
        message = build_message(
            replace(rendered, subject=subject_prefix + rendered.subject),
            sender=Mailbox(self._sender.name or mail.brand.club_name, self._sender.address),
            to=Mailbox(to_name, to_address),
            reply_to=Mailbox.parse(mail.brand.reply_to) if mail.brand.reply_to else None,
            message_id=message_id,
            date=datetime.now(UTC),
        )
        await self._transport.send(message, sender=self._sender.address, recipient=to_address)

    async def check(self) -> None:
        """See whether mail could be sent now.

        Raises:
            MailDeferredError: the server is busy or out of reach.
            MailRefusedError: it does not let us in, or mail is off.
        """
        if self._transport is None or self._sender is None:
            raise MailRefusedError("mail is off: set SMTP_URL and MAIL_FROM")
        await self._transport.check()

    async def close(self) -> None:
        """Close the connections to the mail server."""
        if self._transport is not None:
            await self._transport.close()
