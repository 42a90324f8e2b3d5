"""The differences between our books and Stripe's: their kinds, their words, and the rows they are kept in.

The same difference found again is the same row; one that a later comparison does not find any more is `gone`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import NotFoundError
from core.models import ReconcileFinding, ReconcileRun
from core.models.statuses import FindingStatus
from core.money import format_money


class FindingKind(StrEnum):
    """What differs; `facts` holds the ids and amounts named here, and for all orders `player` and `item`."""

    # event_id, type, object_id, created, amount_cents and currency where it has them
    EVENT_MISSED = "event_missed"
    # session_id, created, amount_cents, currency
    PAYMENT_MISSING = "payment_missing"
    # refund_id, status, created, amount_cents, currency
    REFUND_MISSING = "refund_missing"
    # link_id, order_id, status, amount_cents, currency
    LINK_WITHOUT_DEBT = "link_without_debt"
    # order_id, amount_cents, currency
    DEBT_WITHOUT_LINK = "debt_without_link"
    # link_id, order_id, amount_cents and currency (at Stripe), owed_cents
    LINK_AMOUNT_DIFFERS = "link_amount_differs"
    # link_id, order_id, and how it stands `at_stripe` and `here`: open, closed or unknown
    LINK_STATE_DIFFERS = "link_state_differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `key` is the id of what it is about; `facts` are as `FindingKind` lists them."""

    kind: FindingKind
    key: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference as it is kept. `resolved_by` of an open one is who is having it repaired right now."""

    id: int
    tenant_id: int
    run_id: int
    kind: FindingKind
    key: str
    facts: dict[str, Any]
    status: FindingStatus
    error: str | None
    resolved_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still has to be repaired; a failed repair can be tried again."""
        return self.status in {FindingStatus.OPEN, FindingStatus.FAILED}


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison with all that its message shows: how much was looked at, by kind, and every difference."""

    id: int
    tenant_id: int
    looked_at: dict[str, int]
    findings: tuple[Finding, ...]
    slack_channel: str | None
    slack_ts: str | None


def in_words(kind: FindingKind, facts: dict[str, Any]) -> str:
    """Return a difference as a sentence, in plain text."""
    money, about = _money(facts), f"{facts.get('player') or 'A player'}: {facts.get('item') or 'an item'}"
    match kind:
        case FindingKind.EVENT_MISSED:
            over = f" over {money}" if money else ""
            words = f"We never heard Stripe's event “{facts['type']}”{over} ({facts['event_id']})."
        case FindingKind.PAYMENT_MISSING:
            words = f"A payment of {money} at Stripe is not recorded here ({facts['session_id']})."
        case FindingKind.REFUND_MISSING:
            words = f"A refund of {money} at Stripe is not recorded here ({facts['refund_id']})."
        case FindingKind.LINK_WITHOUT_DEBT:
            words = f"{about}: the payment link is open, but nothing is owed ({facts['status']})."
        case FindingKind.DEBT_WITHOUT_LINK:
            words = f"{about}: {money} is owed, but there is no open payment link."
        case FindingKind.LINK_AMOUNT_DIFFERS:
            owed = format_money(facts["owed_cents"], facts["owed_currency"])
            words = f"{about}: the payment link asks for {money}, but {owed} is owed."
        case FindingKind.LINK_STATE_DIFFERS:
            words = f"{about}: the payment link is {facts['at_stripe']} at Stripe, but {facts['here']} here."
    return words


def looked_at_in_words(looked_at: dict[str, int], differences: int) -> str:
    """Return the one line that sums a comparison up, in plain text."""
    found = f"{differences:,} difference{'' if differences == 1 else 's'}"
    compared = f"{looked_at['events']:,} events, {looked_at['links']:,} links looked at"
    return f"Reconciliation with Stripe: {found} ({compared})."


def _money(facts: dict[str, Any]) -> str:
    amount, currency = facts.get("amount_cents"), facts.get("currency")
    return format_money(amount, currency) if amount is not None and currency else ""


# A press of the button that led nowhere (its worker is gone) is forgotten, so that it can be pressed again.
_KEEP = text("""
    insert into reconcile_findings as known (tenant_id, run_id, kind, key, facts)
    select :tenant_id, :run_id, d.kind, d.key, d.facts
    from jsonb_to_recordset(cast(:differences as jsonb)) as d(kind text, key text, facts jsonb)
    on conflict (tenant_id, kind, key) where status in ('open', 'failed')
        do update set run_id = excluded.run_id, facts = excluded.facts, resolved_by = null
    returning id
""")
# What lies before the time that was looked at may be there still.
_MARK_GONE = text("""
    update reconcile_findings set status = 'gone', resolved_at = :now
    where tenant_id = :tenant_id and status in ('open', 'failed') and run_id <> :run_id
        and coalesce(cast(facts ->> 'created' as bigint), :since) >= :since
