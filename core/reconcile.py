"""Comparing a club's books with Stripe's and keeping what differs.

Runs every night without repairing and is told in Slack; `sideline reconcile` runs it at once.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.clock import Clock
from core.club import Club, club_by_id
from core.database import Database
from core.errors import InvalidInputError, StripeUnavailableError
from core.jobs import JobQueue
from core.models import ReconcileRun, Tenant
from core.reconcile_events import MissedEvents, Scope
from core.reconcile_findings import Difference, keep_differences
from core.reconcile_links import LinkComparer
from core.stripe_gateway import StripeGateway

# How long Stripe keeps events (https://docs.stripe.com/api/events).
LONGEST_DAYS = 30
# What happened just now is on its way: at night nobody wants to hear of it.
SETTLING = timedelta(minutes=15)
# A club that was just set up has nothing to compare yet.
FIRST_NIGHT_AFTER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and how much was looked at, by kind; `never_minted` counts debts without a link so far."""

    scope: Scope
    differences: tuple[Difference, ...]
    looked_at: dict[str, int]


class Reconciliation:
    """Compares and repairs."""

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        gateway: StripeGateway | None,
        clock: Clock,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._gateway = gateway
        self._clock = clock

    async def compare(
        self, club: Club, *, days: int = LONGEST_DAYS, settling: timedelta = timedelta()
    ) -> Comparison:
        """Compare a club's books with Stripe's; writes nothing.

        `days` is how far back to look for payments, refunds and events; `settling` leaves out the latest of them.

        Raises:
            InvalidInputError: where `days` is not from 1 to 30: Stripe keeps events no longer.
            StripeUnavailableError, StripeRefusedError
        """
        if not 1 <= days <= LONGEST_DAYS:
            raise InvalidInputError(f"--since is a number of days from 1 to {LONGEST_DAYS}; Stripe keeps no more.")
        now, stripe = self._clock(), self._stripe().read
        scope = Scope(club.id, now - timedelta(days=days), now - settling)
        missed = await MissedEvents(self._database, stripe).find(scope)
        links = await LinkComparer(self._database, stripe).compare(club.id)
        looked_at = missed.looked_at | {"links": links.looked_at, "never_minted": links.never_minted}
        return Comparison(scope, (*missed.differences, *links.differences), looked_at)

    async def keep(self, comparison: Comparison, *, night: date | None = None) -> int | None:
        """Write a comparison down and return its number; a night's is told in Slack, each night once.

        Returns None where that night's was written down before.
        """
        tenant_id, now = comparison.scope.tenant_id, self._clock()
        new = {"tenant_id": tenant_id, "looked_at": comparison.looked_at, "night": night, "finished_at": now}
        async with self._database.transaction() as conn:
            run_id = await conn.scalar(
                upsert(ReconcileRun).values(new).on_conflict_do_nothing().returning(ReconcileRun.id)
            )
            if run_id is None:
                return None
            since = comparison.scope.since
            found = await keep_differences(conn, tenant_id, run_id, comparison.differences, since=since, now=now)
            await conn.execute(update(ReconcileRun).where(ReconcileRun.id == run_id).values(finding_ids=found))
            if night is not None:
                await self._jobs.refresh_reconciliation(conn, run_id)
        return int(run_id)

    async def start_night(self, timestamp: int) -> None:
        """Have every club compared that was not yet tonight (a periodic task; `timestamp` in seconds, UTC)."""
        if self._gateway is None:
            return
        night = datetime.fromtimestamp(timestamp, UTC).date()
        done = (
            select(ReconcileRun.id)
            .where(ReconcileRun.tenant_id == Tenant.id, ReconcileRun.night == night)
            .exists()
        )
        async with self._database.transaction() as conn:
            waiting = select(Tenant.id).where(Tenant.created_at <= self._clock() - FIRST_NIGHT_AFTER, ~done)
            await self._jobs.reconcile_clubs(conn, list(await conn.scalars(waiting)), night)

    async def run_night(self, tenant_id: int, night: str) -> None:
        """Compare one club and have the channel told, once a night (a background task).

        Raises:
            StripeUnavailableError: the queue tries again.
        """
        day = date.fromisoformat(night)
        async with self._database.transaction() as conn:
            club = await club_by_id(conn, tenant_id)
            is_night = (ReconcileRun.tenant_id == tenant_id) & (ReconcileRun.night == day)
            if await conn.scalar(select(ReconcileRun.id).where(is_night)) is not None:
                return
        await self.keep(await self.compare(club, settling=SETTLING), night=day)

    def _stripe(self) -> StripeGateway:
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        return self._gateway
