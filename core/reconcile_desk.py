"""Having differences repaired: all of a run's from the terminal, one at a time from Slack."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.at_once import a_few_at_once
from core.audit import record_change
from core.clock import Clock
from core.club import Club
from core.database import Database
from core.errors import AlreadyDoneError, SidelineError, StripeUnavailableError
from core.jobs import JobQueue
from core.models import ReconcileRun
from core.models.statuses import FindingStatus
from core.payment_links import PaymentLinks
from core.reconcile_findings import (
    Finding,
    claim_finding,
    fail_finding,
    finish_finding,
    load_finding,
    load_findings,
)
from core.reconcile_repairs import Repairs
from core.references import reason_of
from core.stripe_events import StripeEvents
from core.stripe_gateway import StripeGateway


@dataclass(frozen=True, slots=True)
class RepairFailure:
    """A difference that could not be repaired, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a round of repairs did. `gone` counts what was well again before it was its turn."""

    repaired: int
    gone: int
    failures: tuple[RepairFailure, ...]


class ReconcileDesk:
    """Repairs differences, each by one person, and keeps the messages that list them up to date."""

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        gateway: StripeGateway | None,
        links: PaymentLinks,
        events: StripeEvents,
        clock: Clock,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._gateway = gateway
        self._links = links
        self._events = events
        self._clock = clock

    async def repair_all(
        self, club: Club, run_id: int, actor: str, on_progress: Callable[[], None]
    ) -> RepairReport:
        """Repair what a run found, a few at a time; one failure stops nobody else.

        Stopped half way, the next run finds what is left.
        """
        async with self._database.transaction() as conn:
            findings = await load_findings(conn, run_id)
        repaired, gone, failures = 0, 0, list[RepairFailure]()

        async def repair(finding: Finding) -> None:
            nonlocal repaired, gone
            try:
                status = await self._repair(finding, actor)
            except Exception as error:  # noqa: BLE001 - one failure stops nobody
                failures.append(RepairFailure(finding, reason_of(error)))
            else:
                repaired += status is FindingStatus.REPAIRED
                gone += status is not FindingStatus.REPAIRED
            on_progress()

        await a_few_at_once(findings, repair)
        async with self._database.transaction() as conn:
            await self._refresh_messages(conn, club.id, [finding.id for finding in findings])
        return RepairReport(repaired, gone, tuple(failures))

    async def request_repair(self, club: Club, finding_id: int, actor: str) -> None:
        """Have one difference repaired in the background. One person wins; the next is told who did.

        Raises:
            NotFoundError, AlreadyDoneError
        """
        async with self._database.transaction() as conn:
            finding = await load_finding(conn, finding_id, tenant_id=club.id)
            if not await claim_finding(conn, club.id, finding_id, actor):
                first = await load_finding(conn, finding_id)
                raise AlreadyDoneError(_already(first), people=[first.resolved_by or ""])
            await self._jobs.repair_finding(conn, finding.id, actor)
            await self._refresh_messages(conn, club.id, [finding_id])

    async def refresh_messages(self, club: Club, finding_id: int) -> None:
        """Bring the messages that list a difference up to date."""
        async with self._database.transaction() as conn:
            await self._refresh_messages(conn, club.id, [finding_id])

    async def repair_requested(self, finding_id: int, actor: str) -> None:
        """Repair a difference that somebody asked for (a background task); what went wrong is written down."""
        async with self._database.transaction() as conn:
            finding = await load_finding(conn, finding_id)
        if not finding.is_open:
            return
        try:
            await self._repair(finding, actor)
        except SidelineError:
            pass  # written down: the message shows it and offers another try
        finally:
            async with self._database.transaction() as conn:
                await self._refresh_messages(conn, finding.tenant_id, [finding_id])

    async def _repair(self, finding: Finding, actor: str) -> FindingStatus:
        repairs = Repairs(self._database, self._stripe().read, self._links, self._events)
        try:
            status = await repairs.repair(finding)
        except Exception as error:
            words = reason_of(error) if isinstance(error, SidelineError) else "something went wrong on our side"
            async with self._database.transaction() as conn:
                await fail_finding(conn, finding, words)
            raise
        async with self._database.transaction() as conn:
            if await finish_finding(conn, finding, status, actor=actor, now=self._clock()):
                before = {"kind": finding.kind, **finding.facts}
                subject = f"finding:{finding.id}"
                await record_change(
                    conn,
                    finding.tenant_id,
                    actor,
                    "reconcile.repair",
                    subject,
                    before=before,
                    after={"status": status},
                )
        return status

    async def _refresh_messages(self, conn: AsyncConnection, tenant_id: int, finding_ids: list[int]) -> None:
        if not finding_ids:
            return
        listing = select(ReconcileRun.id).where(
            ReconcileRun.tenant_id == tenant_id,
            ReconcileRun.slack_ts.is_not(None),
            ReconcileRun.finding_ids.overlap(finding_ids),
        )
        for run_id in await conn.scalars(listing):
            await self._jobs.refresh_reconciliation(conn, run_id)

    def _stripe(self) -> StripeGateway:
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        return self._gateway


def _already(finding: Finding) -> str:
    if finding.status is FindingStatus.GONE:
        return "This difference is gone by itself; there is nothing left to repair."
    verb = "Already repaired" if finding.status is FindingStatus.REPAIRED else "Already being repaired"
    return f"{verb} by {finding.resolved_by}."
