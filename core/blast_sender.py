"""A blast's mails, one job a family: claimed, re-checked, handed over at most once, and counted."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Row, exists, or_, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import AudienceQuery, SkipReason, family_items
from core.balances import OwedItem
from core.clock import Clock, local_date
from core.club import Club, club_by_id
from core.database import Database
from core.email_log import LEFT_BEHIND, NewAttempt, add_attempt, finish_attempt
from core.errors import AddressRefusedError, MailDeferredError, MailRefusedError, MailUncertainError
from core.family_mail import FamilyMails
from core.jobs import JobQueue
from core.mail import Mailer
from core.models import Blast, BlastRecipient, EmailLog
from core.models.statuses import BlastStatus, EmailStatus, EmailType, RecipientStatus
from core.references import new_reference
from core.reminder_sending import opens_at, still_to_remind_of
from core.rendering import FamilyMail, subject_of

MAX_ATTEMPTS = 8
PROGRESS_EVERY = timedelta(seconds=4)
PAID_MEANWHILE = "nothing is owed any more"


@dataclass(frozen=True, slots=True)
class Claim:
    """One family's mail, taken by this process; committed as `sending` before anything is handed over."""

    blast_id: int
    parent_id: int
    tenant_id: int
    log_id: int
    attempt: int
    mail: FamilyMail
    to_address: str
    to_name: str
    message_id: str


