"""The SMTP side of the mailbox: takes well-formed mail, refuses the rest, and has bad days on request.

Follows RFC 5321 (SMTP) and RFC 4954 (AUTH).
"""

import asyncio
import contextlib
import hmac
import logging
import ssl
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from starlette.types import ASGIApp

from sandbox.mailbox.mail import Mail, complaint, parse, read_mail
from sandbox.mailbox.page import mailbox_page

HOSTNAME = "mailbox.test"
LARGEST = 10 * 1024 * 1024


@dataclass(slots=True)
class MailFault:
    """One fault, for the next `times` mails (or recipients).

    `tempfail` answers 451 and `permfail` 550: to `recipient` if one is given, else after the mail's data.
    `drop_before` cuts the connection without keeping the mail, `drop_after` once it is kept but before the answer.
    `delay` waits `seconds` before the answer.
    """

    kind: Literal["tempfail", "permfail", "drop_before", "drop_after", "delay"]
    times: int = 1
    recipient: str | None = None
    seconds: float = 0.2
    words: str = ""

    @property
    def answer(self) -> str:
        """The line that the server answers with."""
        if self.kind == "tempfail":
            return f"451 4.3.0 {self.words or 'try again later'}"
        return f"550 5.1.1 {self.words or 'no such mailbox here'}"


class _Connection(SMTP):
    """A connection that can be cut."""

    def cut(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()


class Mailbox:
    """An SMTP server on a loopback port that keeps what it accepts in `messages`.

    Use it as an async context manager, or call `start` and `stop`.

    Args:
        user: the name that senders must log in with; None lets anybody send.
        password: that user's password.
        tls: a server's TLS context; offers STARTTLS.
        clock: the UTC time that mails are stamped with.
    """

    def __init__(
        self,
        *,
        user: str | None = None,
        password: str = "",
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.messages: list[Mail] = []
        self.refused: list[str] = []
        self.faults: list[MailFault] = []
        self.connections = 0
        self.port = 0
        self.base_url = ""
        self.app: ASGIApp = mailbox_page(self.messages)
        self._user, self._password, self._tls, self._clock = user, password, tls, clock
        self._server: asyncio.Server | None = None
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._arrived = asyncio.Event()

    @property
    def smtp_url(self) -> str:
        """The address for `SMTP_URL`, credentials included."""
        login = f"{self._user}:{self._password}@" if self._user else ""
        return f"smtp://{login}127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecated attribute
        self._server = await asyncio.get_running_loop().create_server(self._connect, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut what is still connected."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._open):
                connection.cut()
            await self._server.wait_closed()
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def wait_for_mail(self, count: int = 1, within: float = 5.0) -> list[Mail]:
        """All mails, once there are `count` of them, waiting at most `within` seconds.

        Raises:
            TimeoutError: fewer came.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while len(self.messages) < count:
                    await self._arrived.wait()
        if len(self.messages) < count:
            raise TimeoutError(f"{len(self.messages)} of {count} mails came; refused: {self.refused}")
        return self.messages

    def _connect(self) -> _Connection:
        connection = _Connection(
            self,
            hostname=HOSTNAME,
            ident="mailbox",
            data_size_limit=LARGEST,
            tls_context=self._tls,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )
        self._open.add(connection)
        self.connections += 1
        return connection

    def _authenticate(  # aiosmtpd fixes the arguments
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object
    ) -> AuthResult:
        given = login if isinstance(login, LoginPassword) else LoginPassword(b"", b"")
        wanted = (self._user or "").encode(), self._password.encode()
        right = hmac.compare_digest(given.login, wanted[0]) and hmac.compare_digest(given.password, wanted[1])
        return AuthResult(success=self._user is not None and right, handled=False)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name; so are the arguments
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender, from somebody who has logged in."""
        if self._user is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, unless a fault is waiting for that address."""
        fault = self._take(lambda each: (each.recipient or "").casefold() == address.casefold())
        if fault is not None:
            self.refused.append(f"{address}: {fault.answer}")
            return fault.answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802, ANN401
        """Look at a mail and keep it, or say why not."""
        fault = self._take(lambda each: each.recipient is None)
        if fault is not None and fault.kind == "drop_before":
            return await self._cut(server)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind in {"tempfail", "permfail"}:
            self.refused.append(fault.answer)
            return fault.answer
        raw = bytes(envelope.content or b"") if not isinstance(envelope.content, str) else b""
        message = parse(raw)
        recipients = [str(each) for each in envelope.rcpt_tos]
        if refusal := complaint(message, raw, recipients):
            self.refused.append(refusal)
            return refusal
        self.messages.append(read_mail(message, raw, envelope.mail_from or "", recipients, self._clock()))
        self._arrived.set()
        self._arrived = asyncio.Event()
        if fault is not None and fault.kind == "drop_after":
            return await self._cut(server)
        return "250 2.0.0 kept"

    async def _cut(self, connection: _Connection) -> str:
        connection.cut()
        await asyncio.sleep(0)  # the loss of the connection cancels this very handler
        return "421 4.3.0 cut"

    def _take(self, meets: Callable[[MailFault], bool]) -> MailFault | None:
        for fault in self.faults:
            if meets(fault):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None
