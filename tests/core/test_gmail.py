"""Handing mails to Gmail through a stand-in that checks signatures, scopes and messages as Google does."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import URL

from cli.doctor import diagnose
from core.club import club_by_id
from core.database import Database
from core.errors import (
    AddressRefusedError,
    MailDeferredError,
    MailRefusedError,
    MailUncertainError,
    SettingsError,
)
from core.gmail import GmailMailer
from core.models import EmailLog, Parent
from core.pace import Pacer
from core.services import Services, build_services
from core.settings import Settings
from sandbox.gmail import GmailFault, GmailStandIn, ServiceAccount
from sandbox.server import serve
from tests.books import Books, database_settings, made_up_settings, open_books

ACCOUNT = ServiceAccount()
USER = "billing@club.test"
TO = "dana@example.com"
MESSAGE = (
    b"From: River City FC <billing@club.test>\r\nTo: Dana <dana@example.com>\r\nSubject: Hello\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <a@club.test>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello Dana\r\n"
)


class Clock:
    """Google's clock, which tests may set."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def google(clock: Clock) -> AsyncIterator[GmailStandIn]:
    google = GmailStandIn(ACCOUNT, users=(USER,), clock=clock)
    async with serve(google.app) as google.base_url:
        yield google


@pytest.fixture
def key_file(google: GmailStandIn, tmp_path: Path) -> Path:
    return ACCOUNT.write(tmp_path / "key.json", google.token_uri)


def mailer_for(google: GmailStandIn, key_file: Path, database: Database, subject: str = USER) -> GmailMailer:
    return GmailMailer.from_file(key_file, subject=subject, pacer=Pacer(database), api_base=google.base_url)


@pytest.fixture
async def gmail(google: GmailStandIn, key_file: Path, database: Database) -> AsyncIterator[GmailMailer]:
    mailer = mailer_for(google, key_file, database)
    yield mailer
    await mailer.close()


async def test_a_mail_arrives_and_the_token_is_used_again(google: GmailStandIn, gmail: GmailMailer) -> None:
    ids = {await gmail.send(MESSAGE, sender=USER, recipient=TO) for _ in range(2)}
    assert len(ids) == 2
    assert [mail.envelope_to for mail in google.messages] == [(TO,), (TO,)]
    assert google.messages[0].text.strip() == "Hello Dana"
    assert google.tokens_given == 1


async def test_a_token_taken_back_is_fetched_anew(google: GmailStandIn, gmail: GmailMailer) -> None:
    await gmail.check()
    google.take_tokens_back()
    await gmail.send(MESSAGE, sender=USER, recipient=TO)
    assert (len(google.messages), google.tokens_given) == (1, 2)


@pytest.mark.parametrize(
    ("fault", "expected", "words"),
    [
        (GmailFault("refuse", 429, "rateLimitExceeded", "Too many concurrent requests"), MailDeferredError, "429"),
        (GmailFault("refuse", 403, "userRateLimitExceeded", "User Rate Limit"), MailDeferredError, "403"),
        (GmailFault("refuse", 500), MailDeferredError, "currently unavailable"),
        (GmailFault("refuse", 503), MailDeferredError, "503"),
        (GmailFault("refuse", 504), MailUncertainError, "504"),
        (GmailFault("refuse", 400, "invalidArgument", "Invalid To header"), AddressRefusedError, "Invalid To"),
        (GmailFault("refuse", 400, "failedPrecondition", "Mail service not enabled"), MailRefusedError, "enabled"),
        (GmailFault("refuse", 403, "insufficientPermissions", "Scopes"), MailRefusedError, r"gmail\.send"),
        (GmailFault("refuse", 401, "authError", "Invalid Credentials", times=2), MailRefusedError, "delegation"),
        (GmailFault("drop_before"), MailUncertainError, "handed over"),
        (GmailFault("drop_after"), MailUncertainError, "handed over"),
    ],
    ids=lambda value: f"{value.kind} {value.status} {value.reason}" if isinstance(value, GmailFault) else "",
)
async def test_what_went_wrong_is_known(
    fault: GmailFault, expected: type[Exception], words: str, google: GmailStandIn, gmail: GmailMailer
) -> None:
    google.faults.append(fault)
    with pytest.raises(expected, match=words) as caught:
        await gmail.send(MESSAGE, sender=USER, recipient=TO)
    assert type(caught.value) is expected
    assert len(google.messages) == (1 if fault.kind == "drop_after" else 0)
    assert google.faults == []


