"""Calls of Slack's Web API: one client, and its errors as our own types."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from core.errors import SidelineError, SlackUnavailableError
from core.settings import Settings

# Slack's libraries say what they do, bodies and signatures included, at lower levels.
QUIET = logging.getLogger("bot.slack")
QUIET.setLevel(logging.ERROR)

DEFAULT_RETRY_SECONDS = 5.0
# Slack's own name of an error that passes. All others it repeats however often it is asked.
_RATE_LIMITED = {"ratelimited", "rate_limited", "message_limit_exceeded"}
_PASSING = _RATE_LIMITED | {
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}
_AGAIN = "install it again, and set SLACK_BOT_TOKEN where the token is that one"
_WORDS = {
    "channel_not_found": "Slack knows no such channel, or the app was not invited to it",
    "not_in_channel": "the app is not in that channel; invite it with /invite",
    "is_archived": "that channel is archived",
    "invalid_auth": f"the app's token is not valid (any more); {_AGAIN}",
    "token_revoked": f"the app's token was revoked; {_AGAIN}",
    "account_inactive": f"the app was removed from the workspace; {_AGAIN}",
    "missing_scope": "the app lacks a permission; reinstall it from the manifest",
}


class SlackBusyError(SlackUnavailableError):
    """Slack asked to come back after `retry_after` seconds, or did not answer.

    `may_have_arrived`: whether it may have done what it was asked all the same.
    """

    def __init__(self, message: str, retry_after: float, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.may_have_arrived = may_have_arrived


class SlackRefusedError(SidelineError):
    """Slack understood and said no; `code` is its own name for why. Trying again won't help."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Slack refused: {_WORDS.get(code, code)} ({code}).")
        self.code = code


def build_client(settings: Settings, token: str | None = None) -> AsyncWebClient:
    """Return a client with a workspace's token, or with `SLACK_BOT_TOKEN`.

    Only a refusal for now is retried by it. After a server error or a dropped connection the message may have
    arrived, and would be there twice.
    """
    if token is None and settings.slack_bot_token is not None:
        token = settings.slack_bot_token.get_secret_value()
    return AsyncWebClient(
        token,
        base_url=settings.slack_api_base_url.rstrip("/") + "/",
        timeout=15,
        logger=QUIET,
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=1)],
    )


async def call(asked: Awaitable[AsyncSlackResponse], *, within: float | None = None) -> dict[str, Any]:
    """Return Slack's answer.

    Args:
        asked: a method of the client, called.
        within: seconds after which somebody would have waited too long.

    Raises:
        SlackBusyError: no answer, or a request to come back later.
        SlackRefusedError: it said no.
    """
    try:
        async with asyncio.timeout(within):
            answer = await asked
    except SlackApiError as error:
        raise _typed(error) from error
    except aiohttp.ClientConnectorError as error:
        raise _unanswered("Slack cannot be reached; please try again.", may_have_arrived=False) from error
    except (aiohttp.ClientError, SlackClientError, OSError, TimeoutError) as error:
        raise _unanswered("Slack did not answer; please try again.") from error
    # An answer that is no JSON comes as text, or as nothing at all.
    if not isinstance(answer.data, dict):
        raise _unanswered("Slack's answer could not be read; please try again.")
    return answer.data | {"scopes": answer.headers.get("x-oauth-scopes", "")}


def _unanswered(words: str, *, may_have_arrived: bool = True) -> SlackBusyError:
    return SlackBusyError(words, DEFAULT_RETRY_SECONDS, may_have_arrived=may_have_arrived)


def _typed(error: SlackApiError) -> SidelineError:
    response: Any = error.response
    status: int = getattr(response, "status_code", None) or getattr(response, "status", None) or 0
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status < 500 and code and code not in _PASSING:
        return SlackRefusedError(code)
    seconds = _retry_after(getattr(response, "headers", None) or {})
    refused = status == 429 or code in _RATE_LIMITED
    return SlackBusyError("Slack is busy right now; please try again.", seconds, may_have_arrived=not refused)


def _retry_after(headers: Any) -> float:  # noqa: ANN401 - three kinds of mapping, by what went wrong
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return max(float(value), 1.0)
            except ValueError:
                break
    return DEFAULT_RETRY_SECONDS
