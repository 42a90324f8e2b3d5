"""Handing mails to a server that refuses, hangs up or falls silent at every step."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from core.errors import AddressRefusedError, MailDeferredError, MailRefusedError, MailUncertainError, SettingsError
from core.smtp import SmtpMailer

MESSAGE = b"Subject: Hello\r\n\r\n.a line that begins with a dot\r\n..two\r\nlast line\r\n"
BIG = b"Subject: Big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 300_000
TO = "dana@example.com"

# What the server does at a step instead of saying yes: an answer, or something worse.
Step = str | Callable[["Door"], Awaitable[str]]


class Door(SMTP):
    """One connection to the server."""

    post: "Post"

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd names it
        if (answer := await self.post.answer("MAIL", self)) is not None:
            await self.push(answer)
        else:
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd names it
        if (answer := await self.post.answer("RCPT", self)) is not None:
            await self.push(answer)
        else:
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd names it
        if (answer := await self.post.answer("DATA", self)) is not None:
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)


class Post:
    """A mail server that keeps what it took, and follows a script."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[bytes] = []
        self.doors: list[Door] = []
        self.script: dict[str, list[Step]] = {}
        self.most_at_once = 0
        self._at_once = 0

    async def answer(self, step: str, door: Door) -> str | None:
        todo = self.script.get(step, [])
        if not todo:
            return None
        first = todo.pop(0)
        return first if isinstance(first, str) else await first(door)

    async def handle_DATA(self, server: Door, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0.01)
        self._at_once -= 1
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        return await self.answer("DOT", server) or "250 Taken"


@asynccontextmanager
async def running(*, tls: ssl.SSLContext | None = None, **options: object) -> AsyncIterator[Post]:
    post = Post()
    loop = asyncio.get_running_loop()

    def open_door() -> Door:
        door = Door(post, loop=loop, hostname="post.test", **options)  # type: ignore[arg-type] # passed through
        door.post = post
        post.doors.append(door)
        return door

    server = await loop.create_server(open_door, "127.0.0.1", 0, ssl=tls)
    scheme = "smtps" if tls else "smtp"
    post.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield post
    finally:
        server.close()
        for door in post.doors:
            hang_up(door)
        await asyncio.sleep(0.01)


def let_the_club_in(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object
) -> AuthResult:
    return AuthResult(success=login == LoginPassword("clüb".encode(), "p@ss:wörd".encode()), handled=False)


def hang_up(door: Door) -> None:
    if door.transport is not None:
        cast("asyncio.Transport", door.transport).abort()


async def hangs_up(door: Door) -> str:
    hang_up(door)
    await asyncio.sleep(5)
    return "250 Nobody hears this"


async def falls_silent(_door: Door) -> str:
    await asyncio.sleep(30)
    return "250 Too late"


async def goes_away_politely(door: Door) -> str:
    await door.push("421 Idle for too long, bye")
    return await hangs_up(door)


async def reads_a_little_and_hangs_up(door: Door) -> str:
    await door.push("354 Go on")
    await asyncio.sleep(0.05)
    return await hangs_up(door)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with running() as post:
        yield post


@pytest.fixture
async def mailer(post: Post) -> AsyncIterator[SmtpMailer]:
    mailer = SmtpMailer.from_url(post.url, timeout=0.3)
    yield mailer
    await mailer.close()


async def send(mailer: SmtpMailer, message: bytes = MESSAGE, recipient: str = TO) -> str:
    return await mailer.send(message, sender="billing@rivercity.test", recipient=recipient)


async def test_a_message_arrives_byte_for_byte(post: Post, mailer: SmtpMailer) -> None:
    assert await send(mailer) == "Taken"
    assert post.received == [MESSAGE]


