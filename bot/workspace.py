"""Which club a workspace belongs to, and whether a workspace belongs to one at all."""

import asyncio

from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack_calls import call
from core.club import Club, all_clubs
from core.database import Database

# Somebody waits, and Slack gives us three seconds.
PATIENCE_SECONDS = 2.0


class Workspace:
    """Finds clubs by their workspace; knows whose the bot token is once Slack has said so."""

    def __init__(self, database: Database, client: AsyncWebClient) -> None:
        self._database = database
        self._client = client
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
        async with self._database.transaction() as conn:
            clubs = await all_clubs(conn)
        for club in clubs:
            if club.slack_team_id == team_id:
                return club
        if len(clubs) == 1 and clubs[0].slack_team_id is None:
            return clubs[0] if (await self.identity()).team_id == team_id else None
        return None

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

    def known_identity(self, team_id: str | None) -> AuthorizeResult:
        """Return who the bot token is, as far as it is known: answering must not depend on Slack's API."""
        return self._own or AuthorizeResult(
            enterprise_id=None, team_id=team_id, bot_token=self._client.token, bot_scopes=""
        )
