"""Blasts up to their approval: drafted with a frozen audience, approved or canceled by one person."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import Audience, AudienceQuery, Preparation, find_audience
from core.audit import record_change
from core.blast_overlap import CANCEL_IT, START_AGAIN, find_overlap, lock_approvals, overlap_error
from core.blast_recipients import freeze_recipients
from core.clock import Clock, local_date
from core.club import Club
from core.database import Database
from core.errors import AlreadyDoneError, InvalidInputError, NotAllowedError, NotFoundError
from core.jobs import JobQueue
from core.models import Blast, BlastRecipient, Parent
from core.models.statuses import BlastStatus, EmailType, RecipientStatus

FAILURES_SHOWN = 10
# Who asks where nobody did.
REMINDERS = "reminders"
NEWER_REMINDERS = "newer reminders took their place"


@dataclass(frozen=True, slots=True)
class Failure:
    """A family whose mail did not go out (or may not have), and why."""

    parent_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BlastView:
    """A blast as people see it: who asked, who decided, how far it is."""

    id: int
    tenant_id: int
    kind: EmailType
    status: BlastStatus
    requested_by: str
    approved_by: str | None
    canceled_by: str | None
    query: AudienceQuery
    note: str
    total_cents: int
    slack_channel: str | None
    slack_ts: str | None
    finished_at: datetime | None
    counts: dict[RecipientStatus, int]
    # Who was left out when it was drafted, by reason.
    skipped: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def recipients(self) -> int:
        """How many families it is for."""
        return sum(self.counts.values()) - self.counts.get(RecipientStatus.SKIPPED, 0)

    def count(self, status: RecipientStatus) -> int:
        """Return how many families are in this status."""
        return self.counts.get(status, 0)


async def load_blast(conn: AsyncConnection, tenant_id: int, blast_id: int) -> BlastView:
    """Return a blast of this club.

    Raises:
        NotFoundError: where there is none.
    """
    row = (
        await conn.execute(
            select(
                Blast.kind,
                Blast.status,
                Blast.requested_by,
                Blast.approved_by,
                Blast.canceled_by,
                Blast.audience,
                Blast.note,
                Blast.total_cents,
                Blast.slack_channel,
                Blast.slack_ts,
                Blast.finished_at,
            ).where(Blast.id == blast_id, Blast.tenant_id == tenant_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("That blast doesn't exist here.")
    counts, skipped = await _count_recipients(conn, blast_id)
    kind = EmailType(row.kind)
    return BlastView(
        id=blast_id,
        tenant_id=tenant_id,
        kind=kind,
        status=BlastStatus(row.status),
        requested_by=row.requested_by,
        approved_by=row.approved_by,
        canceled_by=row.canceled_by,
        query=AudienceQuery(kind, **row.audience),
        note=row.note,
        total_cents=row.total_cents,
        slack_channel=row.slack_channel,
        slack_ts=row.slack_ts,
        finished_at=row.finished_at,
        counts=counts,
        skipped=skipped,
        failures=await _failures(conn, blast_id),
    )


async def _count_recipients(
    conn: AsyncConnection, blast_id: int
) -> tuple[dict[RecipientStatus, int], dict[str, int]]:
    rows = await conn.execute(
        select(BlastRecipient.status, BlastRecipient.error, func.count())
        .where(BlastRecipient.blast_id == blast_id)
        .group_by(BlastRecipient.status, BlastRecipient.error)
    )
    counts: Counter[RecipientStatus] = Counter()
    skipped: Counter[str] = Counter()
    for status, error, count in rows:
        counts[RecipientStatus(status)] += count
        if status == RecipientStatus.SKIPPED:
            skipped[error or ""] += count
    return dict(counts), dict(skipped)


async def _failures(conn: AsyncConnection, blast_id: int) -> tuple[Failure, ...]:
    rows = await conn.execute(
        select(Parent.first_name, Parent.last_name, BlastRecipient.status, BlastRecipient.error)
        .join(Parent, Parent.id == BlastRecipient.parent_id)
        .where(
            BlastRecipient.blast_id == blast_id,
            BlastRecipient.status.in_([RecipientStatus.FAILED, RecipientStatus.UNCERTAIN]),
        )
        .order_by(BlastRecipient.status, Parent.last_name, Parent.id)
        .limit(FAILURES_SHOWN)
    )
    return tuple(
        Failure(f"{first_name} {last_name}".strip(), error or status)
        for first_name, last_name, status, error in rows
    )


class Blasts:
    """Drafts blasts, and lets one person approve or cancel each."""

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        clock: Clock,
        preparations: Mapping[EmailType, Preparation],
    ) -> None:
        """`preparations`: what makes, for some kinds of blast, the orders that its mails ask for."""
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._preparations = preparations

    async def preview(self, club: Club, query: AudienceQuery) -> Audience:
        """Return whom a blast would reach now, without making one or keeping anything."""
        async with self._database.transaction(keep=False) as conn:
            return await self._find_audience(conn, club, query)

    async def draft(
        self, club: Club, query: AudienceQuery, *, note: str, requested_by: str
    ) -> tuple[int, Audience]:
        """Freeze the audience into a draft and have its approval asked for; returns the blast's id.

        Raises:
            InvalidInputError: where there is nobody to mail.
        """
        async with self._database.transaction() as conn:
            audience = await self._find_audience(conn, club, query)
            blast_id = await self._freeze(conn, club, query, audience, note=note, requested_by=requested_by)
            await self._jobs.refresh_blast_message(conn, blast_id)
        return blast_id, audience

    async def start(
        self, club: Club, query: AudienceQuery, *, note: str, requested_by: str
    ) -> tuple[int, Audience]:
        """Draft and approve at once, for a caller whose right was checked: the admin endpoint, the terminal.

        Raises:
            InvalidInputError: where there is nobody to mail.
            AlreadyDoneError: where somebody who did the same, at the same moment, was first.
        """
        async with self._database.transaction() as conn:
            audience = await self._find_audience(conn, club, query)
            blast_id = await self._freeze(conn, club, query, audience, note=note, requested_by=requested_by)
            await self._approve(conn, club, blast_id, requested_by, advice=START_AGAIN)
        return blast_id, audience

    async def make_reminder(
        self,
        conn: AsyncConnection,
        club: Club,
        query: AudienceQuery,
        audience: Audience,
        *,
        requested_by: str,
        needs_approval: bool,
    ) -> int:
        """Make a blast of a day's reminders, whose audience was found by their rules; returns its id.

        Raises:
            InvalidInputError: where there is nobody to mail.
        """
        blast_id = await self._freeze(conn, club, query, audience, note="", requested_by=requested_by)
        if needs_approval:
            await self._jobs.refresh_blast_message(conn, blast_id)
        else:
            await self._approve(conn, club, blast_id, requested_by)
        return blast_id

    async def replace_reminder(self, conn: AsyncConnection, club: Club, blast_id: int) -> bool:
        """Cancel reminders that nobody decided about, since the next day's take their place.

        Returns whether they were still a draft: somebody who approves at that moment may be first.
        """
        try:
            await self._cancel(conn, club, blast_id, [BlastStatus.DRAFT], REMINDERS, NEWER_REMINDERS)
        except AlreadyDoneError:
            return False
        return True

    async def approve(self, club: Club, blast_id: int, actor: str) -> None:
        """Approve a draft and queue its mails. One person wins.

        Raises:
            NotAllowedError: where the club wants two people and this one drafted it.
            NotFoundError
            AlreadyDoneError: naming who was first, with this blast or with another to some of its families.
        """
        async with self._database.transaction() as conn:
            if club.two_person_approval:
                blast = await load_blast(conn, club.id, blast_id)
                if blast.requested_by == actor and blast.status is BlastStatus.DRAFT:
                    raise NotAllowedError("Your club asks for two people: somebody else has to approve this one.")
            await self._approve(conn, club, blast_id, actor)

    async def cancel(self, club: Club, blast_id: int, actor: str) -> None:
        """Cancel a draft, or stop one that is being sent: families not mailed yet are left out.

        Raises:
            NotFoundError
            AlreadyDoneError: where it is over or somebody was first.
        """
        stoppable = [BlastStatus.DRAFT, BlastStatus.APPROVED, BlastStatus.SENDING]
        async with self._database.transaction() as conn:
            await self._cancel(conn, club, blast_id, stoppable, actor, "the blast was canceled")

    async def _cancel(
        self,
        conn: AsyncConnection,
        club: Club,
        blast_id: int,
        stoppable: list[BlastStatus],
        actor: str,
        words: str,
    ) -> None:
        await self._move(conn, club, blast_id, stoppable, BlastStatus.CANCELED, canceled_by=actor)
        await conn.execute(
            update(BlastRecipient)
            .where(BlastRecipient.blast_id == blast_id, BlastRecipient.status == RecipientStatus.PENDING)
            .values(status=RecipientStatus.SKIPPED, error=words)
        )
        await record_change(conn, club.id, actor, "blast.cancel", f"blast:{blast_id}")
        await self._jobs.refresh_blast_message(conn, blast_id)

    async def retry_failed(self, club: Club, blast_id: int, actor: str) -> int:
        """Send again to the families whose mail failed, and to nobody else; returns how many.

        Raises:
            NotFoundError
            AlreadyDoneError: where nothing failed, or somebody was first.
        """
        async with self._database.transaction() as conn:
            await self._reopen(conn, club, blast_id)
            failed = await conn.scalars(
                update(BlastRecipient)
                .where(BlastRecipient.blast_id == blast_id, BlastRecipient.status == RecipientStatus.FAILED)
                .values(status=RecipientStatus.PENDING, error=None, attempts=0)
                .returning(BlastRecipient.parent_id)
            )
            parent_ids = list(failed)
            if not parent_ids:
                raise AlreadyDoneError("No mail of this blast failed, so there is nothing to send again.")
            after = {"families": len(parent_ids)}
            await record_change(conn, club.id, actor, "blast.retry", f"blast:{blast_id}", after=after)
            await self._jobs.send_blast_mails(conn, blast_id, parent_ids)
            await self._jobs.refresh_blast_message(conn, blast_id)
        return len(parent_ids)

    async def _reopen(self, conn: AsyncConnection, club: Club, blast_id: int) -> None:
        reopened = await conn.execute(
            update(Blast)
            .where(Blast.id == blast_id, Blast.tenant_id == club.id, Blast.status == BlastStatus.DONE)
            .values(status=BlastStatus.SENDING, finished_at=None)
        )
        if reopened.rowcount != 1:
            await load_blast(conn, club.id, blast_id)
            raise AlreadyDoneError("This blast is being sent right now; somebody was first.")

    async def _find_audience(self, conn: AsyncConnection, club: Club, query: AudienceQuery) -> Audience:
        today = local_date(self._clock(), club.time_zone)
        return await find_audience(conn, club, query, today, self._preparations.get(query.kind))

    async def _freeze(
        self,
        conn: AsyncConnection,
        club: Club,
        query: AudienceQuery,
        audience: Audience,
        *,
        note: str,
        requested_by: str,
    ) -> int:
        if not audience.recipients:
            raise InvalidInputError(
                "Nobody in this audience can be mailed right now, so there is nothing to send."
            )
        blast_id = await conn.scalar(
            insert(Blast)
            .values(
                tenant_id=club.id,
                kind=query.kind,
                requested_by=requested_by,
                audience=query.parameters,
                note=note,
                total_cents=audience.total_cents,
            )
            .returning(Blast.id)
        )
        await freeze_recipients(conn, int(blast_id or 0), audience)
        after = {"kind": query.kind, "families": len(audience.recipients), "total_cents": audience.total_cents}
        await record_change(conn, club.id, requested_by, "blast.draft", f"blast:{blast_id}", after=after)
        return int(blast_id or 0)

    async def _approve(
        self, conn: AsyncConnection, club: Club, blast_id: int, actor: str, *, advice: str = CANCEL_IT
    ) -> None:
        # The database's own time, as the draft's is: which of two came first is no matter of whose clock is right.
        at = func.clock_timestamp()
        await self._move(
            conn, club, blast_id, [BlastStatus.DRAFT], BlastStatus.APPROVED, approved_by=actor, approved_at=at
        )
        await lock_approvals(conn, club.id)
        overlap = await find_overlap(conn, club.id, blast_id)
        if overlap is not None:
            raise overlap_error(club, overlap, self._clock(), advice)
        pending = await conn.scalars(
            select(BlastRecipient.parent_id)
            .where(BlastRecipient.blast_id == blast_id, BlastRecipient.status == RecipientStatus.PENDING)
            .order_by(BlastRecipient.parent_id)
        )
        await self._jobs.send_blast_mails(conn, blast_id, list(pending))
        await record_change(conn, club.id, actor, "blast.approve", f"blast:{blast_id}")
        await self._jobs.refresh_blast_message(conn, blast_id)

    async def _move(
        self,
        conn: AsyncConnection,
        club: Club,
        blast_id: int,
        from_statuses: list[BlastStatus],
        to_status: BlastStatus,
        **values: object,
    ) -> None:
        """Change the status if it is still one of these: compare-and-set, so that one person wins."""
        moved = await conn.execute(
            update(Blast)
            .where(Blast.id == blast_id, Blast.tenant_id == club.id, Blast.status.in_(from_statuses))
            .values(status=to_status, **values)
        )
        if moved.rowcount != 1:
            raise _who_was_first(await load_blast(conn, club.id, blast_id))


def _who_was_first(blast: BlastView) -> AlreadyDoneError:
    if blast.canceled_by == REMINDERS:
        return AlreadyDoneError("The next day's reminders took the place of these; please decide about those.")
    if blast.status is BlastStatus.CANCELED:
        who = blast.canceled_by or "somebody"
        return AlreadyDoneError(f"This blast was already canceled by {who}.", people=[who])
    state = "has gone out" if blast.status is BlastStatus.DONE else "is going out"
    who = blast.approved_by or "somebody"
    return AlreadyDoneError(f"This blast was already approved by {who} and {state}.", people=[who])
