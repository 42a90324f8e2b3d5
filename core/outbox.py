"""Single mails that somebody asked for: a family's payment links, re-sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import OwedItem, fetch_owed
from core.clock import Clock
from core.club import Club, club_by_id
from core.database import Database
from core.email_log import MailAttempt, NewAttempt, add_attempt, claim_attempt, finish_attempt, give_up_on
from core.errors import (
    AlreadyDoneError,
    InvalidInputError,
    MailDeferredError,
    MailRefusedError,
    MailUncertainError,
)
from core.family_mail import FamilyMails
from core.jobs import JobQueue
from core.mail import Mailer
from core.models import EmailLog, Order
from core.models.statuses import EmailStatus, EmailType
from core.references import new_reference
from core.rendering import subject_of

# Two people pressing, or one pressing twice, must not mail a family twice.
REPEAT_WINDOW = timedelta(minutes=1)
MAX_ATTEMPTS = 8
NOTHING_OWED = "Nothing on it is owed any more, so it was not sent."


@dataclass(frozen=True, slots=True)
class ResendReceipt:
    """What a re-send will mail, to whom."""

    to_address: str
    parent_name: str
    items: tuple[OwedItem, ...]


class Outbox:
    """Takes single mails in, and sends them from the background."""

    def __init__(
        self, database: Database, jobs: JobQueue, mailer: Mailer, mails: FamilyMails, clock: Clock
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mailer = mailer
        self._mails = mails
        self._clock = clock

    async def resend(self, club: Club, order_ids: tuple[int, ...], requested_by: str) -> ResendReceipt:
        """Queue one mail with the payment links of these orders of one family.

        Raises:
            AlreadyDoneError: where nothing is left to pay, or the same was mailed within a minute.
            InvalidInputError: where mail is off, or the family has no address.
        """
        if not self._mailer.is_on:
            raise InvalidInputError("Mail is off: set SMTP_URL and MAIL_FROM. You can still copy the link.")
        async with self._database.transaction() as conn:
            items = await self._payable(conn, club.id, order_ids)
            items = await self._leave_out_repeats(conn, items)
            address = items[0].parent_email
            if not address:
                raise InvalidInputError(f"There is no e-mail address for {items[0].parent_name}; copy the link.")
            mail = self._mails.compose(club, EmailType.PAYMENT_LINK, items)
            log_id = await add_attempt(
                conn,
                NewAttempt(
                    tenant_id=club.id,
                    parent_id=items[0].parent_id,
                    email_type=EmailType.PAYMENT_LINK,
                    to_address=address,
                    subject=subject_of(mail),
                    status=EmailStatus.QUEUED,
                    order_ids=tuple(item.order_id for item in items),
                    requested_by=requested_by,
                ),
            )
            sent = {"order_ids": [item.order_id for item in items], "email_log_id": log_id}
            subject = f"parent:{items[0].parent_id}"
            await record_change(conn, club.id, requested_by, "link.resend", subject, after=sent)
            await self._jobs.send_mail(conn, log_id)
        return ResendReceipt(address, items[0].parent_name, tuple(items))

    async def send(self, email_log_id: int) -> None:
        """Send a queued mail (the background's task). Whatever happens, it goes out at most once."""
        message_id = self._mailer.new_message_id()
        async with self._database.transaction() as conn:
            attempt = await claim_attempt(conn, email_log_id, message_id)
            if attempt is None:
                await give_up_on(conn, email_log_id)
                return
            club = await club_by_id(conn, attempt.tenant_id)
            items = await fetch_owed(conn, club.id, Order.id.in_(attempt.order_ids))
            items = [item for item in items if item.is_payable]
            if not items:
                await finish_attempt(conn, email_log_id, EmailStatus.FAILED, NOTHING_OWED)
                return
        await self._deliver(club, attempt, items, message_id)

    async def _payable(self, conn: AsyncConnection, tenant_id: int, order_ids: tuple[int, ...]) -> list[OwedItem]:
        items = await fetch_owed(conn, tenant_id, Order.id.in_(order_ids))
        payable = [item for item in items if item.is_payable]
        if any(item.is_processing for item in items) and not payable:
            raise AlreadyDoneError("A bank payment for this is on its way; nothing was sent.")
        if items and not payable:
            raise InvalidInputError("The contract isn't signed, so this can't be paid yet; nothing was sent.")
        if not payable:
            raise AlreadyDoneError("Nothing is owed on this any more, so nothing was sent.")
        return payable

    async def _leave_out_repeats(self, conn: AsyncConnection, items: list[OwedItem]) -> list[OwedItem]:
        """Leave out what the family was mailed just now; a family's re-sends are looked at one at a time."""
        parent_id = items[0].parent_id
        await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"resend:{parent_id}", 0))))
        recent = await self._recent(conn, parent_id)
        repeated = {order_id for order_ids, _, _ in recent for order_id in order_ids}
        fresh = [item for item in items if item.order_id not in repeated]
        if not fresh:
            _, address, at = recent[0]
            ago = max(int((self._clock() - at).total_seconds()), 1)
            raise AlreadyDoneError(f"Already sent to {address} {ago} s ago; look there before sending again.")
        return fresh

    async def _recent(self, conn: AsyncConnection, parent_id: int) -> list[tuple[list[int], str, datetime]]:
        rows = await conn.execute(
            select(EmailLog.order_ids, EmailLog.to_address, EmailLog.created_at)
            .where(
                EmailLog.parent_id == parent_id,
                EmailLog.email_type == EmailType.PAYMENT_LINK,
                EmailLog.created_at > self._clock() - REPEAT_WINDOW,
                EmailLog.status.in_([EmailStatus.QUEUED, EmailStatus.SENDING, EmailStatus.SENT]),
            )
            .order_by(EmailLog.created_at.desc())
        )
        return [(row.order_ids, row.to_address, row.created_at) for row in rows]

    async def _deliver(self, club: Club, attempt: MailAttempt, items: list[OwedItem], message_id: str) -> None:
        mail = self._mails.compose(club, EmailType(attempt.email_type), items)
        try:
            await self._mailer.deliver(
                mail, to_address=attempt.to_address, to_name=items[0].parent_name, message_id=message_id
            )
        except MailDeferredError as error:
            await self._try_later(attempt, str(error))
        except MailRefusedError as error:
            await self._fail(attempt, EmailStatus.FAILED, str(error))
        except MailUncertainError as error:
            await self._fail(attempt, EmailStatus.UNCERTAIN, str(error))
        except Exception:
            await self._fail(attempt, EmailStatus.FAILED, f"Something went wrong on our side ({new_reference()}).")
            raise
        else:
            async with self._database.transaction() as conn:
                await finish_attempt(conn, attempt.id, EmailStatus.SENT)

    async def _try_later(self, attempt: MailAttempt, words: str) -> None:
        if attempt.attempt >= MAX_ATTEMPTS:
            await self._fail(attempt, EmailStatus.FAILED, f"{words} (tried {attempt.attempt} times)")
            return
        async with self._database.transaction() as conn:
            await finish_attempt(conn, attempt.id, EmailStatus.FAILED, f"{words} Trying again.")
            next_id = await add_attempt(
                conn,
                NewAttempt(
                    tenant_id=attempt.tenant_id,
                    parent_id=attempt.parent_id,
                    email_type=EmailType(attempt.email_type),
                    to_address=attempt.to_address,
                    subject=attempt.subject,
                    status=EmailStatus.QUEUED,
                    order_ids=attempt.order_ids,
                    attempt=attempt.attempt + 1,
                    requested_by=attempt.requested_by,
                ),
            )
            await self._jobs.send_mail(conn, next_id, after=timedelta(seconds=2**attempt.attempt))

    async def _fail(self, attempt: MailAttempt, status: EmailStatus, words: str) -> None:
        async with self._database.transaction() as conn:
            await finish_attempt(conn, attempt.id, status, words)
            if attempt.requested_by is not None:
                text = f"The mail with the payment link to {attempt.to_address} did not go out: {words}"
                if status is EmailStatus.UNCERTAIN:
                    text = f"The mail with the payment link to {attempt.to_address} may not have arrived: {words}"
                await self._jobs.tell_person(conn, attempt.tenant_id, attempt.requested_by, text)