async def test_out_of_reach_is_worth_another_try(key_file: Path, google: GmailStandIn, database: Database) -> None:
    gmail = GmailMailer.from_file(key_file, subject=USER, pacer=Pacer(database), api_base="http://127.0.0.1:9")
    with pytest.raises(MailDeferredError, match="out of reach"):
        await gmail.send(MESSAGE, sender=USER, recipient=TO)
    await gmail.close()


async def test_a_token_endpoint_out_of_reach_is_worth_another_try(
    google: GmailStandIn, tmp_path: Path, database: Database
) -> None:
    away = ACCOUNT.write(tmp_path / "away.json", "http://127.0.0.1:9/token")
    gmail = mailer_for(google, away, database)
    with pytest.raises(MailDeferredError, match="out of reach"):
        await gmail.check()
    await gmail.close()


async def test_missing_delegation_says_what_to_do(google: GmailStandIn, gmail: GmailMailer) -> None:
    google.scopes = ()
    with pytest.raises(MailRefusedError, match=r"Domain-wide delegation.*auth/gmail\.send"):
        await gmail.check()


async def test_a_stranger_is_nobodys_user(google: GmailStandIn, key_file: Path, database: Database) -> None:
    gmail = mailer_for(google, key_file, database, subject="stranger@club.test")
    with pytest.raises(MailRefusedError, match=r"stranger@club\.test has to be a user"):
        await gmail.check()
    await gmail.close()


async def test_another_key_and_another_time_get_no_token(
    google: GmailStandIn, gmail: GmailMailer, clock: Clock, tmp_path: Path, database: Database
) -> None:
    forged = mailer_for(google, ServiceAccount().write(tmp_path / "forged.json", google.token_uri), database)
    with pytest.raises(MailRefusedError, match="Invalid JWT Signature"):
        await forged.check()
    await forged.close()
    clock.ahead = 7200
    with pytest.raises(MailRefusedError, match="short-lived"):
        await gmail.check()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"type": "authorized_user"}', None])
def test_a_file_that_is_no_key_is_named(content: str | None, tmp_path: Path, database_url: URL) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    settings = made_up_settings(tmp_path, gmail_service_account_file=file, mail_from=USER)
    with pytest.raises(SettingsError, match=r"^GMAIL_SERVICE_ACCOUNT_FILE: should be"):
        build_services(settings, database_url)


def gmail_settings(database_url: URL, google: GmailStandIn, key_file: Path, tmp_path: Path) -> Settings:
    return made_up_settings(
        tmp_path,
        **database_settings(database_url),
        gmail_service_account_file=key_file,
        gmail_api_base=google.base_url,
        mail_from=f"River City FC <{USER}>",
    )


@pytest.fixture
async def club_on_gmail(
    database_url: URL, google: GmailStandIn, key_file: Path, tmp_path: Path
) -> AsyncIterator[tuple[Services, Books]]:
    services = build_services(gmail_settings(database_url, google, key_file, tmp_path), database_url)
    async with services.database.transaction() as conn:
        books = await open_books(conn)
    yield services, books
    await services.close()


async def resend(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
    await services.outbox.resend(club, (books.order_id,), "U1")
    async with services.database.transaction() as conn:
        log_id = await conn.scalar(select(EmailLog.id).order_by(EmailLog.id.desc()).limit(1))
    await services.outbox.send(int(log_id or 0))


async def test_mails_go_the_same_way_with_the_same_log(
    club_on_gmail: tuple[Services, Books], google: GmailStandIn
) -> None:
    services, books = club_on_gmail
    google.faults.append(GmailFault("refuse", 400, "invalidArgument", "Invalid To header"))
    await resend(services, books)
    async with services.database.transaction() as conn:
        assert "Invalid To header" in (await conn.scalar(select(Parent.email_problem)) or "")
        await conn.execute(text("update email_logs set created_at = created_at - interval '5 minutes'"))
    await resend(services, books)
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(Parent.email_problem)) is None
        assert list(await conn.scalars(select(EmailLog.status).order_by(EmailLog.id))) == ["failed", "sent"]
    assert services.family_links.pay_url(books.tenant_id, books.order_id) in google.messages[0].html


async def test_the_doctor_asks_google(
    database_url: URL, google: GmailStandIn, key_file: Path, tmp_path: Path
) -> None:
    settings = gmail_settings(database_url, google, key_file, tmp_path)
    (mail,) = [finding for finding in await diagnose(settings) if finding.subject == "Mail"]
    assert (mail.is_fine, mail.words) == (True, f"Gmail takes it, sending as River City FC <{USER}>")
    google.users = ()
    (mail,) = [finding for finding in await diagnose(settings) if finding.subject == "Mail"]
    assert not mail.is_fine
    assert "gmail.send" in mail.words
