"""The families of a blast: frozen when it is drafted, and what became of each. One statement for however many."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import Audience
from core.models.statuses import RecipientStatus

_FREEZE = text("""
    insert into blast_recipients (blast_id, parent_id, status, error, total_cents)
    select :blast_id, r.parent_id, r.status, r.error, r.total_cents
    from unnest(
        cast(:parent_ids as bigint[]), cast(:statuses as text[]),
        cast(:errors as text[]), cast(:totals as bigint[])
    ) as r(parent_id, status, error, total_cents)
    on conflict do nothing
""")


async def freeze_recipients(conn: AsyncConnection, blast_id: int, audience: Audience) -> None:
    """Write down who is mailed, and who is left out and why.

    A family is one row: where it is mailed about one child and left out for another, it is mailed.
    """
    reasons: dict[int, list[str]] = {}
    for skipped in audience.skipped:
        reasons.setdefault(skipped.parent_id, []).append(skipped.words)
    rows: list[tuple[int, str, str | None, int]] = [
        (recipient.parent_id, RecipientStatus.PENDING, None, recipient.total_cents)
        for recipient in audience.recipients
    ]
    rows += [
        (parent_id, RecipientStatus.SKIPPED, "; ".join(dict.fromkeys(words)), 0)
        for parent_id, words in reasons.items()
    ]
    parent_ids, statuses, errors, totals = (list(column) for column in zip(*rows, strict=True))
    frozen = {"parent_ids": parent_ids, "statuses": statuses, "errors": errors, "totals": totals}
    await conn.execute(_FREEZE, {"blast_id": blast_id, **frozen})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claimed family's mail; `words` says why where it was not sent."""

    blast_id: int
    parent_id: int
    status: RecipientStatus
    words: str | None


# A mail that was called uncertain meanwhile and turns out not to have gone is failed, for people to send again:
# the blast may be over, and then nobody else would come back to it.
_SET = text("""
    update blast_recipients r
    set error = was.error,
        status = case when was.before = 'uncertain' and was.status = 'pending' then 'failed' else was.status end
    from (
        select given.*, known.status as before
        from unnest(
            cast(:blast_ids as bigint[]), cast(:parent_ids as bigint[]),
            cast(:statuses as text[]), cast(:errors as text[])
        ) as given (blast_id, parent_id, status, error)
        join blast_recipients known using (blast_id, parent_id)
        where known.status in ('sending', 'uncertain')
        for update of known
    ) as was
    where r.blast_id = was.blast_id and r.parent_id = was.parent_id
    returning r.blast_id, r.parent_id, was.before
""")


async def set_recipients(
    conn: AsyncConnection, outcomes: Sequence[Outcome]
) -> dict[tuple[int, int], RecipientStatus]:
    """Write outcomes down with one statement; returns the status that each had until now, by blast and parent.

    Those that others brought to an end meanwhile are left as they are, and out of what is returned.
    """
    if not outcomes:
        return {}
    told = {
        "blast_ids": [outcome.blast_id for outcome in outcomes],
        "parent_ids": [outcome.parent_id for outcome in outcomes],
        "statuses": [outcome.status.value for outcome in outcomes],
        "errors": [outcome.words for outcome in outcomes],
    }
    rows = await conn.execute(_SET, told)
    return {(row.blast_id, row.parent_id): RecipientStatus(row.before) for row in rows}
