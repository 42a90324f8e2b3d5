"""The one gate before every handler: which club, who asks, may they."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.background import Background
from bot.club_desks import ClubDesk, ClubDesks
from bot.people import People, Role
from bot.reply import Reply, wrong_on_our_side
from core.club import Club
from core.errors import NotAllowedError, SidelineError
from core.references import new_reference
from core.services import Services
from core.tenancy import enter_tenant, tenant_scope
from core.traces import ensure_trace

log = structlog.get_logger(__name__)

_here: ContextVar[ClubDesk | None] = ContextVar("club_desk", default=None)

# What Slack tells of a workspace and not of a person. Bolt asks for no token either: there is none any more.
_FROM_NOBODY = {"app_uninstalled", "tokens_revoked"}

NOT_FROM_HERE = "Sideline is not set up for this workspace."
NOT_ON_THE_LIST = (
    "This is your club's billing desk, and you are not on its list yet. "
    "If you look after a team, please ask the people who run Sideline to add you."
)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: somebody of this club who may look families up; an admin may do everything."""

    club: Club
    user_id: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether this person may also charge, blast, approve and match."""
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Desk:
    """What every handler works with."""

    services: Services
    clubs: ClubDesks
    background: Background

    @property
    def here(self) -> ClubDesk:
        """What the club that this request is from has at Slack."""
        return _here.get() or ClubDesk(self.clubs.client, People(self.clubs.client, (), ()), None, None)

    @property
    def client(self) -> AsyncWebClient:
        """The client with the token of the club that this request is from."""
        return self.here.client

    @property
    def people(self) -> People:
        """The people of the club that this request is from."""
        return self.here.people

    def require_admin(self, asker: Asker, what: str) -> None:
        """Check the right where it is used.

        Raises:
            NotAllowedError: naming who may.
        """
        if not asker.is_admin:
            admins = self.people.admin_ids()[:5]
            names = " or ".join(admins) or "one of them"
            raise NotAllowedError(f"Only admins can {what}. Please ask {names}.", people=admins)


class Gate(AsyncMiddleware):
    """Lets through whoever is on the club's list.

    No function, since Bolt would find out its arguments anew for each request.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[Any]],  # noqa: A002 - Bolt passes arguments by name
    ) -> BoltResponse | None:
        """Put `asker` and `reply` into the context, or say kindly that this person may not."""
        # Over Socket Mode there is no HTTP request whose id a mail could be traced back to.
        ensure_trace()
        context, body, desk = req.context, req.body, self._desk
        if body.get("event", {}).get("type") in _FROM_NOBODY:
            await next()
            return resp
        reply = context["reply"] = Reply(body, context.ack, desk.client, desk.background)
        user_id = context.user_id or ""
        role = await desk.people.role(user_id)
        if role is None:
            log.info("slack_request_refused", user=user_id)
            # The home tab is theirs to open; it says so kindly.
            if body.get("event", {}).get("type") != "app_home_opened":
                return await reply.say(NOT_ON_THE_LIST)
        context["asker"] = None if role is None else Asker(context["club"], user_id, role)
        await next()
        return resp


def guard(app: AsyncApp, desk: Desk) -> None:
    """Put the gate before all handlers, and catch what any of them raises.

    Handlers get `asker` and `reply` as arguments.
    """

    async def answer_error(error: Exception, context: AsyncBoltContext, body: dict[str, Any]) -> BoltResponse:
        reply = context.get("reply") or Reply(body, context.ack, desk.client, desk.background)
        if isinstance(error, SidelineError):
            # The sentence is for the person who asked, and names families.
            log.info("answered_with_error", error=type(error).__name__)
            return await reply.error(error)
        reference = new_reference()
        log.error("slack_request_failed", reference=reference, exc_info=error)
        return await reply.say(wrong_on_our_side(reference))

    app.use(Gate(desk))
    app.error(answer_error)


class ScopedApp(AsyncApp):
    """Bolt's app, where nothing that a request's gate found out outlives the request."""

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request."""
        before = _here.set(None)
        try:
            with tenant_scope(None):
                return await super().async_dispatch(req)
        finally:
            _here.reset(before)


def authorizer(clubs: ClubDesks) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Return what puts the club into the context, and refuses workspaces that are no club's.

    It raises `NotAllowedError` for those: Bolt's own refusal is plain text, which a list that is being typed into
    shows as a failure.
    """

    async def authorize(context: AsyncBoltContext, team_id: str | None) -> AuthorizeResult:
        club = await clubs.workspace.club_of(team_id)
        desk = await clubs.of(club, team_id) if club is not None else None
        if club is None or desk is None:
            log.warning("foreign_workspace_refused", team=team_id)
            raise NotAllowedError(NOT_FROM_HERE)
        context["club"] = club
        enter_tenant(club.id)
        _here.set(desk)
        if desk.client is clubs.client:
            return clubs.workspace.known_identity(team_id)
        return AuthorizeResult(
            enterprise_id=None,
            team_id=team_id,
            bot_user_id=desk.bot_user_id,
            bot_token=desk.client.token,
            bot_scopes="",
        )

    return authorize
