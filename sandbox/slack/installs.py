"""Several workspaces behind one address, and the flow by which they install an app.

Follows https://docs.slack.dev/authentication/installing-with-oauth and …/reference/methods/oauth.v2.access: a code
is good once, for ten minutes, for the client and the redirect address that it was asked for with.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from sandbox.slack.payloads import enterprise_of
from sandbox.slack.shapes import Json
from sandbox.slack.stand_in import SlackStandIn
from sandbox.slack.workspace import APP_ID, BOT_USER, utcnow

CODE_LIVES = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Code:
    slack: SlackStandIn
    token: str
    user_id: str
    redirect_uri: str
    scopes: str
    made_at: datetime


class ManyWorkspaces:
    """Hands each call to the workspace whose token it carries; serve `app` where one workspace's would be.

    Args:
        client_id: the app's.
        client_secret: the app's.
        redirect_uris: the redirect addresses that the app's manifest names.
        workspaces: the workspaces by their bot token; those that still have to install the app as well.
        clock: the UTC time that codes go by.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        workspaces: dict[str, SlackStandIn],
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._client = (client_id, client_secret)
        self._redirect_uris = redirect_uris
        self._workspaces = workspaces
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        # Tokens that work: Slack makes a workspace's when it installs the app.
        self.installed: set[str] = set()
        self.app = Starlette(
            routes=[
                Route("/api/oauth.v2.access", self._exchange, methods=["POST"]),
                Mount("/", self._of_token),
            ]
        )

    def allow(self, team_id: str, user_id: str, authorize_query: dict[str, str]) -> dict[str, str]:
        """Press Allow on the page that the app's address led to; returns the query that Slack comes back with.

        Raises:
            ValueError: where Slack would show an error instead of the page.
        """
        given = authorize_query
        if given.get("client_id") != self._client[0]:
            raise ValueError("invalid_client_id")
        if given.get("redirect_uri") not in self._redirect_uris:
            raise ValueError("bad_redirect_uri")
        if not given.get("scope"):
            raise ValueError("invalid_scope")
        token, slack = next(
            (token, slack) for token, slack in self._workspaces.items() if slack.workspace.team_id == team_id
        )
        code = secrets.token_hex(16)
        self._codes[code] = _Code(slack, token, user_id, given["redirect_uri"], given["scope"], self._clock())
        return {"code": code, "state": given.get("state", "")}

    async def _exchange(self, request: Request) -> Response:
        form = await request.form()
        if _credentials(request, form.get("client_id"), form.get("client_secret")) != self._client:
            return _refused("bad_client_secret")
        code = self._codes.pop(str(form.get("code", "")), None)
        if code is None or self._clock() - code.made_at > CODE_LIVES:
            return _refused("invalid_code")
        if form.get("redirect_uri") != code.redirect_uri:
            return _refused("bad_redirect_uri")
        self.installed.add(code.token)
        team = code.slack.workspace.team_id
        answer: Json = {
            "ok": True,
            "access_token": code.token,
            "token_type": "bot",
            "scope": code.scopes,
            "bot_user_id": BOT_USER,
            "app_id": APP_ID,
            "team": {"id": team, "name": f"Workspace {team}"},
            "enterprise": enterprise_of(code.slack.workspace),
            "is_enterprise_install": False,
            "authed_user": {"id": code.user_id},
        }
        return JSONResponse(answer)

    async def _of_token(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only the header names the token: that is how the product sends it."""
        _, _, token = Request(scope).headers.get("authorization", "").partition(" ")
        slack = self._workspaces.get(token)
        if slack is None or token not in self.installed:
            await _refused("invalid_auth")(scope, receive, send)
            return
        # Mounted at the root, so the path is the workspace's own.
        await slack.app({**scope, "app_root_path": ""}, receive, send)


def _credentials(request: Request, client_id: object, client_secret: object) -> tuple[str, str]:
    scheme, _, basic = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return str(client_id or ""), str(client_secret or "")
    try:
        given_id, _, given_secret = base64.b64decode(basic, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return given_id, given_secret


def _refused(code: str) -> Response:
    return JSONResponse({"ok": False, "error": code})
