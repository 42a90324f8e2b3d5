"""Puts the bot together: one Bolt app, all its handlers, and Socket Mode where it is asked for."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterator

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import (
    blasts,
    change_modal,
    charge_modal,
    dues,
    failed_jobs,
    holds,
    home,
    lookup,
    matching,
    order_menu,
    payment_modal,
    reconciliation,
    refund_offer,
    reminders,
    resend,
    shortcut,
    uninstalls,
)
from bot.background import Background
from bot.club_desks import ClubDesks
from bot.gate import Desk, ScopedApp, authorizer, guard
from bot.slack_calls import QUIET, build_client
from bot.socket_mode import keep_connected
from bot.workspace import CLUBS_LAST_SECONDS
from core.errors import SidelineError
from core.services import Services

log = structlog.get_logger(__name__)

# Bolt would turn its own sign-up flow on where it finds these, and drop our token.
_OAUTH_VARIABLES = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
_TIMEOUT = aiohttp.ClientTimeout(total=20)


class Bot:
    """The bot of one process. `app` answers Slack's requests, `client` is what posts go through."""

    def __init__(self, app: AsyncApp, desk: Desk) -> None:
        self.app = app
        self.client: AsyncWebClient = desk.clubs.client
        self.clubs = desk.clubs
        self._desk = desk
        self._socket: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the connections, learn who the token is and, with `SLACK_APP_TOKEN`, begin Socket Mode.

        Slack being away is logged and does not keep the process from starting.
        """
        self.clubs.open(aiohttp.ClientSession(timeout=_TIMEOUT))
        settings = self._desk.services.settings
        if settings.slack_bot_token is not None:
            await self._greet()
        token = settings.slack_app_token
        if token is not None:
            self._socket = asyncio.create_task(keep_connected(self.app, self.client, token.get_secret_value()))

    async def _greet(self) -> None:
        try:
            identity = await self.clubs.workspace.identity()
            log.info("slack_connected", team=identity.team_id, bot=identity.bot_user_id)
        except SidelineError as error:
            log.warning("slack_not_reached", error=str(error))

    async def close(self) -> None:
        """Let what is under way end, then close the connections."""
        if self._socket is not None:
            self._socket.cancel()
            await asyncio.gather(self._socket, return_exceptions=True)
        await self._desk.background.drain()
        if self.client.session is not None:
            await self.client.session.close()


def build_bot(services: Services, *, clubs_last_seconds: float = CLUBS_LAST_SECONDS) -> Bot:
    """Build the bot. Connects to nothing yet. A change of a club's details is seen after so many seconds."""
    settings = services.settings
    client = build_client(settings)
    clubs = ClubDesks(services, client, clubs_last_seconds=clubs_last_seconds)
    desk = Desk(services=services, clubs=clubs, background=Background())
    given = settings.slack_signing_secret
    with _without_oauth():
        app = ScopedApp(
            name="sideline",
            logger=QUIET,
            client=client,
            authorize=authorizer(desk.clubs),
            # Without one (Socket Mode), nobody may know what a signature would be made with.
            signing_secret=given.get_secret_value() if given else secrets.token_hex(),
            # The answer travels in the acknowledgement; otherwise Bolt polls for it.
            process_before_response=True,
            # What we have no use for.
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
            ssl_check_enabled=False,
        )
    guard(app, desk)
    for part in (lookup, resend, blasts, matching, dues, home, shortcut, reconciliation):
        part.register(app, desk)
    for part in (order_menu, payment_modal, change_modal, charge_modal, refund_offer, reminders, holds):
        part.register(app, desk)
    failed_jobs.register(app, desk)
    uninstalls.register(app, desk)
    return Bot(app, desk)


@contextlib.contextmanager
def _without_oauth() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in _OAUTH_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
