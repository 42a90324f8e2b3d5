"""Claiming a blast's mails: taken, re-checked and written down in one transaction, several families at a time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import AudienceQuery, SkipReason, families_items
from core.balances import OwedItem
from core.blast_recipients import Outcome, set_recipients
from core.clock import Clock, local_date
from core.club import Club
from core.email_log import LEFT_BEHIND, NewAttempt, add_attempts
from core.family_mail import FamilyMails
from core.jobs import JobQueue
from core.mail import Mailer
from core.models.statuses import EmailStatus, EmailType, RecipientStatus
from core.reminder_sending import opens_at, still_to_remind_of
from core.rendering import FamilyMail, subject_of
from core.traces import traced

PAID_MEANWHILE = "nothing is owed any more"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A family whose mail of a blast is to be sent now, and the trace that this belongs to."""

    blast_id: int
    parent_id: int
    trace: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One family's mail, taken by this process; committed as `sending` before anything is handed over."""

    blast_id: int
    parent_id: int
    log_id: int
    attempt: int
    mail: FamilyMail
    to_address: str
    to_name: str
    message_id: str


_CLUB = [field.name for field in fields(Club)]
# Compare-and-set `pending → sending`, while the blast may be sent at all; and all about the blast and its club.
_TAKE = text(f"""
    update blast_recipients r set status = 'sending', attempts = r.attempts + 1
    from unnest(cast(:blast_ids as bigint[]), cast(:parent_ids as bigint[])) as wanted (blast_id, parent_id)
    join blasts b on b.id = wanted.blast_id
    join tenants t on t.id = b.tenant_id
    where r.blast_id = wanted.blast_id and r.parent_id = wanted.parent_id and r.status = 'pending'
        and b.status in ('approved', 'sending')
    returning r.blast_id, r.parent_id, r.attempts, b.kind, b.audience, b.note, b.requested_by,
        {", ".join(f"t.{name} as club_{name}" for name in _CLUB)}
""")

# A claim found in `sending` is a dead process's: whether the mail went out, nobody knows.
_GIVE_UP = text("""
    with left_behind as (
        update blast_recipients r set status = 'uncertain', error = :words
        from unnest(cast(:blast_ids as bigint[]), cast(:parent_ids as bigint[])) as wanted (blast_id, parent_id)
        where r.blast_id = wanted.blast_id and r.parent_id = wanted.parent_id and r.status = 'sending'
        returning r.blast_id, r.parent_id
    )
    update email_logs log set status = 'uncertain', error = :words
    from left_behind
    where log.blast_id = left_behind.blast_id and log.parent_id = left_behind.parent_id and log.status = 'sending'
""")

# Reminders are not sent at this hour: the families are given back until they are, and that is no attempt.
_GIVE_BACK = text("""
    update blast_recipients set status = 'pending', attempts = attempts - 1
    where blast_id = :blast_id and parent_id = any(:parent_ids)
""")


