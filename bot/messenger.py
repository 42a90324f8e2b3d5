"""The background's voice in Slack: notices, blasts' messages, and words to one person."""

from collections.abc import Sequence
from typing import Any

import structlog
from slack_sdk.models.blocks import Block
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.blast_message import blast_blocks, blast_text
from bot.club_desks import ClubDesk, ClubDesks
from bot.notices import notice_blocks, notice_text
from bot.reconciliation import reconciliation_blocks, reconciliation_text
from bot.slack_calls import SlackBusyError, SlackRefusedError, call
from bot.text import escape, is_user_id
from core.audiences import audience_in_words
from core.blasts import BlastView, load_blast
from core.clock import local_date
from core.club import Club, club_by_id
from core.errors import InvalidInputError, NotFoundError
from core.models import Blast
from core.notice_facts import NoticeView, claim_notice, finish_notice, load_posted, release_notice
from core.reconcile_findings import Run, load_run, mark_posted
from core.services import Services

log = structlog.get_logger(__name__)

# Slack takes about one message a second in a channel, and fifty updates a minute altogether.
POSTS_A_SECOND, UPDATES_A_SECOND = 0.9, 0.7
NO_PAYMENTS_CHANNEL = "SLACK_PAYMENTS_CHANNEL is not set"
NO_APPROVALS_CHANNEL = "SLACK_APPROVALS_CHANNEL is not set"
NOT_INSTALLED = (
    "Sideline is not installed in the club's Slack workspace (any more): send its admin the link that "
    "`sideline club invite --club NAME` makes"
)
# What a message that is to be updated can't be any more; a new one takes its place.
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_archived"}


