"""The record of what people changed."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import AuditLog


async def record_change(
    conn: AsyncConnection,
    tenant_id: int,
    actor: str,
    action: str,
    subject: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write down who did what to which thing, in the transaction that does it.

    `actor` is a Slack user id, `cli` or `admin-api`; `subject` is like `order:12`.
    """
    await conn.execute(
        insert(AuditLog).values(
            tenant_id=tenant_id, actor=actor, action=action, subject=subject, before=before, after=after
        )
    )
