"""The workspaces that installed the app, and their tokens, encrypted: Slack's own store with a lock on it."""

from copy import copy

from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.sqlalchemy import AsyncSQLAlchemyInstallationStore

from bot.slack_calls import QUIET
from core.database import Database
from core.sealing import Sealer

_SECRETS = ("bot_token", "bot_refresh_token", "user_token", "user_refresh_token", "incoming_webhook_url")


class SealedInstallations(AsyncSQLAlchemyInstallationStore):
    """Keeps installations in `slack_bots` and `slack_installations`; no secret is written as it is.

    A workspace is found by its own id alone, which no other has, also where it is part of an organization: a club
    knows no more of it.
    """

    def __init__(self, client_id: str, database: Database, sealer: Sealer) -> None:
        # The library opens transactions in its own way.
        engine = database.engine.execution_options(isolation_level="READ COMMITTED")
        super().__init__(client_id=client_id, engine=engine, logger=QUIET)
        self._sealer = sealer

    async def async_save(self, installation: Installation) -> None:
        """Keep an installation; the library keeps its bot, sealed as well, along with it."""
        await super().async_save(self._sealed(installation))

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """Return a workspace's bot.

        Raises:
            SettingsError: where its token was encrypted with a key that `SECRET_KEY` has no more.
        """
        found = await super().async_find_bot(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        if found is not None and found.bot_token:
            found.bot_token = self._sealer.open(found.bot_token)
        return found

    async def async_forget(self, team_id: str, told_of: int) -> bool:
        """Delete a workspace's installations, unless it let us in again since `told_of` (Unix seconds).

        Returns whether any were there to delete.
        """
        # As it is stored: a key that was lost must not keep the token here.
        kept = await super().async_find_bot(enterprise_id=None, team_id=team_id)
        # Slack leaves the fraction of a second out.
        if kept is None or int(kept.installed_at) > told_of:
            return False
        await self.async_delete_all(enterprise_id=None, team_id=team_id)
        return True

    def _sealed(self, installation: Installation) -> Installation:
        sealed = copy(installation)
        sealed.enterprise_id = None
        for name in _SECRETS:
            secret = getattr(installation, name)
            if secret:
                setattr(sealed, name, self._sealer.seal(secret))
        return sealed