class BlastSender:
    """Sends one family's mail of a blast."""

    def __init__(
        self, database: Database, jobs: JobQueue, mailer: Mailer, mails: FamilyMails, clock: Clock
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mailer = mailer
        self._mails = mails
        self._clock = clock

    async def send(self, blast_id: int, parent_id: int) -> None:
        """Send this family's mail unless it was sent, skipped or stopped (the background's task).

        Raises:
            MailDeferredError: the mail server refused for now; the queue tries again later.
        """
        async with self._mailer.turn():
            async with self._database.transaction() as conn:
                claim = await self._claim(conn, blast_id, parent_id)
            if claim is not None:
                await self._deliver(claim)
        await self._after(blast_id)

    async def _claim(self, conn: AsyncConnection, blast_id: int, parent_id: int) -> Claim | None:
        row = await self._take(conn, blast_id, parent_id)
        if row is None:
            await self._give_up_on_left_behind(conn, blast_id, parent_id)
            return None
        club = await club_by_id(conn, row.tenant_id)
        query = AudienceQuery(EmailType(row.kind), **row.audience)
        now = self._clock()
        if query.is_reminder and (begin := await opens_at(conn, club, now)) > now:
            await self._wait(conn, blast_id, parent_id, begin - now)
            return None
        items = await family_items(conn, club.id, query, parent_id, local_date(now, club.time_zone))
        reason = _why_not(items)
        if reason is None and query.is_reminder:
            items, reason = await still_to_remind_of(conn, club, blast_id, items, now)
        if reason is not None:
            await _set_recipient(conn, blast_id, parent_id, RecipientStatus.SKIPPED, reason)
            return None
        return await self._log(conn, club, row, items)

    async def _take(self, conn: AsyncConnection, blast_id: int, parent_id: int) -> Row[tuple[object, ...]] | None:
        """Compare-and-set `pending → sending`, while the blast may be sent at all."""
        return (
            await conn.execute(
                update(BlastRecipient)
                .where(
                    BlastRecipient.blast_id == blast_id,
                    BlastRecipient.parent_id == parent_id,
                    BlastRecipient.status == RecipientStatus.PENDING,
                    Blast.id == BlastRecipient.blast_id,
                    Blast.status.in_([BlastStatus.APPROVED, BlastStatus.SENDING]),
                )
                .values(status=RecipientStatus.SENDING, attempts=BlastRecipient.attempts + 1)
                .returning(
                    BlastRecipient.blast_id,
                    BlastRecipient.parent_id,
                    BlastRecipient.attempts,
                    Blast.tenant_id,
                    Blast.kind,
                    Blast.audience,
                    Blast.note,
                    Blast.requested_by,
                )
            )
        ).one_or_none()

    async def _log(
        self, conn: AsyncConnection, club: Club, row: Row[tuple[object, ...]], items: list[OwedItem]
    ) -> Claim:
        query = AudienceQuery(EmailType(row.kind), **row.audience)
        mail = self._mails.compose(club, query.kind, items, row.note, prorate=not query.skip_proration)
        address, message_id = items[0].parent_email or "", self._mailer.new_message_id()
        log_id = await add_attempt(
            conn,
            NewAttempt(
                tenant_id=club.id,
                parent_id=row.parent_id,
                email_type=EmailType(row.kind),
                to_address=address,
                subject=subject_of(mail),
                status=EmailStatus.SENDING,
                order_ids=tuple(item.order_id for item in items),
                message_id=message_id,
                blast_id=row.blast_id,
                attempt=row.attempts,
                requested_by=row.requested_by,
            ),
        )
        return Claim(
            blast_id=row.blast_id,
            parent_id=row.parent_id,
            tenant_id=club.id,
            log_id=log_id,
            attempt=row.attempts,
            mail=mail,
            to_address=address,
            to_name=items[0].parent_name,
            message_id=message_id,
        )

    async def _wait(self, conn: AsyncConnection, blast_id: int, parent_id: int, time: timedelta) -> None:
        """Give the family back until reminders may go out again; that is no attempt."""
        await conn.execute(
            update(BlastRecipient)
            .where(BlastRecipient.blast_id == blast_id, BlastRecipient.parent_id == parent_id)
            .values(status=RecipientStatus.PENDING, attempts=BlastRecipient.attempts - 1)
        )
        await self._jobs.send_blast_mails(conn, blast_id, [parent_id], after=time)

    async def _give_up_on_left_behind(self, conn: AsyncConnection, blast_id: int, parent_id: int) -> None:
        """A claim found in `sending` is a dead process's: whether the mail went out, nobody knows."""
        changed = await conn.execute(
            update(BlastRecipient)
            .where(
                BlastRecipient.blast_id == blast_id,
                BlastRecipient.parent_id == parent_id,
                BlastRecipient.status == RecipientStatus.SENDING,
            )
            .values(status=RecipientStatus.UNCERTAIN, error=LEFT_BEHIND)
        )
        if changed.rowcount:
            await conn.execute(
                update(EmailLog)
                .where(
                    EmailLog.blast_id == blast_id,
                    EmailLog.parent_id == parent_id,
                    EmailLog.status == EmailStatus.SENDING,
                )
                .values(status=EmailStatus.UNCERTAIN, error=LEFT_BEHIND)
            )

    async def _deliver(self, claim: Claim) -> None:
        try:
            await self._mailer.deliver(
                claim.mail, to_address=claim.to_address, to_name=claim.to_name, message_id=claim.message_id
            )
        except MailDeferredError as error:
            await self._defer(claim, error)
        except MailRefusedError as error:
            is_address = isinstance(error, AddressRefusedError)
            await self._finish(claim, RecipientStatus.FAILED, str(error), is_address_refused=is_address)
        except MailUncertainError as error:
            await self._finish(claim, RecipientStatus.UNCERTAIN, str(error))
        except Exception:
            words = f"Something went wrong on our side ({new_reference()})."
            await self._finish(claim, RecipientStatus.FAILED, words)
            raise
        else:
            await self._finish(claim, RecipientStatus.SENT, None)

    async def _defer(self, claim: Claim, error: MailDeferredError) -> None:
        """Give the family back to the queue, which tries again later; give up after a while."""
        if claim.attempt >= MAX_ATTEMPTS:
            await self._finish(claim, RecipientStatus.FAILED, f"{error} (tried {claim.attempt} times)")
            return
        await self._finish(claim, RecipientStatus.PENDING, f"{error} Trying again.")
        raise error

    async def _finish(
        self, claim: Claim, status: RecipientStatus, words: str | None, *, is_address_refused: bool = False
    ) -> None:
        log_status = EmailStatus.FAILED if status is RecipientStatus.PENDING else EmailStatus(status.value)
        async with self._database.transaction() as conn:
            await finish_attempt(conn, claim.log_id, log_status, words, is_address_refused=is_address_refused)
            before = await _set_recipient(conn, claim.blast_id, claim.parent_id, status, words)
            if before == RecipientStatus.UNCERTAIN:
                # Somebody thought this process dead and said so in Slack; the blast may be over since.
                await self._jobs.refresh_blast_message(conn, claim.blast_id)

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


def _why_not(items: list[OwedItem]) -> str | None:
    if not items:
        return PAID_MEANWHILE
    return None if items[0].parent_email else SkipReason.NO_ADDRESS


# A mail that was called uncertain meanwhile and turns out not to have gone is failed, for people to send again:
# the blast may be over, and then nobody else would come back to it.
_SET_RECIPIENT = text("""
    update blast_recipients r
    set error = cast(:error as text),
        status = case
            when was.status = 'uncertain' and :status = 'pending' then 'failed' else cast(:status as text)
        end
    from (
        select status from blast_recipients
        where blast_id = :blast_id and parent_id = :parent_id and status in ('sending', 'uncertain')
        for update
    ) as was
    where r.blast_id = :blast_id and r.parent_id = :parent_id
    returning was.status
""")


async def _set_recipient(
    conn: AsyncConnection, blast_id: int, parent_id: int, status: RecipientStatus, words: str | None
) -> str | None:
    """Write down what became of a claimed family's mail; returns the status that it had until now."""
    told = {"blast_id": blast_id, "parent_id": parent_id, "status": status.value, "error": words}
    before: str | None = await conn.scalar(_SET_RECIPIENT, told)
    return before
