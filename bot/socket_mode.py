"""Socket Mode: Slack's requests over a connection that we open, for clubs without a public address."""

import asyncio

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack_calls import QUIET, SlackBusyError, SlackRefusedError, call

log = structlog.get_logger(__name__)


async def keep_connected(app: AsyncApp, client: AsyncWebClient, app_token: str) -> None:
    """Connect and stay so until cancelled; a dropped connection is opened anew by the library.

    A token that Slack refuses ends it, in one line of the log: the library would try it for ever.
    """
    if not await _is_accepted(client, app_token):
        return
    handler = AsyncSocketModeHandler(app, app_token, logger=QUIET, web_client=client)
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        log.info("socket_mode_connected")
        await asyncio.Event().wait()
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _is_accepted(client: AsyncWebClient, app_token: str) -> bool:
    while True:
        try:
            await call(client.apps_connections_open(app_token=app_token))
        except SlackRefusedError as error:
            log.error("socket_mode_refused", error=str(error), hint="check SLACK_APP_TOKEN (xapp-…)")  # noqa: TRY400 - no trace needed
            return False
        except SlackBusyError as error:
            log.warning("socket_mode_waits", error=str(error))
            await asyncio.sleep(error.retry_after)
        else:
            return True
