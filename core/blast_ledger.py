"""Where a blast's mails are claimed and their ends written down: those that come together, in one transaction.

Each mail is still claimed before it is handed over, and only when it can be at once; what is shared is the way to
the database. The families of a batch have nothing to do with one another, so that it gives way to whoever holds a
row that it needs, and each is then written down by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from core.batches import Batches
from core.blast_claims import BlastClaims, Claim, Wanted
from core.blast_recipients import Outcome, set_recipients
from core.database import Database
from core.email_log import EndedAttempt, finish_attempts
from core.jobs import JobQueue
from core.models.statuses import EmailStatus, RecipientStatus
from core.tenancy import current_tenant
from core.traces import current_trace, traced

_SETTINGS = {
    # PostgreSQL looks for deadlocks after a second: of two that wait for each other it is the batch that ends.
    "lock_timeout": "300ms",
    # Planning anew what a few families owe takes three times as long as finding it out.
    "plan_cache_mode": "force_generic_plan",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a claimed mail ended. With `again_after` the family's next try is enqueued for then."""

    claim: Claim
    status: RecipientStatus
    words: str | None
    is_address_refused: bool
    again_after: timedelta | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class _Done:
    claim: Claim | None = None


class BlastLedger:
    """Claims mails and writes down how they ended; committed when a call returns."""

    def __init__(self, database: Database, jobs: JobQueue, claims: BlastClaims) -> None:
        self._database = database
        self._jobs = jobs
        self._claims = claims
        # One for each club, since a transaction sees no other club's rows.
        self._batches: dict[int | None, Batches[Wanted | Ended, _Done]] = {}

    async def claim(self, blast_id: int, parent_id: int) -> Claim | None:
        """Claim a family's mail; None where it is not to be sent (any more), or not now."""
        return (await self._write(Wanted(blast_id, parent_id, current_trace()))).claim

    async def end(
        self,
        claim: Claim,
        status: RecipientStatus,
        words: str | None = None,
        *,
        is_address_refused: bool = False,
        again_after: timedelta | None = None,
    ) -> None:
        """Write down how a claimed mail ended."""
        await self._write(Ended(claim, status, words, is_address_refused, again_after, current_trace()))

    async def _write(self, item: Wanted | Ended) -> _Done:
        club = current_tenant()
        if club not in self._batches:
            self._batches[club] = Batches(self._together, lambda each: [_family_of(each)])
        done = await self._batches[club].add(item)
        if done is not None:
            return done
        # By itself it waits for locks as long as it takes, and says what is wrong.
        async with self._database.transaction() as conn:
            return (await self._all_of(conn, [item]))[0]

    async def _together(self, items: Sequence[Wanted | Ended]) -> list[_Done]:
        async with self._database.transaction(settings=_SETTINGS) as conn:
            return await self._all_of(conn, items)

    async def _all_of(self, conn: AsyncConnection, items: Sequence[Wanted | Ended]) -> list[_Done]:
        if ended := [item for item in items if isinstance(item, Ended)]:
            await self._end(conn, ended)
        wanted = [item for item in items if isinstance(item, Wanted)]
        claims = await self._claims.take(conn, wanted) if wanted else []
        by_family = {(claim.blast_id, claim.parent_id): claim for claim in claims}
        return [_Done(by_family.get(_family_of(item)) if isinstance(item, Wanted) else None) for item in items]

    async def _end(self, conn: AsyncConnection, ended: Sequence[Ended]) -> None:
        outcomes = [Outcome(*_family_of(each), each.status, each.words) for each in ended]
        before = await set_recipients(conn, outcomes)
        await finish_attempts(conn, [_attempt(each) for each in ended])
        for each in ended:
            with traced(each.trace or f"blast-{each.claim.blast_id}"):
                await self._follow_up(conn, each, before.get(_family_of(each)))

    async def _follow_up(self, conn: AsyncConnection, ended: Ended, before: RecipientStatus | None) -> None:
        blast_id, parent_id = _family_of(ended)
        if before is RecipientStatus.UNCERTAIN:
            # Somebody thought this process dead and said so in Slack; the blast may be over since.
            await self._jobs.refresh_blast_message(conn, blast_id)
        elif before is not None and ended.again_after is not None:
            await self._jobs.send_blast_mails(conn, blast_id, [parent_id], after=ended.again_after)


def _family_of(item: Wanted | Ended) -> tuple[int, int]:
    named = item.claim if isinstance(item, Ended) else item
    return named.blast_id, named.parent_id


def _attempt(ended: Ended) -> EndedAttempt:
    # The try is over, whether or not there will be another.
    is_over = ended.status is RecipientStatus.PENDING
    status = EmailStatus.FAILED if is_over else EmailStatus(ended.status.value)
    return EndedAttempt(ended.claim.log_id, status, ended.words, is_address_refused=ended.is_address_refused)
