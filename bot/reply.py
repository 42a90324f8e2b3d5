"""Answering one person, whatever they did: typed a command, pressed a button, sent a window in.

Slack takes the answer in a different place each time. The commands' goes into the acknowledgement itself, which is
the fastest; a button's goes to its `response_url` or, in a window or the home tab, into another window.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.background import Background
from bot.block_json import blocks_as_json
from bot.blocks import MESSAGE_BLOCKS, section, window
from bot.slack_calls import QUIET, call
from bot.text import escape_sentence
from core.errors import SidelineError
from core.references import new_reference

log = structlog.get_logger(__name__)

TITLE = "Sideline"
PATIENCE_SECONDS = 1.0
Json = dict[str, Any]


def wrong_on_our_side(reference: str) -> str:
    """Return what an unexpected failure says to people; the log holds the rest under the reference."""
    return f"Something went wrong on our side. Reference {reference}"


class Reply:
    """The way back to whoever made a request. The first answer is its acknowledgement too."""

    def __init__(self, body: Json, ack: AsyncAck, client: AsyncWebClient, background: Background) -> None:
        self._body = body
        self._ack = ack
        self._client = client
        self._background = background

    async def say(self, text: str, blocks: Sequence[Block] = ()) -> BoltResponse:
        """Answer so that only this person sees it. `text` is mrkdwn, for notifications where there are blocks."""
        kind = self._body.get("type")
        if "command" in self._body:
            return await self._ack(text=text, blocks=blocks_as_json(blocks), response_type="ephemeral")
        if kind == "view_submission":
            return await self._ack(response_action="update", view=window(TITLE, list(blocks) or [section(text)]))
        if kind == "block_suggestion":
            return await self._ack(options=[])
        if kind not in {"block_actions", "message_action"}:
            return await self._ack()
        sending = self._background.start(self._guarded(lambda: self._send(text, blocks)))
        # The button stops turning when its answer is there; a slow Slack must not cost the acknowledgement.
        await asyncio.wait([sending], timeout=PATIENCE_SECONDS)
        return await self._ack()

    async def error(self, error: SidelineError) -> BoltResponse:
        """Answer with the sentence of an expected failure."""
        return await self.say(escape_sentence(str(error), error.people))

    async def later(self, work: Callable[[], Awaitable[None]]) -> BoltResponse:
        """Acknowledge now and do the work after; what it raises becomes an answer."""
        self._background.start(self._guarded(work))
        return await self._ack()

    async def send(self, text: str, blocks: Sequence[Block] = ()) -> None:
        """Answer after the acknowledgement.

        Raises:
            SlackBusyError, SlackRefusedError
        """
        await self._send(text, blocks)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except SidelineError as error:
            # The sentence is for the person who asked, and names families.
            log.info("answered_with_error", error=type(error).__name__)
            await self._try_to_send(escape_sentence(str(error), error.people))
        except Exception:
            reference = new_reference()
            log.exception("slack_request_failed", reference=reference)
            await self._try_to_send(wrong_on_our_side(reference))

    async def _try_to_send(self, text: str) -> None:
        try:
            await self._send(text, ())
        except Exception:
            # The way to the person is what is broken, so the log is all that is left.
            log.exception("slack_answer_not_delivered")

    async def _send(self, text: str, blocks: Sequence[Block]) -> None:
        if url := self._body.get("response_url"):
            await self._send_to_url(url, text, blocks)
        elif trigger_id := self._body.get("trigger_id"):
            shown = window(TITLE, list(blocks) or [section(text)])
            in_modal = (self._body.get("view") or {}).get("type") == "modal"
            open_it = self._client.views_push if in_modal else self._client.views_open
            await call(open_it(trigger_id=trigger_id, view=shown))

    async def _send_to_url(self, url: str, text: str, blocks: Sequence[Block]) -> None:
        webhook = AsyncWebhookClient(url, timeout=15, session=self._client.session, logger=QUIET)
        answer = await webhook.send(
            text=text,
            blocks=list(blocks[:MESSAGE_BLOCKS]) or None,
            response_type="ephemeral",
            replace_original=False,
        )
        # A response_url answers errors with a status, and the library raises nothing.
        if answer.status_code != 200:
            log.warning("slack_answer_refused", status=answer.status_code, answer=answer.body[:200])
