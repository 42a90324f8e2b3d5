"""A blast's mails: claimed, re-checked, handed over at most once, and counted."""

import time
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import exists, or_, update

from core.blast_claims import BlastClaims, Claim
from core.blast_ledger import BlastLedger
from core.clock import Clock
from core.database import Database
from core.errors import AddressRefusedError, MailDeferredError, MailRefusedError, MailUncertainError
from core.family_mail import FamilyMails
from core.jobs import JobQueue, wait_before_next
from core.mail import Mailer
from core.models import Blast, BlastRecipient
from core.models.statuses import BlastStatus, RecipientStatus
from core.references import new_reference

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8
PROGRESS_EVERY = timedelta(seconds=4)


class BlastSender:
    """Sends families' mails of a blast.

    A job that takes longer than `stretch` hands the rest on, so that others' mails come in between and whoever
    ends this process does not have to wait long.
    """

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        mailer: Mailer,
        mails: FamilyMails,
        clock: Clock,
        *,
        stretch: timedelta = timedelta(seconds=3),
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mailer = mailer
        self._clock = clock
        self._stretch = stretch.total_seconds()
        self._ledger = BlastLedger(database, jobs, BlastClaims(jobs, mailer, mails, clock))

    async def send(self, blast_id: int, parent_id: int) -> None:
        """Send this family's mail unless it was sent, skipped or stopped (the background's task).

        Raises:
            MailDeferredError: the mail server refused for now; the queue tries again later.
        """
        await self._send(blast_id, parent_id)
        await self._after(blast_id)

    async def send_several(self, blast_id: int, parent_ids: Sequence[int]) -> None:
        """Send these families' mails one after the other, as `send` does (the background's task).

        What takes too long, or has to be tried again, is enqueued anew, so that no family's trouble is another's.
        """
        begun = time.monotonic()
        for sent, parent_id in enumerate(parent_ids):
            if sent and time.monotonic() - begun > self._stretch:
                await self._enqueue(blast_id, parent_ids[sent:])
                break
            await self._send_or_leave(blast_id, parent_id)
        await self._after(blast_id)

    async def _enqueue(self, blast_id: int, parent_ids: Sequence[int]) -> None:
        async with self._database.transaction() as conn:
            await self._jobs.send_blast_mails(conn, blast_id, parent_ids)

    async def _send_or_leave(self, blast_id: int, parent_id: int) -> None:
        try:
            await self._send(blast_id, parent_id, is_alone=False)
        except Exception:
            # A job of its own keeps what is wrong with it, and is tried again like any other.
            log.warning("blast_mail_left", blast_id=blast_id, parent_id=parent_id, exc_info=True)
            await self._enqueue(blast_id, [parent_id])

    async def _send(self, blast_id: int, parent_id: int, *, is_alone: bool = True) -> None:
        async with self._mailer.turn():
            claim = await self._ledger.claim(blast_id, parent_id)
            problem = None if claim is None else await self._deliver(claim)
        # Others have the connection from here on.
        if claim is not None:
            await self._end(claim, problem, is_alone=is_alone)

    async def _deliver(self, claim: Claim) -> Exception | None:
        """Hand a mail over; returns what went wrong."""
        try:
            await self._mailer.deliver(
                claim.mail, to_address=claim.to_address, to_name=claim.to_name, message_id=claim.message_id
            )
        except Exception as error:  # noqa: BLE001 - it is written down, and then raised
            return error
        return None

    async def _end(self, claim: Claim, problem: Exception | None, *, is_alone: bool) -> None:
        match problem:
            case None:
                await self._ledger.end(claim, RecipientStatus.SENT)
            case MailDeferredError():
                await self._defer(claim, problem, is_alone=is_alone)
            case MailRefusedError():
                is_address = isinstance(problem, AddressRefusedError)
                await self._ledger.end(claim, RecipientStatus.FAILED, str(problem), is_address_refused=is_address)
            case MailUncertainError():
                await self._ledger.end(claim, RecipientStatus.UNCERTAIN, str(problem))
            case _:
                words = f"Something went wrong on our side ({new_reference()})."
                await self._ledger.end(claim, RecipientStatus.FAILED, words)
                raise problem

    async def _defer(self, claim: Claim, error: MailDeferredError, *, is_alone: bool) -> None:
        """Give the family back to the queue, which tries again later; give up after a while."""
        if claim.attempt >= MAX_ATTEMPTS:
            words = f"{error} (tried {claim.attempt} times)"
            await self._ledger.end(claim, RecipientStatus.FAILED, words)
            return
        # Alone, the job is tried again itself; one with others' mails goes on with those.
        wait = None if is_alone else wait_before_next(error, attempts=claim.attempt - 1)
        await self._ledger.end(claim, RecipientStatus.PENDING, f"{error} Trying again.", again_after=wait)
        if is_alone:
            raise error

    async def _after(self, blast_id: int) -> None:
        """Close the blast once nobody is left, and let its message be refreshed now and then.

        In a transaction of its own: two last mails that end together must each see the other's end.
        """
        now = self._clock()
        unfinished = exists().where(
            BlastRecipient.blast_id == Blast.id,
            BlastRecipient.status.in_([RecipientStatus.PENDING, RecipientStatus.SENDING]),
        )
        under_way = Blast.status.in_([BlastStatus.APPROVED, BlastStatus.SENDING])
        stale = or_(Blast.progress_at.is_(None), Blast.progress_at < now - PROGRESS_EVERY)
        async with self._database.transaction() as conn:
            done = await conn.scalar(
                update(Blast)
                .where(Blast.id == blast_id, under_way, ~unfinished)
                .values(status=BlastStatus.DONE, finished_at=now, progress_at=now)
                .returning(Blast.id)
            )
            progressed = done or await conn.scalar(
                update(Blast)
                .where(Blast.id == blast_id, under_way, stale)
                .values(status=BlastStatus.SENDING, progress_at=now)
                .returning(Blast.id)
            )
            if progressed:
                await self._jobs.refresh_blast_message(conn, blast_id)
