"""What each club has at Slack: the client with its token, its people, its channels."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from slack_sdk.oauth.installation_store import Bot as InstalledBot
from slack_sdk.web.async_client import AsyncWebClient

from bot.installations import SealedInstallations
from bot.people import People
from bot.slack_calls import build_client
from bot.workspace import CLUBS_LAST_SECONDS, Workspace
from core.club import Club, all_clubs
from core.sealing import Sealer
from core.services import Services
from core.tenancy import tenant_scope

# A workspace that installs the app anew gets a new token.
TOKENS_LAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClubDesk:
    """One club's side of Slack. Channels are ids; None: the club has named none."""

    client: AsyncWebClient
    people: People
    payments_channel: str | None
    approvals_channel: str | None
    bot_user_id: str | None = None


class ClubDesks:
    """Finds a club's desk: by its own installation or, for the club of `SLACK_BOT_TOKEN`, by the settings.

    What the settings say of channels, admins and coaches is that one club's alone.
    """

    def __init__(
        self,
        services: Services,
        client: AsyncWebClient,
        clock: Callable[[], float] = time.monotonic,
        *,
        clubs_last_seconds: float = CLUBS_LAST_SECONDS,
    ) -> None:
        settings = self._settings = services.settings
        self._database = services.database
        self._clock = clock
        # The settings' own.
        self.client = client
        self.workspace = Workspace(services.database, client, clubs_last_seconds)
        self.installations = (
            SealedInstallations(settings.slack_client_id, services.database, Sealer(settings.signing_keys))
            if settings.slack_client_id
            else None
        )
        self._bots: dict[str, tuple[float, InstalledBot | None]] = {}
        self._clients: dict[str, AsyncWebClient] = {}
        self._people: dict[tuple[object, ...], People] = {}
        self._session: aiohttp.ClientSession | None = None

    def open(self, session: aiohttp.ClientSession) -> None:
        """Have all clients share these connections."""
        self._session = self.client.session = session
        for client in self._clients.values():
            client.session = session

    async def of(self, club: Club, team_id: str | None = None) -> ClubDesk | None:
        """Return a club's desk; None where it has no workspace that let us in.

        `team_id` is the workspace that a request came from, where one did.

        Raises:
            SlackBusyError, SlackRefusedError: where Slack has to say whose the settings' token is, and does not.
            SettingsError: where the token was encrypted with a key that `SECRET_KEY` has no more.
        """
        bot = await self._installed(club.slack_team_id)
        if bot is not None and bot.bot_token:
            return self._desk(club, self._client_with(bot.bot_token), bot.bot_user_id)
        if not await self._is_settings_club(club, team_id or club.slack_team_id):
            return None
        settings = self._settings
        identity = self.workspace.known_identity(club.slack_team_id)
        own = self._desk(club, self.client, identity.bot_user_id, settings.slack_admins, settings.slack_coaches)
        payments = own.payments_channel or settings.slack_payments_channel
        approvals = club.slack_approvals_channel or settings.slack_approvals_channel or payments
        return ClubDesk(own.client, own.people, payments, approvals, own.bot_user_id)

    def _desk(
        self,
        club: Club,
        client: AsyncWebClient,
        bot_user_id: str | None,
        admins: tuple[str, ...] = (),
        coaches: tuple[str, ...] = (),
    ) -> ClubDesk:
        admins, coaches = (*admins, *club.slack_admins), (*coaches, *club.slack_coaches)
        # Kept, because it remembers who is in which user group.
        people = self._people.setdefault((club.id, client.token, admins, coaches), People(client, admins, coaches))
        payments = club.slack_payments_channel
        return ClubDesk(client, people, payments, club.slack_approvals_channel or payments, bot_user_id)

    async def _is_settings_club(self, club: Club, team_id: str | None) -> bool:
        """Say whether `SLACK_BOT_TOKEN` is this club's: it is where there is no other club that it could be."""
        if self._settings.slack_bot_token is None:
            return False
        if team_id is not None and team_id == self.workspace.known_team:
            return True
        with tenant_scope(None):
            async with self._database.reading() as conn:
                clubs = await all_clubs(conn)
        if len(clubs) == 1:
            return True
        return club.slack_team_id is not None and (await self.workspace.identity()).team_id == club.slack_team_id

    async def _installed(self, team_id: str | None) -> InstalledBot | None:
        if self.installations is None or team_id is None:
            return None
        read_at, bot = self._bots.get(team_id, (float("-inf"), None))
        if self._clock() >= read_at + TOKENS_LAST_SECONDS:
            with tenant_scope(None):
                bot = await self.installations.async_find_bot(enterprise_id=None, team_id=team_id)
            self._bots[team_id] = (self._clock(), bot)
        return bot

    async def forget(self, team_id: str, told_of: int) -> bool:
        """Forget the token of a workspace that took the app out, as Slack told at `told_of` (Unix seconds).

        Returns whether there was one: not where the settings have the token, or the app was let in again since.
        Other processes know within a minute, and are refused by Slack until then.
        """
        if self.installations is None:
            return False
        with tenant_scope(None):
            is_forgotten = await self.installations.async_forget(team_id, told_of)
        self.read_again(team_id)
        return is_forgotten

    def read_again(self, team_id: str) -> None:
        """Have a workspace's token read anew the next time that it is needed, since it changed."""
        self._bots.pop(team_id, None)

    def _client_with(self, token: str) -> AsyncWebClient:
        client = self._clients.get(token)
        if client is None:
            client = self._clients[token] = build_client(self._settings, token)
            client.session = self._session
        return client
