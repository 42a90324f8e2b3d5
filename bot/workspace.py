"""Which club a workspace belongs to, and whether a workspace belongs to one at all."""

import asyncio
import time

from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack_calls import call
from core.club import Club, club_by_team
from core.database import Database

# Somebody waits, and Slack gives us three seconds.
PATIENCE_SECONDS = 2.0
# For how long what is known of a club is used without asking again: a burst of requests asks once.
CLUBS_LAST_SECONDS = 1.0


class Workspace:
    """Finds clubs by their workspace; knows whose the bot token is once Slack has said so."""

    def __init__(
        self, database: Database, client: AsyncWebClient, clubs_last_seconds: float = CLUBS_LAST_SECONDS
    ) -> None:
        self._database = database
        self._client = client
        self._clubs_last_seconds = clubs_last_seconds
        self._read_at = float("-inf")
        self._clubs: dict[str, Club | None] = {}
        self._own: AuthorizeResult | None = None
        self._asking = asyncio.Lock()

    async def club_of(self, team_id: str | None) -> Club | None:
        """Return the club of a workspace; None where it is no club's.

        A lone club that was set up without naming its workspace belongs to the bot token's own.

        Raises:
            SlackBusyError, SlackRefusedError: where that has to be asked for and can't be.
        """
        if not team_id:
            return None
        club = await self._club_now(team_id)
        if club is not None and club.slack_team_id is None:
            return club if (await self.identity()).team_id == team_id else None
        return club

    async def _club_now(self, team_id: str) -> Club | None:
        now = time.monotonic()
        if now >= self._read_at + self._clubs_last_seconds:
            self._read_at, self._clubs = now, {}
        if team_id not in self._clubs:
            async with self._database.reading() as conn:
                self._clubs[team_id] = await club_by_team(conn, team_id)
        return self._clubs[team_id]

    async def identity(self) -> AuthorizeResult:
        """Return who the bot token is, asking Slack the first time and after failures.

        Raises:
            SlackBusyError, SlackRefusedError
        """
        async with self._asking:
            if self._own is None:
                answer = await call(self._client.auth_test(), within=PATIENCE_SECONDS)
                self._own = AuthorizeResult(
                    enterprise_id=answer.get("enterprise_id"),
                    team_id=answer.get("team_id"),
                    bot_id=answer.get("bot_id"),
                    bot_user_id=answer.get("user_id"),
                    bot_token=self._client.token,
                    bot_scopes=answer["scopes"],
                )
        return self._own

    @property
    def known_team(self) -> str | None:
        """The bot token's workspace, once Slack has said so."""
        return self._own.team_id if self._own is not None else None

    def known_identity(self, team_id: str | None) -> AuthorizeResult:
        """Return who the bot token is, as far as it is known: answering must not depend on Slack's API."""
        return self._own or AuthorizeResult(
            enterprise_id=None, team_id=team_id, bot_token=self._client.token, bot_scopes=""
        )
