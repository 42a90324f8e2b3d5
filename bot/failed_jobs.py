"""The buttons beside failed background jobs on the admins' home tab."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.failed_jobs_view import DISMISS, RETRY, RETRY_ALL
from bot.gate import Asker, Desk
from bot.home import show_home
from bot.reply import Reply
from bot.values import read_id
from core.errors import AlreadyDoneError
from core.failed_jobs import dismiss_job, retry_all, retry_job

AGAIN = "have failed work tried again"
Json = dict[str, Any]


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handlers."""
    handlers = FailedJobHandlers(desk)
    app.action(RETRY)(handlers.retry)
    app.action(RETRY_ALL)(handlers.retry_all)
    app.action(DISMISS)(handlers.dismiss)


class FailedJobHandlers:
    """The handlers. The answer is the tab as it is now; who came too late is told who was first as well."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.services.database

    async def retry(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin has one job tried again."""
        self._desk.require_admin(asker, AGAIN)
        job_id = read_id(str(action["value"]))
        return await self._change(
            asker, reply, lambda conn: retry_job(conn, asker.club.id, job_id, actor=asker.user_id)
        )

    async def retry_all(self, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin has everything that failed tried again."""
        self._desk.require_admin(asker, AGAIN)
        return await self._change(asker, reply, lambda conn: retry_all(conn, asker.club.id, actor=asker.user_id))

    async def dismiss(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin lets a failed job be."""
        self._desk.require_admin(asker, "let failed work be")
        job_id = read_id(str(action["value"]))
        return await self._change(
            asker, reply, lambda conn: dismiss_job(conn, asker.club.id, job_id, actor=asker.user_id)
        )

    async def _change(
        self, asker: Asker, reply: Reply, change: Callable[[AsyncConnection], Awaitable[object]]
    ) -> BoltResponse:
        """Make a change before Slack is told so; the tab then shows what is left."""
        try:
            async with self._database.transaction() as conn:
                await change(conn)
        except AlreadyDoneError as error:
            # The tab showed a button that was over.
            self._desk.background.start(show_home(self._desk, asker))
            return await reply.error(error)
        return await reply.later(lambda: show_home(self._desk, asker))
