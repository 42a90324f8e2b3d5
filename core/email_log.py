"""The log of mails: a row an attempt, claimed before the mail is handed over.

`queued → sending → sent | failed | uncertain`. A row that is found in `sending` by a later run belongs to a
process that died in between: whether the mail went out is not known, so it is never sent again by itself.

An address that a mail server refuses for good is marked on the family, in the transaction that writes the refusal
down; the next mail that it takes clears the mark, and so does another address (a trigger on `parents`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import structlog
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import EmailLog
from core.models.statuses import EmailStatus, EmailType
from core.traces import current_trace

log = structlog.get_logger(__name__)


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
    # What a receipt is about.
    payment_id: int | None = None


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
    EmailLog.payment_id,
)


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """What is known of an attempt when it is written down."""

    tenant_id: int
    # None for a sample that a colleague asked for.
    parent_id: int | None
    email_type: EmailType
    to_address: str
    subject: str
    status: EmailStatus
    order_ids: tuple[int, ...] = ()
    message_id: str | None = None
    blast_id: int | None = None
    attempt: int = 1
    requested_by: str | None = None
    payment_id: int | None = None
    # None: that of the work that writes it down.
    trace: str | None = None


_ADD = insert(EmailLog).returning(EmailLog.id, sort_by_parameter_order=True)


async def add_attempt(conn: AsyncConnection, new: NewAttempt) -> int:
    """Write down an attempt and return its id."""
    return (await add_attempts(conn, [new]))[0]


async def add_attempts(conn: AsyncConnection, new: Sequence[NewAttempt]) -> list[int]:
    """Write down several attempts with one statement, and return their ids in the same order."""
    return list(await conn.scalars(_ADD, [_row_of(each) for each in new]))


def _row_of(new: NewAttempt) -> dict[str, object]:
    row = {field.name: getattr(new, field.name) for field in fields(new)}
    return row | {"order_ids": list(new.order_ids), "trace": new.trace or current_trace()}


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


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """How an attempt in `sending` (or called uncertain meanwhile) ended.

    `is_address_refused`: the mail server won't have the address for good; `error` holds its words.
    """

    id: int
    status: EmailStatus
    error: str | None = None
    is_address_refused: bool = False


# A mail that was taken clears the mark of its address, a refusal of the address sets it, anything else says
# nothing about it. The family may have another address by now: that one is left as it is.
_FINISH = text("""
    with finished as (
        update email_logs log set status = given.status, error = given.error
        from unnest(
            cast(:ids as bigint[]), cast(:statuses as text[]), cast(:errors as text[]), cast(:refused as boolean[])
        ) as given (id, status, error, is_refused)
        where log.id = given.id and log.status in ('sending', 'uncertain')
        returning
            log.id, log.parent_id, log.to_address, log.message_id, given.status, given.error, given.is_refused
    ),
    marked as (
        update parents set
            email_problem = case when finished.is_refused then finished.error end,
            email_problem_at = case when finished.is_refused then now() end
        from finished
        where parents.id = finished.parent_id and lower(parents.email) = lower(finished.to_address)
            and (finished.is_refused or (finished.status = 'sent' and parents.email_problem is not null))
    )
    select id, status, message_id from finished
""")


async def finish_attempt(
    conn: AsyncConnection,
    log_id: int,
    status: EmailStatus,
    error: str | None = None,
    *,
    is_address_refused: bool = False,
) -> bool:
    """Write down how an attempt ended, see `EndedAttempt`."""
    ended = EndedAttempt(log_id, status, error, is_address_refused=is_address_refused)
    return bool(await finish_attempts(conn, [ended]))


async def finish_attempts(conn: AsyncConnection, ended: Sequence[EndedAttempt]) -> set[int]:
    """Write down how several attempts ended, with one statement; returns those that had not ended before."""
    told = {
        "ids": [each.id for each in ended],
        "statuses": [each.status.value for each in ended],
        "errors": [each.error for each in ended],
        "refused": [each.is_address_refused for each in ended],
    }
    rows = (await conn.execute(_FINISH, told)).all()
    for row in rows:
        log.info("mail_ended", email_log_id=row.id, status=row.status, message_id=row.message_id)
    return {row.id for row in rows}


async def give_up_on(conn: AsyncConnection, log_id: int) -> bool:
    """Call an attempt that a dead process left in `sending` uncertain."""
    changed = await conn.execute(
        update(EmailLog)
        .where(EmailLog.id == log_id, EmailLog.status == EmailStatus.SENDING)
        .values(status=EmailStatus.UNCERTAIN, error=LEFT_BEHIND)
    )
    return changed.rowcount == 1


LEFT_BEHIND = "The program stopped while this mail was being handed over; it may have gone out."
