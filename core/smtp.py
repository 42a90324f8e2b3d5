"""SMTP, by connections that are kept and used again.

What matters here is to know, when something breaks, whether the server may have taken the mail. It may have
from the moment the message's final dot was written; until then it can't have (RFC 5321, 4.1.1.4). So the
envelope is driven command by command, and the dot is written on its own.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote_to_bytes, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from core.errors import (
    AddressRefusedError,
    MailDeferredError,
    MailRefusedError,
    MailUncertainError,
    SettingsError,
)
from core.mail_message import ascii_domain

# Servers hang up on idle clients after half a minute to five minutes: be quicker than the hastiest.
_IDLE_SECONDS = 25.0
# Servers scan a mail before they answer for it; RFC 5321, 4.5.3.2.6 asks for much more patience there.
_PATIENCE_AFTER_DATA = 6
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)
# What a server says of a recipient's address or mailbox: RFC 3463's 5.1.x and 5.2.x without those about the sender
# (5.1.7, 5.1.8) or, from servers without such codes, RFC 5321's replies to RCPT.
_ENHANCED = re.compile(r"5\.\d{1,3}\.\d{1,3}\b")
_ABOUT_ADDRESS = re.compile(r"5\.1\.(?:[1236]|10)$|5\.2\.\d{1,3}$")
_RECIPIENT_REPLIES = frozenset({550, 551, 552, 553})
# Servers without enhanced codes refuse strangers' mail with the same reply; that is our configuration's fault.
_OUR_FAULT = re.compile(r"relay|authenti|log ?in", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    use_tls: bool
    username: bytes | None
    password: bytes | None
    tls_context: ssl.SSLContext


class SmtpMailer:
    """Hands messages to one mail server over a few connections, opened when needed and then kept.

    Made by `from_url`. Any number of tasks of one event loop may use it at once.
    """

    def __init__(self, server: _Server, *, connections: int, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._slots = asyncio.Semaphore(connections)
        self._turns = asyncio.Semaphore(connections)
        self._idle: list[tuple[SMTP, float]] = []
        self._hello_name: str | None = None
        self._is_closed = False

    @classmethod
    def from_url(cls, url: str, *, connections: int = 4, timeout: float = 20) -> "SmtpMailer":
        """Read an address like `smtp://user:password@host:587` (STARTTLS when offered) or `smtps://…`.

        User and password are percent-decoded. The port is 587, or 465 for `smtps`, where none is given.
        `timeout` is in seconds and holds for each answer; six times as long for the one to a whole message.

        Raises:
            SettingsError: where it is something else.
        """
        return cls(_read_url(url), connections=connections, timeout=timeout)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait until a connection is free for a message, or may be opened for it."""
        return self._turns

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:
        """Hand one message over and return the server's answer.

        Raises:
            MailDeferredError: refused for now, or out of reach; certainly not sent.
            MailRefusedError: refused for good, in the server's words; certainly not sent. An `AddressRefusedError`
                where it is the recipient that the server will not have.
            MailUncertainError: the connection broke, or no answer came, after all of it was handed over.
        """
        sender, recipient = ascii_domain(sender), ascii_domain(recipient)
        with _failures_as_ours():
            async with self._slots:
                client = await self._open_envelope(sender, recipient)
                try:
                    answer = await self._hand_over(client, message)
                finally:
                    self._keep(client)
        if 400 <= answer.code < 600:
            raise _refusal(answer.code, answer.message)
        if not 200 <= answer.code < 300:
            raise MailUncertainError(f"The mail server's answer made no sense: {answer.code} {answer.message}")
        return answer.message

    async def check(self) -> None:
        """Connect, say hello, start TLS where it is offered, and log in.

        Raises:
            MailDeferredError: the server is busy or out of reach.
            MailRefusedError: it does not let us in; its words are in the message.
        """
        with _failures_as_ours():
            async with self._slots:
                client = await self._connect()
                try:
                    await client.noop()
                finally:
                    await _say_goodbye(client)

    async def close(self) -> None:
        """Say goodbye on idle connections; those in use are closed as soon as they are done."""
        self._is_closed = True
        while self._idle:
            client, _ = self._idle.pop()
            await _say_goodbye(client)

    async def _open_envelope(self, sender: str, recipient: str) -> SMTP:
        """Return a connection that waits for the message's text."""
        client = self._take_idle()
        if client is not None:
            try:
                await self._envelope(client, sender, recipient)
            except (OSError, SMTPResponseException):
                if client.is_connected:  # the server did answer: no
                    self._keep(client)
                    raise
                # It had gone stale. No text was sent, so beginning again can't send twice.
            else:
                return client
        client = await self._connect()
        try:
            await self._envelope(client, sender, recipient)
        except SMTPResponseException:
            self._keep(client)
            raise
        return client

    async def _envelope(self, client: SMTP, sender: str, recipient: str) -> None:
        try:
            options, encoding = await _address_options(client, sender, recipient)
            await client.mail(sender, options=options, encoding=encoding)
            await client.rcpt(recipient, encoding=encoding)
            await _announce_text(client)
        except SMTPResponseException:
            if client.is_connected:
                with suppress(OSError, SMTPResponseException):
                    await client.rset()
            raise
        except BaseException:
            client.close()
            raise

    async def _hand_over(self, client: SMTP, message: bytes) -> SMTPResponse:
        protocol = client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        is_handed_over = False
        try:
            protocol.write(_LINE_START_DOT.sub(b"..", message))
            await self._flush(client)
            protocol.write(b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")
            is_handed_over = True
            return await protocol.read_response(timeout=self._timeout * _PATIENCE_AFTER_DATA)
        except (OSError, SMTPException) as error:
            client.close()
            if is_handed_over:
                raise MailUncertainError(f"No answer after the mail was handed over ({error}).") from error
            raise
        except BaseException:
            client.close()
            raise

    async def _flush(self, client: SMTP) -> None:
        """Wait until the text has left this process, so that a lost connection is noticed before the dot.

        Under TLS some of it may still be with the transport beneath; a loss is then called uncertain, which
        errs on the side of not sending twice.
        """
        async with asyncio.timeout(self._timeout):
            await asyncio.sleep(0)
            while (transport := cast("asyncio.WriteTransport | None", client.transport)) is not None:
                if not transport.get_write_buffer_size():
                    break
                await asyncio.sleep(0.005)

    async def _connect(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            local_hostname=self._hello_name,
            timeout=self._timeout,
            use_tls=server.use_tls,
            tls_context=server.tls_context,
        )
        await client.connect()
        self._hello_name = client.local_hostname  # finding it out may ask DNS: once is enough
        return client

    def _take_idle(self) -> SMTP | None:
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and time.monotonic() - since < _IDLE_SECONDS:
                return client
            client.close()
        return None

    def _keep(self, client: SMTP) -> None:
        if self._is_closed:
            client.close()
        elif client.is_connected:
            self._idle.append((client, time.monotonic()))


def _read_url(url: str) -> _Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"smtp", "smtps"}:
        raise SettingsError(
            "SMTP_URL: should look like smtp://user:password@host:587 or smtps://user:password@host"
        )
    use_tls = parts.scheme == "smtps"
    context = ssl.create_default_context()
    if host in {"localhost", "127.0.0.1", "::1"}:
        # What stays on this machine needs no proof of who is there, and local relays' certificates are self-made.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return _Server(
        host=host,
        port=port or (465 if use_tls else 587),
        use_tls=use_tls,
        username=None if parts.username is None else unquote_to_bytes(parts.username),
        password=None if parts.username is None else unquote_to_bytes(parts.password or ""),
        tls_context=context,
    )