async def test_connections_are_used_again_and_are_few(post: Post) -> None:
    mailer = SmtpMailer.from_url(post.url, connections=3)
    await asyncio.gather(*(send(mailer) for _ in range(20)))
    assert len(post.received) == 20
    assert len(post.doors) == post.most_at_once == 3
    await mailer.close()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [("451 Try later", MailDeferredError), ("550 5.1.1 No such person", MailRefusedError)],
)
async def test_a_refusal_keeps_the_servers_words_and_the_connection(
    post: Post, mailer: SmtpMailer, step: str, answer: str, error: type[Exception]
) -> None:
    post.script[step] = [answer]
    with pytest.raises(error, match=answer):
        await send(mailer)
    assert await send(mailer) == "Taken"
    assert len(post.doors) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("trouble", [hangs_up, falls_silent, goes_away_politely])
async def test_trouble_before_the_text_is_worth_another_try(
    post: Post, mailer: SmtpMailer, step: str, trouble: Step
) -> None:
    post.script[step] = [trouble]
    with pytest.raises(MailDeferredError):
        await send(mailer)
    assert post.received == []
    assert await send(mailer) == "Taken"


@pytest.mark.parametrize(
    ("answer", "is_address"),
    [
        ("550 5.1.1 No such user", True),
        ("550 5.1.10 Null MX", True),
        ("550 5.2.1 Mailbox disabled", True),
        ("552 5.2.2 Over quota", True),
        ("553 Mailbox name not allowed", True),
        ("550 No such user here", True),
        ("550 5.7.1 Relaying denied", False),
        ("550 Relay not permitted", False),
        ("530 5.7.0 Authentication required", False),
        ("550 5.1.8 Bad sender's system address", False),
        ("554 Transaction failed", False),
        ("503 Bad sequence", False),
    ],
)
async def test_a_refused_address_is_told_from_our_own_mistakes(
    post: Post, mailer: SmtpMailer, answer: str, is_address: bool
) -> None:
    post.script["RCPT"] = [answer]
    with pytest.raises(MailRefusedError) as caught:
        await send(mailer)
    assert (type(caught.value) is AddressRefusedError) is is_address


@pytest.mark.parametrize("step", ["MAIL", "DATA", "DOT"])
async def test_what_is_refused_elsewhere_is_not_the_addresss_fault(
    post: Post, mailer: SmtpMailer, step: str
) -> None:
    post.script[step] = ["550 5.1.1 No"]
    with pytest.raises(MailRefusedError) as caught:
        await send(mailer)
    assert type(caught.value) is MailRefusedError


async def test_a_connection_lost_within_the_text_is_worth_another_try(post: Post, mailer: SmtpMailer) -> None:
    post.script["DATA"] = [reads_a_little_and_hangs_up]
    with pytest.raises(MailDeferredError):
        await send(mailer, BIG)
    assert post.received == []


@pytest.mark.parametrize("trouble", [hangs_up, falls_silent])
async def test_trouble_after_the_final_dot_leaves_it_uncertain(
    post: Post, mailer: SmtpMailer, trouble: Step
) -> None:
    post.script["DOT"] = [trouble]
    with pytest.raises(MailUncertainError):
        await send(mailer)
    assert post.received == [MESSAGE]
    assert await send(mailer) == "Taken"


async def test_a_goodbye_after_the_final_dot_is_a_refusal_for_now(post: Post, mailer: SmtpMailer) -> None:
    post.script["DOT"] = [goes_away_politely]
    with pytest.raises(MailDeferredError, match="421 Idle"):
        await send(mailer)


async def test_a_connection_closed_while_idle_is_replaced_unnoticed(post: Post, mailer: SmtpMailer) -> None:
    await send(mailer)
    hang_up(post.doors[0])
    assert await send(mailer) == "Taken"
    assert len(post.received) == len(post.doors) == 2


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("trouble", [hangs_up, falls_silent, goes_away_politely])
async def test_a_connection_found_stale_is_replaced_without_a_duplicate(
    post: Post, mailer: SmtpMailer, step: str, trouble: Step
) -> None:
    await send(mailer)
    post.script[step] = [trouble]
    assert await send(mailer) == "Taken"
    assert len(post.received) == len(post.doors) == 2


