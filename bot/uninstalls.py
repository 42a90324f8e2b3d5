"""A workspace takes the app out again: its token is worth nothing from then on, so it is forgotten.

Follows https://docs.slack.dev/reference/events/app_uninstalled and …/tokens_revoked. The club itself stays, with
all its books; a new link (`sideline club invite`) connects its workspace again.
"""

from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from bot.gate import Desk

log = structlog.get_logger(__name__)

Json = dict[str, Any]


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = Uninstalls(desk)
    app.event("app_uninstalled")(handlers.uninstalled)
    app.event("tokens_revoked")(handlers.revoked)


class Uninstalls:
    """The handlers. Slack may tell late, again, and of both in any order."""

    def __init__(self, desk: Desk) -> None:
        self._clubs = desk.clubs

    async def uninstalled(self, body: Json) -> None:
        """Somebody removed the app from their workspace."""
        await self._forget(body)

    async def revoked(self, body: Json, event: Json) -> None:
        """Tokens were taken back; only the bot's is one that we have."""
        if event.get("tokens", {}).get("bot"):
            await self._forget(body)

    async def _forget(self, body: Json) -> None:
        team_id, told_of = str(body.get("team_id") or ""), int(body.get("event_time") or 0)
        is_forgotten = await self._clubs.forget(team_id, told_of)
        log.warning("slack_app_uninstalled", team=team_id, is_forgotten=is_forgotten)