class SlackMessenger:
    """Posts to the club's channels; implements `core.messenger.Messenger`."""

    def __init__(self, services: Services, clubs: ClubDesks) -> None:
        self._services = services
        self._clubs = clubs

    async def post_notice(self, notice_id: int) -> None:
        """Post a notice to the payments channel, once.

        Raises:
            SlackBusyError: not posted; the queue tries again.
        """
        async with self._services.database.transaction() as conn:
            notice = await claim_notice(conn, notice_id)
        if notice is None:
            return
        try:
            desk = await self._clubs.of(notice.club)
            if desk is None:
                await self._give_up(notice, NOT_INSTALLED)
                return
            channel = desk.payments_channel
            if channel is None:
                await self._give_up(notice, NO_PAYMENTS_CHANNEL)
                return
            ts = await self._post_notice(desk, notice, channel)
        except SlackRefusedError as error:
            await self._give_up(notice, str(error))
        except SlackBusyError as error:
            await self._put_back(notice, error)
            raise
        else:
            async with self._services.database.transaction() as conn:
                await finish_notice(conn, notice_id, channel=channel, ts=ts)

    async def _post_notice(self, desk: ClubDesk, notice: NoticeView, channel: str) -> str:
        today = local_date(self._services.clock(), notice.club.time_zone)
        return await self._post(desk, channel, notice_text(notice), notice_blocks(notice, today))

    async def refresh_notice(self, notice_id: int) -> None:
        """Bring a posted notice up to date, one at a time, so that an older state never overwrites a newer one.

        Raises:
            SlackBusyError: not done; the queue tries again.
        """
        async with self._services.database.transaction() as conn:
            await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"notice:{notice_id}", 0))))
            posted = await load_posted(conn, notice_id)
            if posted is None:
                return
            today = local_date(self._services.clock(), posted.view.club.time_zone)
            text, blocks = notice_text(posted.view), notice_blocks(posted.view, today)
            try:
                desk = await self._clubs.of(posted.view.club)
                if desk is not None:
                    await self._update(desk, posted.channel, posted.ts, text, blocks)
            except SlackRefusedError as error:
                log.error("notice_not_refreshed", notice_id=notice_id, error=str(error))  # noqa: TRY400 - the sentence says it all

    async def _give_up(self, notice: NoticeView, words: str) -> None:
        log.error("notice_not_posted", notice_id=notice.id, error=words)
        async with self._services.database.transaction() as conn:
            await release_notice(conn, notice, words, for_good=True)

    async def _put_back(self, notice: NoticeView, error: SlackBusyError) -> None:
        """Give the notice back, unless it may have arrived: then it stays claimed, and the next try says so."""
        if not error.may_have_arrived:
            async with self._services.database.transaction() as conn:
                await release_notice(conn, notice, str(error), for_good=False)

    async def refresh_blast_message(self, blast_id: int) -> None:
        """Post a blast's message to the approvals channel, or bring it up to date.

        One at a time for each blast, so that there is one message and an older state never overwrites a newer one.
        Of many that wait the last is enough: Slack takes less than one update a second.

        Raises:
            SlackBusyError: not done; the queue tries again.
        """
        async with self._services.database.transaction() as conn:
            if await self._services.jobs.is_refresh_due(conn, blast_id):
                return
            lock = func.pg_advisory_xact_lock(func.hashtextextended(f"blast-message:{blast_id}", 0))
            await conn.execute(select(lock))
            tenant_id = await conn.scalar(select(Blast.tenant_id).where(Blast.id == blast_id))
            if tenant_id is None:
                return
            club = await club_by_id(conn, tenant_id)
            blast = await load_blast(conn, tenant_id, blast_id)
            try:
                desk = await self._clubs.of(club)
                if desk is None or desk.approvals_channel is None:
                    hint = NOT_INSTALLED if desk is None else NO_APPROVALS_CHANNEL
                    log.warning("blast_message_not_posted", blast_id=blast_id, hint=hint)
                    return
                await self._show_blast(conn, desk, club, blast)
            except SlackRefusedError as error:
                log.error("blast_message_not_posted", blast_id=blast_id, error=str(error))  # noqa: TRY400 - the sentence says it all

    async def _show_blast(self, conn: AsyncConnection, desk: ClubDesk, club: Club, blast: BlastView) -> None:
        text, blocks = blast_text(blast, club), blast_blocks(blast, club, await _audience(conn, blast))
        posted = blast.slack_channel and blast.slack_ts
        if posted and await self._update(desk, str(blast.slack_channel), str(blast.slack_ts), text, blocks):
            return
        channel = str(desk.approvals_channel)
        metadata = {"event_type": "sideline_blast", "event_payload": {"blast_id": blast.id}}
        ts = await self._post(desk, channel, text, blocks, metadata)
        await conn.execute(update(Blast).where(Blast.id == blast.id).values(slack_channel=channel, slack_ts=ts))

    async def _update(self, desk: ClubDesk, channel: str, ts: str, text: str, blocks: Sequence[Block]) -> bool:
        """Update a message of ours; say whether it is still there."""
        await self._services.pacer.wait("slack:chat.update", UPDATES_A_SECOND)
        try:
            await call(desk.client.chat_update(channel=channel, ts=ts, text=text, blocks=list(blocks)))
        except SlackRefusedError as error:
            if error.code in _GONE:
                return False
            raise
        return True

    async def refresh_reconciliation(self, run_id: int) -> None:
        """Post the message about a comparison with Stripe to the payments channel, or bring it up to date.

        One at a time for each comparison, like a blast's message.

        Raises:
            SlackBusyError: not done; the queue tries again.
        """
        async with self._services.database.transaction() as conn:
            lock = func.pg_advisory_xact_lock(func.hashtextextended(f"reconciliation:{run_id}", 0))
            await conn.execute(select(lock))
            run = await load_run(conn, run_id)
            try:
                desk = await self._clubs.of(await club_by_id(conn, run.tenant_id))
                if desk is None or desk.payments_channel is None:
                    hint = NOT_INSTALLED if desk is None else NO_PAYMENTS_CHANNEL
                    log.warning("reconciliation_not_posted", run_id=run_id, hint=hint)
                    return
                await self._show_run(conn, desk, run)
            except SlackRefusedError as error:
                log.error("reconciliation_not_posted", run_id=run_id, error=str(error))  # noqa: TRY400 - the sentence says it all

    async def _show_run(self, conn: AsyncConnection, desk: ClubDesk, run: Run) -> None:
        text, blocks = reconciliation_text(run), reconciliation_blocks(run)
        posted = run.slack_channel and run.slack_ts
        if posted and await self._update(desk, str(run.slack_channel), str(run.slack_ts), text, blocks):
            return
        channel = str(desk.payments_channel)
        ts = await self._post(desk, channel, text, blocks)
        await mark_posted(conn, run.id, channel, ts)

    async def tell_person(self, tenant_id: int, user_id: str, text: str) -> None:
        """Tell one person in private; `text` is plain. Callers that are no people are told nothing.

        Raises:
            SlackBusyError: not told; the queue tries again.
        """
        if not is_user_id(user_id):
            return
        async with self._services.database.transaction() as conn:
            club = await club_by_id(conn, tenant_id)
        try:
            desk = await self._clubs.of(club)
            if desk is not None:
                await self._post(desk, user_id, escape(text), [])
        except SlackRefusedError as error:
            log.error("person_not_told", user=user_id, error=str(error))  # noqa: TRY400 - the sentence says it all

    async def _post(
        self,
        desk: ClubDesk,
        channel: str,
        text: str,
        blocks: Sequence[Block],
        metadata: dict[str, Any] | None = None,
    ) -> str:
        await self._services.pacer.wait(f"slack:{channel}", POSTS_A_SECOND)
        posted = desk.client.chat_postMessage(
            channel=channel,
            text=text,
            blocks=list(blocks) or None,
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
        )
        return str((await call(posted))["ts"])


async def _audience(conn: AsyncConnection, blast: BlastView) -> str:
    try:
        return await audience_in_words(conn, blast.tenant_id, blast.query)
    except (InvalidInputError, NotFoundError):
        return "A team or tournament that doesn't exist any more"