async def _say_goodbye(client: SMTP) -> None:
    with suppress(OSError, SMTPException):
        await client.quit(timeout=2)
    client.close()


async def _announce_text(client: SMTP) -> None:
    answer = await client.execute_command(b"DATA")
    if answer.code != 354:
        raise SMTPResponseException(answer.code, answer.message)


async def _address_options(client: SMTP, sender: str, recipient: str) -> tuple[list[str], str]:
    """Return MAIL's options and the addresses' encoding (RFC 6531 for those that are not ASCII)."""
    if sender.isascii() and recipient.isascii():
        return [], "ascii"
    if client.is_ehlo_or_helo_needed:
        await client.ehlo()
    if not client.supports_extension("smtputf8"):
        odd = sender if recipient.isascii() else recipient
        raise MailRefusedError(f"The mail server can't send to or from “{odd}”: it takes plain letters only.")
    return ["SMTPUTF8"], "utf-8"


@contextmanager
def _failures_as_ours() -> Iterator[None]:
    try:
        yield
    except SMTPResponseException as error:
        is_recipient = isinstance(error, SMTPRecipientRefused) and _is_about_address(error.code, error.message)
        raise _refusal(error.code, error.message, is_recipient=is_recipient) from error
    except OSError as error:  # lost connections and time-outs are among these
        raise MailDeferredError(f"The mail server is out of reach: {error}") from error
    except SMTPException as error:
        raise MailRefusedError(f"The mail server can't do what we need: {error}") from error


def _is_about_address(code: int, words: str) -> bool:
    """Whether a refusal of RCPT is the address's own fault, not our configuration's."""
    enhanced = _ENHANCED.search(words)
    if enhanced:
        return _ABOUT_ADDRESS.match(enhanced[0]) is not None
    return code in _RECIPIENT_REPLIES and not _OUR_FAULT.search(words)


def _refusal(code: int, words: str, *, is_recipient: bool = False) -> MailRefusedError | MailDeferredError:
    answer = f"The mail server said {code} {' '.join(words.split())}"
    if not 500 <= code < 600:
        return MailDeferredError(answer)
    return AddressRefusedError(answer) if is_recipient else MailRefusedError(answer)
