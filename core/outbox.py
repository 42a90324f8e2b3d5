"""Single mails: a family's payment links that somebody had re-sent, and receipts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import OwedItem, family_owes, fetch_read
from core.clock import Clock
from core.club import Club, club_by_id
from core.database import Database
from core.email_log import MailAttempt, NewAttempt, add_attempt, claim_attempt, finish_attempt, give_up_on
from core.errors import (
    AddressRefusedError,
    AlreadyDoneError,
    InvalidInputError,
    MailDeferredError,
    MailRefusedError,
    MailUncertainError,
    SidelineError,
)
from core.family_mail import FamilyMails
from core.instalments import one_line_a_plan
from core.jobs import JobQueue
from core.mail import Mailer
from core.models import EmailLog, Order
from core.models.statuses import EmailStatus, EmailType
from core.receipts import Receipts
from core.references import new_reference
from core.rendering import FamilyMail, subject_of

# Two people pressing, or one pressing twice, must not mail a family twice.
REPEAT_WINDOW = timedelta(minutes=1)
MAX_ATTEMPTS = 8
NOTHING_OWED = "Nothing on it is owed any more, so it was not sent."
NO_RECEIPT = "There is no receipt for it any more (undone, or receipts are off), so it was not sent."


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """One guardian's mail of a re-send, and what it lists. A copy asks for what another guardian usually pays."""

    to_address: str
    parent_name: str
    items: tuple[OwedItem, ...]

    @property
    def is_copy(self) -> bool:
        """Whether this guardian only reads along."""
        return all(item.is_copy for item in self.items)


@dataclass(frozen=True, slots=True)
class ResendReceipt:
    """What a re-send mails: who pays comes first, copies after. `not_sent` are sentences about those left out."""

    mails: tuple[QueuedMail, ...]
    not_sent: tuple[str, ...] = ()


class Outbox:
    """Takes single mails in, and sends them from the background."""

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        mailer: Mailer,
        mails: FamilyMails,
        receipts: Receipts,
        clock: Clock,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mailer = mailer
        self._mails = mails
        self._receipts = receipts
        self._clock = clock

    async def resend(self, club: Club, order_ids: tuple[int, ...], requested_by: str) -> ResendReceipt:
        """Queue the payment links of these orders: a mail to whoever pays, and one to who gets copies.

        Of a plan only the next part is mailed, unless a single part was asked for. Guardians who share a fee each
        get their own orders in a mail of their own.

        Raises:
            AlreadyDoneError: where nothing is left to pay, or the same was mailed within a minute.
            InvalidInputError: where mail is off, or nobody has an address.
        """
        if not self._mailer.is_on:
            raise InvalidInputError("Mail is off: set SMTP_URL and MAIL_FROM. You can still copy the link.")
        mails, refusals = list[QueuedMail](), list[tuple[bool, SidelineError]]()
        async with self._database.transaction() as conn:
            guardians = await self._guardians(conn, club, order_ids)
            # In one order, so that no two re-sends wait for each other.
            for items in sorted(guardians, key=lambda items: items[0].parent_id):
                is_copy = all(item.is_copy for item in items)
                try:
                    mails.append(await self._queue(conn, club, items, requested_by))
                except (AlreadyDoneError, InvalidInputError) as refusal:
                    refusals.append((is_copy, refusal))
            if not mails:
                raise min(refusals, key=lambda refused: refused[0])[1]
        mails.sort(key=lambda mail: mail.is_copy)
        return ResendReceipt(tuple(mails), tuple(str(refusal) for is_copy, refusal in refusals if not is_copy))

    async def _queue(
        self, conn: AsyncConnection, club: Club, items: list[OwedItem], requested_by: str
    ) -> QueuedMail:
        """Queue one guardian's mail; nothing is written where it can't be."""
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
        return QueuedMail(address, items[0].parent_name, tuple(items))

    async def send(self, email_log_id: int) -> None:
        """Send a queued mail (the background's task). Whatever happens, it goes out at most once."""
        async with self._mailer.turn():
            await self._send(email_log_id)

    async def _send(self, email_log_id: int) -> None:
        message_id = self._mailer.new_message_id()
        async with self._database.transaction() as conn:
            attempt = await claim_attempt(conn, email_log_id, message_id)
            if attempt is None:
                await give_up_on(conn, email_log_id)
                return
            composed = await self._compose(conn, attempt)
            if composed is None:
                words = NOTHING_OWED if attempt.payment_id is None else NO_RECEIPT
                await finish_attempt(conn, email_log_id, EmailStatus.FAILED, words)
                return
        await self._deliver(attempt, *composed, message_id)

    async def _compose(self, conn: AsyncConnection, attempt: MailAttempt) -> tuple[FamilyMail, str] | None:
        """Return the mail as it is true now, and its reader's name; None where it has become pointless."""
        club = await club_by_id(conn, attempt.tenant_id)
        if attempt.payment_id is not None:
            return await self._receipts.compose(conn, club, attempt.payment_id, attempt.parent_id)
        # As this guardian may see it: nothing of it, where copies were stopped meanwhile.
        items = await family_owes(conn, club.id, attempt.parent_id, Order.id.in_(attempt.order_ids))
        items = [item for item in items if item.is_payable]
        if not items:
            return None
        return self._mails.compose(club, EmailType(attempt.email_type), items), items[0].parent_name

    async def _guardians(
        self, conn: AsyncConnection, club: Club, order_ids: tuple[int, ...]
    ) -> list[list[OwedItem]]:
        """Return what can be paid of these orders, for each guardian who pays or gets copies."""
        items = await fetch_read(conn, club.id, Order.id.in_(order_ids))
        payable = [item for item in items if item.is_payable]
        if any(item.is_processing for item in items) and not payable:
            raise AlreadyDoneError("A bank payment for this is on its way; nothing was sent.")
        if items and not payable:
            raise InvalidInputError("The contract isn't signed, so this can't be paid yet; nothing was sent.")
        if not payable:
            raise AlreadyDoneError("Nothing is owed on this any more, so nothing was sent.")
        today = self._mails.today(club)
        guardians: dict[int, list[OwedItem]] = {}
        for item in payable:
            guardians.setdefault(item.parent_id, []).append(item)
        return [one_line_a_plan(own, today) for own in guardians.values()]

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

    async def _deliver(self, attempt: MailAttempt, mail: FamilyMail, to_name: str, message_id: str) -> None:
        try:
            await self._mailer.deliver(mail, to_address=attempt.to_address, to_name=to_name, message_id=message_id)
        except MailDeferredError as error:
            await self._try_later(attempt, str(error))
        except MailRefusedError as error:
            is_address = isinstance(error, AddressRefusedError)
            await self._fail(attempt, EmailStatus.FAILED, str(error), is_address_refused=is_address)
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
                    payment_id=attempt.payment_id,
                ),
            )
            await self._jobs.send_mail(conn, next_id, after=timedelta(seconds=2**attempt.attempt))

    async def _fail(
        self, attempt: MailAttempt, status: EmailStatus, words: str, *, is_address_refused: bool = False
    ) -> None:
        async with self._database.transaction() as conn:
            await finish_attempt(conn, attempt.id, status, words, is_address_refused=is_address_refused)
            if attempt.requested_by is not None:
                text = f"The mail with the payment link to {attempt.to_address} did not go out: {words}"
                if status is EmailStatus.UNCERTAIN:
                    text = f"The mail with the payment link to {attempt.to_address} may not have arrived: {words}"
                await self._jobs.tell_person(conn, attempt.tenant_id, attempt.requested_by, text)