async def test_a_cancelled_sending_does_not_poison_the_pool(post: Post) -> None:
    mailer = SmtpMailer.from_url(post.url, connections=1)
    post.script["RCPT"] = [falls_silent]
    sending = asyncio.create_task(send(mailer))
    await asyncio.sleep(0.1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await send(mailer) == "Taken"
    assert len(post.received) == 1
    await mailer.close()


async def test_closing_says_goodbye_and_keeps_nothing(post: Post, mailer: SmtpMailer) -> None:
    sending = asyncio.create_task(send(mailer))
    await asyncio.sleep(0)
    await mailer.close()
    await sending
    await asyncio.sleep(0.02)
    assert all(door.transport is None or door.transport.is_closing() for door in post.doors)


async def test_an_answer_that_makes_no_sense_leaves_it_uncertain(post: Post, mailer: SmtpMailer) -> None:
    for answer in ("354 Go on", "what?"):
        post.script["DOT"] = [answer]
        with pytest.raises(MailUncertainError):
            await send(mailer)


async def test_other_machines_have_to_prove_who_they_are() -> None:
    far = SmtpMailer.from_url("smtp://post.test")._server.tls_context
    assert far.verify_mode is ssl.CERT_REQUIRED
    assert far.check_hostname


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        mailer = SmtpMailer.from_url(f"smtp://127.0.0.1:{taken.getsockname()[1]}", timeout=0.3)
        with pytest.raises(MailDeferredError, match="out of reach"):
            await send(mailer)
        with pytest.raises(MailDeferredError, match="out of reach"):
            await mailer.check()


async def test_addresses_of_other_letters() -> None:
    async with running(enable_SMTPUTF8=True) as post:
        mailer = SmtpMailer.from_url(post.url)
        assert await send(mailer, recipient="zoë@bücher.example") == "Taken"
        await mailer.close()


async def test_addresses_of_other_letters_where_the_server_knows_none(post: Post, mailer: SmtpMailer) -> None:
    assert await send(mailer, recipient="zoe@bücher.example") == "Taken"
    with pytest.raises(MailRefusedError, match="zoë@example"):
        await send(mailer, recipient="zoë@example.com")
    assert await send(mailer) == "Taken"


@pytest.mark.parametrize("address", ["", "dana", "dana@example.com> SIZE=1", "dana@example.com\r\nRSET"])
async def test_what_is_no_address_never_reaches_the_server(post: Post, mailer: SmtpMailer, address: str) -> None:
    with pytest.raises(MailRefusedError, match="not an e-mail address"):
        await send(mailer, recipient=address)
    assert post.doors == []


@pytest.mark.parametrize(
    "url",
    ["", "post.test", "http://post.test", "smtp://", "smtp://post.test:x", "smtp://u:hidden@:25", "smtp://[::1"],
)
def test_a_malformed_address_of_the_server(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^SMTP_URL: should look like") as failure:
        SmtpMailer.from_url(url)
    assert "hidden" not in str(failure.value)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("there is no `openssl` on this machine's PATH to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=post.test"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_tls_from_the_start(tls: ssl.SSLContext) -> None:
    async with running(tls=tls) as post:
        mailer = SmtpMailer.from_url(post.url)
        assert await send(mailer) == "Taken"
        await mailer.close()


async def test_starttls_is_used_where_offered_and_then_the_login(tls: ssl.SSLContext) -> None:
    async with running(
        tls_context=tls, require_starttls=True, auth_required=True, authenticator=let_the_club_in
    ) as post:
        mailer = SmtpMailer.from_url(post.url.replace("//", "//cl%C3%BCb:p%40ss%3Aw%C3%B6rd@"))
        await mailer.check()
        assert await send(mailer) == "Taken"
        await mailer.close()
        stranger = SmtpMailer.from_url(post.url.replace("//", "//club:wrong@"))
        with pytest.raises(MailRefusedError, match="535"):
            await stranger.check()


async def test_a_login_that_the_server_does_not_know(post: Post) -> None:
    mailer = SmtpMailer.from_url(post.url.replace("//", "//club:secret@"), timeout=0.3)
    with pytest.raises(MailRefusedError, match="AUTH"):
        await mailer.check()
