"""`/dues [TEAM | help]`: the overview, for the asker only."""

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

from bot.dues_report import HOW_TO, dues_blocks, dues_text
from bot.gate import Asker, Desk
from bot.reply import Reply
from core.clock import local_date
from core.dues import dues_report, find_team


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.command("/dues")(Dues(desk).dues)


class Dues:
    """The handler."""

    def __init__(self, desk: Desk) -> None:
        self._services = desk.services

    async def dues(self, command: dict[str, Any], asker: Asker, reply: Reply) -> BoltResponse:
        """`/dues [TEAM | help]`."""
        typed = str(command.get("text") or "").strip()
        if typed.casefold() == "help":
            return await reply.say(HOW_TO)
        now = self._services.clock()
        async with self._services.database.reading() as conn:
            team_id = (await find_team(conn, asker.club.id, typed))[0] if typed else None
            report = await dues_report(conn, asker.club, now, team_id)
        today = local_date(now, asker.club.time_zone)
        return await reply.say(dues_text(report, asker.club), dues_blocks(report, asker.club, today))
