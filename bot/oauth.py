"""Slack's install flow: a workspace lets the app in, and becomes a club's.

Bolt's own flow and Slack's own stores do the work (https://docs.slack.dev/authentication/installing-with-oauth);
ours are the link that it takes, the club that comes of it, and the words on the pages.
"""

import shlex
from collections.abc import Mapping

from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.club_desks import ClubDesks
from bot.installations import SealedInstallations
from bot.manifest import BOT_SCOPES
from bot.slack_calls import QUIET, build_client
from core.club import all_clubs
from core.errors import InvalidInputError
from core.family_mail import brand_of
from core.invites import Installed, Invites
from core.models import Tenant
from core.pages import ClosedPage
from core.rendering import Brand
from core.services import Services

STATE_SECONDS = 600
_AGAIN = "Please follow your link again, in one go and in one browser."
_REASONS: Mapping[str, str] = {
    "access_denied": "You said no to Slack, so nothing was installed.",
    "invalid_browser": _AGAIN,
    "invalid_state": _AGAIN,
    "invalid_code": "Slack did not accept the installation. " + _AGAIN,
    "missing_code": _AGAIN,
}


class ClubInstall(AsyncOAuthFlow):
    """Answers `/slack/install` and `/slack/oauth_redirect`."""

    def __init__(self, services: Services, clubs: ClubDesks, installations: SealedInstallations) -> None:
        given = services.settings
        self._services = services
        self._clubs = clubs
        self._invites = Invites(given.base_url, given.signing_keys, services.clock)
        secret = given.slack_client_secret
        slack = given.slack_api_base_url.rstrip("/").removesuffix("/api")
        super().__init__(
            client=build_client(given),
            logger=QUIET,
            settings=AsyncOAuthSettings(
                client_id=given.slack_client_id,
                client_secret=secret.get_secret_value() if secret else None,
                scopes=BOT_SCOPES,
                redirect_uri=f"{given.base_url}/slack/oauth_redirect",
                authorization_url=f"{slack}/oauth/v2/authorize",
                install_page_rendering_enabled=False,
                installation_store=installations,
                state_store=AsyncSQLAlchemyOAuthStateStore(STATE_SECONDS, installations.engine, QUIET),
                state_expiration_seconds=STATE_SECONDS,
                callback_options=AsyncCallbackOptions(success=self._succeeded, failure=self._failed),
                logger=QUIET,
            ),
        )

    async def issue_new_state(self, request: AsyncBoltRequest) -> str:
        """Return a new state, tied to the link that was followed.

        Raises:
            NotFoundError, InvalidInputError: where the link is not good (any more).
        """
        state = await super().issue_new_state(request)
        async with self._services.database.transaction() as conn:
            await self._invites.begin(conn, _asked(request, "ticket"), state)
        return state

    async def store_installation(self, request: AsyncBoltRequest, installation: Installation) -> None:
        """Keep the token, then make or connect the club; done again after a crash between the two.

        Raises:
            InvalidInputError: where the link is used or over, or something else than one workspace let us in.
        """
        if installation.team_id is None or installation.is_enterprise_install:
            raise InvalidInputError("Please install Sideline in one workspace, not in the whole organization.")
        state = _asked(request, "state")
        database = self._services.database
        async with database.transaction() as conn:
            await self._invites.check(conn, state)
        await super().store_installation(request, installation)
        own_team = await self._own_team()
        name = installation.team_name or ""
        async with database.transaction() as conn:
            await _name_workspace_of_lone_club(conn, own_team)
            installed = Installed(installation.team_id, name, installation.user_id)
            await self._invites.redeem(conn, state, installed)
        self._clubs.read_again(installation.team_id)

    async def _own_team(self) -> str | None:
        if self._services.settings.slack_bot_token is None:
            return None
        return (await self._clubs.workspace.identity()).team_id

    async def _succeeded(self, args: AsyncSuccessArgs) -> BoltResponse:
        team_id = args.installation.team_id
        async with self._services.database.reading() as conn:
            club = next(each for each in await all_clubs(conn) if each.slack_team_id == team_id)
        page = ClosedPage(
            brand=brand_of(club),
            title="Sideline is in your workspace",
            message=f"It works for {club.name} from now on.",
            advice="In Slack, open Sideline's Home tab. Whoever runs the server names your channels with "
            f"sideline club set --club {shlex.quote(club.name)} --payments-channel C….",
        )
        return self._page(page, 200)

    async def _failed(self, args: AsyncFailureArgs) -> BoltResponse:
        page = ClosedPage(
            brand=Brand("Sideline", "#0b6e4f", None),
            title="Sideline was not installed",
            message=_REASONS.get(args.reason, _AGAIN),
            advice="Nothing was changed in your workspace.",
        )
        return self._page(page, args.suggested_status_code)

    def _page(self, page: ClosedPage, status: int) -> BoltResponse:
        html = self._services.pages.closed(page)
        return BoltResponse(status=status, body=html, headers={"Content-Type": "text/html; charset=utf-8"})


async def _name_workspace_of_lone_club(conn: AsyncConnection, own_team: str | None) -> None:
    """Write down which workspace the club of `SLACK_BOT_TOKEN` has: beside another it is no more the only one."""
    clubs = await all_clubs(conn)
    if own_team is not None and len(clubs) == 1 and clubs[0].slack_team_id is None:
        await conn.execute(update(Tenant).where(Tenant.id == clubs[0].id).values(slack_team_id=own_team))


def _asked(request: AsyncBoltRequest, name: str) -> str:
    given = request.query.get(name) or [""]
    return str(given[0])


def build_install(services: Services, clubs: ClubDesks) -> ClubInstall | None:
    """Return the flow; None without `SLACK_CLIENT_ID` and `SLACK_CLIENT_SECRET`."""
    return ClubInstall(services, clubs, clubs.installations) if clubs.installations is not None else None
