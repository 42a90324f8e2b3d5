"""What a blast's mail looks like: the one that its first family would get now, mailed to a colleague."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import family_items
from core.audit import record_change
from core.blasts import load_blast
from core.club import Club
from core.database import Database
from core.email_log import NewAttempt, add_attempt, finish_attempt
from core.errors import AlreadyDoneError, MailUncertainError, SidelineError
from core.family_mail import FamilyMails
from core.mail import Mailer
from core.models import BlastRecipient
from core.models.statuses import EmailStatus, RecipientStatus
from core.rendering import FamilyMail, subject_of

PREFIX = "[Test] "
_FAMILIES_TRIED = 20


class BlastSamples:
    """Mails samples, each of them logged and in the audit log: it shows a family's links to somebody else."""

    def __init__(self, database: Database, mailer: Mailer, mails: FamilyMails) -> None:
        self._database = database
        self._mailer = mailer
        self._mails = mails

    async def send(self, club: Club, blast_id: int, *, to_address: str, to_name: str, actor: str) -> None:
        """Mail a sample at once; somebody waits for it.

        Raises:
            NotFoundError: no such blast in this club.
            AlreadyDoneError: where none of the first families owes anything any more.
            MailDeferredError, MailRefusedError, MailUncertainError
        """
        message_id = self._mailer.new_message_id()
        async with self._database.transaction() as conn:
            mail = await _sample_mail(conn, self._mails, club, blast_id)
            attempt = NewAttempt(
                tenant_id=club.id,
                parent_id=None,
                email_type=mail.kind,
                to_address=to_address,
                subject=PREFIX + subject_of(mail),
                status=EmailStatus.SENDING,
                message_id=message_id,
                requested_by=actor,
            )
            log_id = await add_attempt(conn, attempt)
            await record_change(conn, club.id, actor, "blast.test", f"blast:{blast_id}", after={"to": to_address})
        try:
            async with self._mailer.turn():
                await self._mailer.deliver(
                    mail, to_address=to_address, to_name=to_name, message_id=message_id, subject_prefix=PREFIX
                )
        except SidelineError as error:
            is_uncertain = isinstance(error, MailUncertainError)
            status = EmailStatus.UNCERTAIN if is_uncertain else EmailStatus.FAILED
            await self._finish(log_id, status, str(error))
            raise
        await self._finish(log_id, EmailStatus.SENT)

    async def _finish(self, log_id: int, status: EmailStatus, words: str | None = None) -> None:
        async with self._database.transaction() as conn:
            await finish_attempt(conn, log_id, status, words)


async def _sample_mail(conn: AsyncConnection, mails: FamilyMails, club: Club, blast_id: int) -> FamilyMail:
    blast = await load_blast(conn, club.id, blast_id)
    parent_ids = await conn.scalars(
        select(BlastRecipient.parent_id)
        .where(BlastRecipient.blast_id == blast_id, BlastRecipient.status != RecipientStatus.SKIPPED)
        .order_by(BlastRecipient.parent_id)
        .limit(_FAMILIES_TRIED)
    )
    for parent_id in parent_ids:
        items = await family_items(conn, club.id, blast.query, parent_id, mails.today(club))
        if items:
            prorate = not blast.query.skip_proration
            return mails.compose(club, blast.kind, items, blast.note, prorate=prorate)
    raise AlreadyDoneError("The first families of this blast owe nothing any more, so there is no mail to show.")
