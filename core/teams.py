"""The club's teams, for choosing one."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import Team


@dataclass(frozen=True, slots=True)
class TeamName:
    """A team."""

    id: int
    name: str


async def list_teams(conn: AsyncConnection, tenant_id: int) -> list[TeamName]:
    """Return a club's teams by name."""
    rows = await conn.execute(select(Team.id, Team.name).where(Team.tenant_id == tenant_id).order_by(Team.name))
    return [TeamName(*row) for row in rows]