class BlastClaims:
    """Claims mails, in the transaction that it is given."""

    def __init__(self, jobs: JobQueue, mailer: Mailer, mails: FamilyMails, clock: Clock) -> None:
        self._jobs = jobs
        self._mailer = mailer
        self._mails = mails
        self._clock = clock

    async def take(self, conn: AsyncConnection, wanted: Sequence[Wanted]) -> list[Claim]:
        """Claim the mails that are still to be sent; what else becomes of a family is written down too."""
        rows = (await conn.execute(_TAKE, _named(wanted))).all()
        taken = {(row.blast_id, row.parent_id) for row in rows}
        if missing := [each for each in wanted if (each.blast_id, each.parent_id) not in taken]:
            await conn.execute(_GIVE_UP, {**_named(missing), "words": LEFT_BEHIND})
        by_blast: dict[int, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            by_blast[row.blast_id].append(row)
        traces = {(each.blast_id, each.parent_id): each.trace for each in wanted}
        return [claim for of_one in by_blast.values() for claim in await self._claim(conn, of_one, traces)]

    async def _claim(
        self, conn: AsyncConnection, rows: Sequence[Row[Any]], traces: Mapping[tuple[int, int], str | None]
    ) -> list[Claim]:
        """Claim mails of one blast."""
        blast = rows[0]
        club = Club(**{name: getattr(blast, f"club_{name}") for name in _CLUB})
        query = AudienceQuery(EmailType(blast.kind), **blast.audience)
        parent_ids, now = [row.parent_id for row in rows], self._clock()
        if query.is_reminder and (begin := await opens_at(conn, club, now)) > now:
            await conn.execute(_GIVE_BACK, {"blast_id": blast.blast_id, "parent_ids": parent_ids})
            with traced(traces[blast.blast_id, blast.parent_id] or f"blast-{blast.blast_id}"):
                await self._jobs.send_blast_mails(conn, blast.blast_id, parent_ids, after=begin - now)
            return []
        found = await families_items(conn, club.id, query, parent_ids, local_date(now, club.time_zone))
        listed: dict[int, list[OwedItem]] = {}
        skipped: list[Outcome] = []
        for row in rows:
            items, reason = await _still_listed(conn, club, query, row, found.get(row.parent_id, []), now)
            if reason is None:
                listed[row.parent_id] = items
            else:
                skipped.append(Outcome(row.blast_id, row.parent_id, RecipientStatus.SKIPPED, reason))
        await set_recipients(conn, skipped)
        return await self._log(conn, club, query, [row for row in rows if row.parent_id in listed], listed, traces)

    async def _log(
        self,
        conn: AsyncConnection,
        club: Club,
        query: AudienceQuery,
        rows: Sequence[Row[Any]],
        listed: Mapping[int, list[OwedItem]],
        traces: Mapping[tuple[int, int], str | None],
    ) -> list[Claim]:
        if not rows:
            return []
        mails = {
            row.parent_id: self._mails.compose(
                club, query.kind, listed[row.parent_id], row.note, prorate=not query.skip_proration
            )
            for row in rows
        }
        attempts = [
            NewAttempt(
                tenant_id=club.id,
                parent_id=row.parent_id,
                email_type=query.kind,
                to_address=listed[row.parent_id][0].parent_email or "",
                subject=subject_of(mails[row.parent_id]),
                status=EmailStatus.SENDING,
                order_ids=tuple(item.order_id for item in listed[row.parent_id]),
                message_id=self._mailer.new_message_id(),
                blast_id=row.blast_id,
                attempt=row.attempts,
                requested_by=row.requested_by,
                trace=traces[row.blast_id, row.parent_id],
            )
            for row in rows
        ]
        return [
            Claim(
                blast_id=row.blast_id,
                parent_id=row.parent_id,
                log_id=log_id,
                attempt=row.attempts,
                mail=mails[row.parent_id],
                to_address=attempt.to_address,
                to_name=listed[row.parent_id][0].parent_name,
                message_id=attempt.message_id or "",
            )
            for row, attempt, log_id in zip(rows, attempts, await add_attempts(conn, attempts), strict=True)
        ]


async def _still_listed(
    conn: AsyncConnection, club: Club, query: AudienceQuery, row: Row[Any], items: list[OwedItem], now: datetime
) -> tuple[list[OwedItem], str | None]:
    """Return what a family's mail lists now, or why it must not go out."""
    if not items:
        return [], PAID_MEANWHILE
    if not items[0].parent_email:
        return [], SkipReason.NO_ADDRESS
    return await still_to_remind_of(conn, club, row.blast_id, items, now) if query.is_reminder else (items, None)


def _named(wanted: Sequence[Wanted]) -> dict[str, list[int]]:
    return {"blast_ids": [each.blast_id for each in wanted], "parent_ids": [each.parent_id for each in wanted]}
