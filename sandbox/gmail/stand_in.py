"""Google as far as mail needs it: `POST /token` and `POST /gmail/v1/users/me/messages/send`.

Strict where Google is: the assertion's signature, audience, scope, user and times; the token; the message itself.
"""

import json
import secrets
import time
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any, Literal
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.gmail.grants import GRANT_TYPE, GrantError, check_times, read_assertion
from sandbox.gmail.key import ServiceAccount
from sandbox.mailbox import Mail
from sandbox.mailbox.mail import complaint, parse, read_mail
from sandbox.stripe.answers import DroppedConnection

SEND_SCOPE = "https://www.googleapis.com/auth/gmail.send"
TOKEN_LIFE = 3600
# What assertions are made out to, wherever they are handed in: Google's own library writes this one always.
AUDIENCE = "https://oauth2.googleapis.com/token"


@dataclass(slots=True)
class GmailFault:
    """One fault, for the next `times` calls.

    `refuse` answers the sending call with `status`, `reason` and `words`; `token` does so for the token endpoint.
    `drop_before` breaks the connection off without keeping the mail, `drop_after` once it is kept.
    """

    kind: Literal["refuse", "token", "drop_before", "drop_after"]
    status: int = 503
    reason: str = "backendError"
    words: str = "The service is currently unavailable."
    times: int = 1


class GmailStandIn:
    """Google with one service account that may send as some users. Serve `app`, then set `base_url`."""

    def __init__(
        self,
        account: ServiceAccount,
        *,
        users: tuple[str, ...],
        scopes: tuple[str, ...] = (SEND_SCOPE,),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = ""
        self.users = users
        # What the admin console lets the account ask for.
        self.scopes = scopes
        self.messages: list[Mail] = []
        self.faults: list[GmailFault] = []
        self.tokens_given = 0
        self._account = account
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}
        self.app = Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/gmail/v1/users/me/messages/send", self._send, methods=["POST"]),
            ]
        )

    @property
    def token_uri(self) -> str:
        """Where the service account's file sends for tokens."""
        return f"{self.base_url}/token"

    def take_tokens_back(self) -> None:
        """Make every token given so far worthless before its time."""
        self._tokens.clear()

    async def _token(self, request: Request) -> Response:
        fault = self._take("token")
        if fault is not None:
            return JSONResponse({"error": fault.reason, "error_description": fault.words}, fault.status)
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return JSONResponse({"error": "invalid_request", "error_description": "Not a form."}, 400)
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        try:
            user = self._granted(form)
        except GrantError as error:
            status = 401 if error.error == "unauthorized_client" else 400
            return JSONResponse({"error": error.error, "error_description": error.description}, status)
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._tokens[token] = (user, self._clock() + TOKEN_LIFE)
        self.tokens_given += 1
        return JSONResponse({"access_token": token, "expires_in": TOKEN_LIFE, "token_type": "Bearer"})

    def _granted(self, form: dict[str, str]) -> str:
        if form.get("grant_type") != GRANT_TYPE:
            raise GrantError("unsupported_grant_type", "Invalid grant_type")
        account = self._account
        claims = read_assertion(form.get("assertion", ""), key=account.key.public_key(), key_id=account.key_id)
        if claims.get("iss") != account.email:
            raise GrantError("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") != AUDIENCE:
            raise GrantError("invalid_grant", "Invalid JWT: Failed audience check.")
        check_times(claims, self._clock())
        asked = set(str(claims.get("scope", "")).split())
        if not asked:
            raise GrantError("invalid_scope", "Empty or missing scope not allowed.")
        if not asked <= set(self.scopes):
            raise GrantError(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized "
                "for any of the scopes requested.",
            )
        user = str(claims.get("sub", ""))
        if user not in self.users:
            raise GrantError("invalid_grant", "Invalid email or User ID")
        return user

    async def _send(self, request: Request) -> Response:
        user = self._user(request.headers.get("authorization", ""))
        if user is None:
            words = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            return _error(401, "authError", words)
        fault = self._take("refuse", "drop_before", "drop_after")
        if fault is not None and fault.kind == "refuse":
            return _error(fault.status, fault.reason, fault.words)
        body = await request.body()
        if fault is not None and fault.kind == "drop_before":
            return DroppedConnection()
        answer = self._answer(body, user)
        return answer if fault is None else DroppedConnection()

    def _answer(self, body: bytes, user: str) -> Response:
        raw = _raw(body)
        if isinstance(raw, Response):
            return raw
        refusal = self._keep(raw, user)
        if refusal is not None:
            return _error(400, "invalidArgument", refusal)
        made_id = secrets.token_hex(8)
        return JSONResponse({"id": made_id, "threadId": made_id, "labelIds": ["SENT"]})

    def _user(self, authorization: str) -> str | None:
        user, expires = self._tokens.get(authorization.removeprefix("Bearer "), (None, 0.0))
        return user if expires > self._clock() else None

    def _keep(self, raw: bytes, user: str) -> str | None:
        """Keep a message, or return what is wrong with it."""
        message = parse(raw)
        named = [str(value) for name in ("To", "Cc", "Bcc") for value in message.get_all(name, [])]
        recipients = [address for _, address in getaddresses(named) if address]
        if not recipients:
            return "Recipient address required"
        if any("@" not in address or " " in address for address in recipients):
            return "Invalid To header"
        refusal = complaint(message, raw, recipients)
        if refusal is not None:
            return refusal
        senders = [address for _, address in getaddresses([str(message["From"])])]
        if senders != [user]:
            return f"Invalid From header: {user} may not send as {senders}"
        self.messages.append(read_mail(message, raw, user, recipients, datetime.now(UTC)))
        return None

    def _take(self, *kinds: str) -> GmailFault | None:
        for fault in self.faults:
            if fault.kind in kinds:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None


def _raw(body: bytes) -> bytes | Response:
    try:
        told = json.loads(body)
    except ValueError:
        return _error(400, "parseError", "Parse Error")
    if not isinstance(told, dict) or set(told) != {"raw"} or not isinstance(told["raw"], str):
        return _error(400, "invalidArgument", "'raw' RFC822 payload message string is required")
    try:
        return urlsafe_b64decode(told["raw"].encode("ascii"))
    except (ValueError, Base64Error):
        return _error(400, "invalidArgument", "Invalid value for ByteString: raw")


def _error(status: int, reason: str, words: str) -> JSONResponse:
    """Google's error body: https://cloud.google.com/apis/design/errors#http_mapping."""
    error: dict[str, Any] = {
        "code": status,
        "message": words,
        "errors": [{"message": words, "domain": "global", "reason": reason}],
    }
    return JSONResponse({"error": error}, status)
