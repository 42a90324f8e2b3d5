"""The log of mails: a row an attempt, claimed before the mail is handed over.

`queued → sending → sent | failed | uncertain`. A row that is found in `sending` by a later run belongs to a
process that died in between: whether the mail went out is not known, so it is never sent again by itself.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import EmailLog
from core.models.statuses import EmailStatus, EmailType


@dataclass(frozen=True, slots=True)
class MailAttempt:
    """One attempt at one mail."""

    id: int
    tenant_id: int
    parent_id: int
    email_type: str
    to_address: str
    subject: str
    order_ids: tuple[int, ...]
    attempt: int
    requested_by: str | None


_COLUMNS = (
    EmailLog.id,
    EmailLog.tenant_id,
    EmailLog.parent_id,
    EmailLog.email_type,
    EmailLog.to_address,
    EmailLog.subject,
    EmailLog.order_ids,
    EmailLog.attempt,
    EmailLog.requested_by,
)


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """What is known of an attempt when it is written down."""

    tenant_id: int
    parent_id: int
    email_type: EmailType
    to_address: str
    subject: str
    status: EmailStatus
    order_ids: tuple[int, ...] = ()
    message_id: str | None = None
    blast_id: int | None = None
    attempt: int = 1
    requested_by: str | None = None


async def add_attempt(conn: AsyncConnection, new: NewAttempt) -> int:
    """Write down an attempt and return its id."""
    values = asdict(new) | {"order_ids": list(new.order_ids)}
    log_id = await conn.scalar(insert(EmailLog).values(values).returning(EmailLog.id))
    return int(log_id or 0)


async def claim_attempt(conn: AsyncConnection, log_id: int, message_id: str) -> MailAttempt | None:
    """Take a queued attempt for sending; None where somebody else has it or it is over."""
    row = (
        await conn.execute(
            update(EmailLog)
            .where(EmailLog.id == log_id, EmailLog.status == EmailStatus.QUEUED)
            .values(status=EmailStatus.SENDING, message_id=message_id)
            .returning(*_COLUMNS)
        )
    ).one_or_none()
    if row is None:
        return None
    return MailAttempt(**row._asdict() | {"order_ids": tuple(row.order_ids)})


async def finish_attempt(
    conn: AsyncConnection, log_id: int, status: EmailStatus, error: str | None = None
) -> bool:
    """Write down how an attempt in `sending` (or called uncertain meanwhile) ended."""
    finished = await conn.execute(
        update(EmailLog)
        .where(EmailLog.id == log_id, EmailLog.status.in_([EmailStatus.SENDING, EmailStatus.UNCERTAIN]))
        .values(status=status, error=error)
    )
    return finished.rowcount == 1


async def give_up_on(conn: AsyncConnection, log_id: int) -> bool:
    """Call an attempt that a dead process left in `sending` uncertain."""
    changed = await conn.execute(
        update(EmailLog)
        .where(EmailLog.id == log_id, EmailLog.status == EmailStatus.SENDING)
        .values(status=EmailStatus.UNCERTAIN, error=LEFT_BEHIND)
    )
    return changed.rowcount == 1


LEFT_BEHIND = "The program stopped while this mail was being handed over; it may have gone out."