""")


async def keep_differences(
    conn: AsyncConnection,
    tenant_id: int,
    run_id: int,
    differences: Sequence[Difference],
    *,
    since: datetime,
    now: datetime,
) -> list[int]:
    """Write down what a run found and mark what it did not find again; two statements for any number.

    Returns the differences' ids, in the order in which they were found first.
    """
    rows = [{"kind": each.kind, "key": each.key, "facts": each.facts} for each in differences]
    named = {"tenant_id": tenant_id, "run_id": run_id}
    kept = await conn.scalars(_KEEP, named | {"differences": orjson.dumps(rows).decode()})
    await conn.execute(_MARK_GONE, named | {"since": int(since.timestamp()), "now": now})
    return sorted(kept)


_FINDING = select(
    ReconcileFinding.id,
    ReconcileFinding.tenant_id,
    ReconcileFinding.run_id,
    ReconcileFinding.kind,
    ReconcileFinding.key,
    ReconcileFinding.facts,
    ReconcileFinding.status,
    ReconcileFinding.error,
    ReconcileFinding.resolved_by,
)


def _finding(row: Any) -> Finding:  # noqa: ANN401 - a row of the statement above
    return Finding(row[0], row[1], row[2], FindingKind(row[3]), row[4], row[5], FindingStatus(row[6]), *row[7:])


async def load_run(conn: AsyncConnection, run_id: int) -> Run:
    """Return a run with what it found, as it stands now.

    Raises:
        NotFoundError: where there is none.
    """
    columns = (
        ReconcileRun.tenant_id,
        ReconcileRun.looked_at,
        ReconcileRun.finding_ids,
        ReconcileRun.slack_channel,
        ReconcileRun.slack_ts,
    )
    row = (await conn.execute(select(*columns).where(ReconcileRun.id == run_id))).one_or_none()
    if row is None:
        raise NotFoundError("That comparison isn't known here.")
    found = _FINDING.where(ReconcileFinding.id.in_(row.finding_ids)).order_by(ReconcileFinding.id)
    findings = tuple([_finding(each) for each in await conn.execute(found)])
    return Run(run_id, row.tenant_id, row.looked_at, findings, row.slack_channel, row.slack_ts)


async def mark_posted(conn: AsyncConnection, run_id: int, channel: str, ts: str) -> None:
    """Write down where a run's message is."""
    posted = {"slack_channel": channel, "slack_ts": ts}
    await conn.execute(update(ReconcileRun).where(ReconcileRun.id == run_id).values(posted))


async def load_findings(conn: AsyncConnection, run_id: int) -> list[Finding]:
    """Return a run's differences, in the order in which they were found first."""
    found = _FINDING.where(ReconcileFinding.run_id == run_id).order_by(ReconcileFinding.id)
    return [_finding(row) for row in await conn.execute(found)]


async def load_finding(conn: AsyncConnection, finding_id: int, *, tenant_id: int | None = None) -> Finding:
    """Return one difference, of this club where one is named.

    Raises:
        NotFoundError: where there is none.
    """
    found = _FINDING.where(ReconcileFinding.id == finding_id)
    if tenant_id is not None:
        found = found.where(ReconcileFinding.tenant_id == tenant_id)
    row = (await conn.execute(found)).one_or_none()
    if row is None:
        raise NotFoundError("That difference isn't known here.")
    return _finding(row)


async def claim_finding(conn: AsyncConnection, tenant_id: int, finding_id: int, actor: str) -> bool:
    """Take a difference for repair; False where somebody else was first or it is dealt with."""
    claimed = await conn.scalar(
        update(ReconcileFinding)
        .where(
            ReconcileFinding.id == finding_id,
            ReconcileFinding.tenant_id == tenant_id,
            ReconcileFinding.status.in_([FindingStatus.OPEN, FindingStatus.FAILED]),
            ReconcileFinding.resolved_by.is_(None),
        )
        .values(resolved_by=actor)
        .returning(ReconcileFinding.id)
    )
    return claimed is not None


async def finish_finding(
    conn: AsyncConnection, finding: Finding, status: FindingStatus, *, actor: str, now: datetime
) -> bool:
    """Write down that a difference is dealt with; False where that was written down before."""
    finished = await conn.scalar(
        update(ReconcileFinding)
        .where(
            ReconcileFinding.id == finding.id,
            ReconcileFinding.status.in_([FindingStatus.OPEN, FindingStatus.FAILED]),
        )
        .values(status=status, resolved_by=actor, resolved_at=now, error=None)
        .returning(ReconcileFinding.id)
    )
    return finished is not None


async def fail_finding(conn: AsyncConnection, finding: Finding, error: str) -> None:
    """Write down why a repair failed, and let somebody try again."""
    await conn.execute(
        update(ReconcileFinding)
        .where(
            ReconcileFinding.id == finding.id,
            ReconcileFinding.status.in_([FindingStatus.OPEN, FindingStatus.FAILED]),
        )
        .values(status=FindingStatus.FAILED, resolved_by=None, error=error.replace("\0", ""))
    )
