"""The families of a blast, frozen when it is drafted: with one statement, however many there are."""

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
