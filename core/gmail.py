"""Mail through the Gmail API, as a Workspace user whom a service account may act for (domain-wide delegation).

The same promises as `core.smtp`: when something breaks it is known whether the mail may have gone out. Until the
request is on its way it can't have; after that, without an answer, nobody knows.

Follows https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/send and
https://developers.google.com/workspace/gmail/api/guides/handle-errors.
"""

import asyncio
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import google.auth.exceptions
import httpx
import requests
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from core.errors import (
    AddressRefusedError,
    MailDeferredError,
    MailRefusedError,
    MailUncertainError,
    SettingsError,
)
from core.pace import Pacer

SCOPE = "https://www.googleapis.com/auth/gmail.send"
# A user may spend 15,000 units a minute and a mail costs 100; stay a tenth under it.
_PER_SECOND = 2.25
_TIMEOUT = httpx.Timeout(20, read=120)
# Google keeps idle connections for minutes: let go of ours sooner, so that a mail never meets a stale one.
_CONNECTIONS = 4
_LIMITS = httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=25)
# What a 403 says where it only means "later".
_TOO_FAST = re.compile(r"rateLimitExceeded|quotaExceeded|dailyLimitExceeded", re.IGNORECASE)
_ABOUT_RECIPIENT = re.compile(r"\bto header\b|\brecipient\b", re.IGNORECASE)


class GmailMailer:
    """Hands messages to the Gmail API. Any number of tasks of one event loop may use it at once."""

    def __init__(self, credentials: Credentials, subject: str, pacer: Pacer, *, api_base: str) -> None:
        self._credentials = credentials
        self._subject = subject
        self._pacer = pacer
        self._refreshing = asyncio.Lock()
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._client = httpx.AsyncClient(base_url=api_base.rstrip("/"), timeout=_TIMEOUT, limits=_LIMITS)

    @classmethod
    def from_file(cls, file: Path, *, subject: str, pacer: Pacer, api_base: str) -> "GmailMailer":
        """Read a service account's JSON key; mail goes out as the user `subject`.

        The file's own `token_uri` is where tokens are asked for.

        Raises:
            SettingsError: where the file can't be read or is something else.
        """
        try:
            credentials = Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                str(file), scopes=[SCOPE], subject=subject
            )
        except (OSError, ValueError, AttributeError, google.auth.exceptions.GoogleAuthError):
            raise SettingsError(
                "GMAIL_SERVICE_ACCOUNT_FILE: should be the path of a service account's key in JSON, "
                "as Google's console gives it out"
            ) from None
        return cls(credentials, subject, pacer, api_base=api_base)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until Gmail would take a message, at the pace that it asks for."""
        async with self._turns:
            await self._pacer.wait(f"gmail:{self._subject}", _PER_SECOND)
            yield

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:  # noqa: ARG002 - both are in its headers
        """Hand one message over and return Gmail's id of it. Gmail reads the recipient from the message itself.

        Raises:
            MailDeferredError: refused for now, or out of reach; certainly not sent.
            MailRefusedError: refused for good, in Google's words; certainly not sent. An `AddressRefusedError`
                where it is the recipient that Gmail will not have.
            MailUncertainError: the connection broke, or no answer came, after the request was on its way.
        """
        body = {"raw": urlsafe_b64encode(message).decode()}
        answer = await self._post(body, await self._token())
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # The token was taken back before its time; what is refused like this was not sent.
            answer = await self._post(body, await self._token(anew=True))
        if not answer.is_success:
            raise _refusal(answer, self._advice())
        with suppress(ValueError, AttributeError):
            return str(answer.json().get("id", ""))
        return ""

    async def check(self) -> None:
        """Get a token for sending as the user; that is all that the scope allows without sending.

        Raises:
            MailDeferredError: Google is busy or out of reach.
            MailRefusedError: the service account may not act for the user.
        """
        await self._token(anew=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, body: dict[str, str], token: str) -> httpx.Response:
        try:
            return await self._client.post(
                "/gmail/v1/users/me/messages/send", json=body, headers={"Authorization": f"Bearer {token}"}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise MailDeferredError(f"Gmail is out of reach: {str(error) or type(error).__name__}") from error
        except httpx.TransportError as error:
            words = f"No answer after the mail was handed over ({str(error) or type(error).__name__})."
            raise MailUncertainError(words) from error

    async def _token(self, *, anew: bool = False) -> str:
        async with self._refreshing:
            if anew or not self._credentials.valid:
                await asyncio.to_thread(self._refresh)
            return str(self._credentials.token)

    def _refresh(self) -> None:
        with requests.Session() as session:
            try:
                self._credentials.refresh(Request(session))  # type: ignore[no-untyped-call]
            except google.auth.exceptions.RefreshError as error:
                words = _one_line(str(error.args[0]) if error.args else "no reason given")
                if error.retryable:
                    raise MailDeferredError(f"Google gives out no token right now: {words}") from error
                raise MailRefusedError(f"Google gives out no token: {words} {self._advice()}") from error
            except google.auth.exceptions.GoogleAuthError as error:
                raise MailDeferredError(f"Google is out of reach: {_one_line(str(error))}") from error

    def _advice(self) -> str:
        account = self._credentials.service_account_email
        return (
            f"In Google's admin console (Security → API controls → Domain-wide delegation) {account} needs the "
            f"scope {SCOPE}, and {self._subject} has to be a user with Gmail."
        )


def _refusal(answer: httpx.Response, advice: str) -> Exception:
    """Return what an answer other than yes means."""
    status, words = answer.status_code, _words(answer)
    said = f"Gmail said {status} {words}"
    if status == httpx.codes.GATEWAY_TIMEOUT:
        # "May be returned even if the operation has completed": https://google.aip.dev/193, DEADLINE_EXCEEDED.
        return MailUncertainError(f"No answer in time after the mail was handed over ({said}).")
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return MailDeferredError(said)
    if status == httpx.codes.FORBIDDEN and _TOO_FAST.search(answer.text):
        return MailDeferredError(said)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return MailRefusedError(f"{said} {advice}")
    is_about_recipient = status == httpx.codes.BAD_REQUEST and _ABOUT_RECIPIENT.search(words)
    return AddressRefusedError(said) if is_about_recipient else MailRefusedError(said)


def _words(answer: httpx.Response) -> str:
    """Return the message of Google's error body, or the beginning of whatever came instead."""
    try:
        told: Any = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        told = answer.text
    return _one_line(str(told))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
