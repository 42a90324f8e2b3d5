"""The treasurer's overview: what is owed by team, what came in this month, the oldest debts."""

from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import OwedItem, balance_cents, fetch_owed, owed_items
from core.clock import local_date
from core.club import Club
from core.errors import NotFoundError
from core.models import Order, Payment, Player, Team
from core.models.statuses import OrderStatus, PaymentMethod

OLDEST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TeamDues:
    """What one team's families owe, in cents. `team_id` is None for players without a team."""

    team_id: int | None
    team_name: str | None
    players: int
    items: int
    owed_cents: int


@dataclass(frozen=True, slots=True)
class DuesReport:
    """The overview of a club, or of one team."""

    team_name: str | None
    teams: tuple[TeamDues, ...]
    collected_cents: int
    collected_since: date
    oldest: tuple[OwedItem, ...]

    @property
    def owed_cents(self) -> int:
        """What is owed altogether."""
        return sum(team.owed_cents for team in self.teams)


async def find_team(conn: AsyncConnection, tenant_id: int, name: str) -> tuple[int, str]:
    """Return the id and name of the team so named, or of the only one whose name begins or contains it.

    Raises:
        NotFoundError: where none or several fit, naming them.
    """
    rows = await conn.execute(select(Team.id, Team.name).where(Team.tenant_id == tenant_id).order_by(Team.name))
    teams = [(row.id, row.name) for row in rows]
    wanted = name.strip().casefold()
    exact = [team for team in teams if team[1].casefold() == wanted]
    near = exact or [team for team in teams if wanted in team[1].casefold()]
    if len(near) == 1:
        return near[0]
    names = ", ".join(team_name for _, team_name in (near or teams)[:20])
    known = "Several teams fit" if near else f"There is no team “{name.strip()[:80]}”. There are"
    raise NotFoundError(f"{known}: {names}." if names else "There are no teams yet.")


async def dues_report(conn: AsyncConnection, club: Club, now: datetime, team_id: int | None = None) -> DuesReport:
    """Return the overview, with three statements (four for one team) whatever the club's size."""
    conditions: list[ColumnElement[bool]] = [Order.status == OrderStatus.PENDING]
    if team_id is not None:
        conditions.append(Player.team_id == team_id)
    first_day = local_date(now, club.time_zone).replace(day=1)
    return DuesReport(
        team_name=None if team_id is None else await conn.scalar(select(Team.name).where(Team.id == team_id)),
        teams=await _by_team(conn, club.id, conditions),
        collected_cents=await _collected(conn, club, first_day, team_id),
        collected_since=first_day,
        oldest=await _oldest(conn, club.id, conditions),
    )


async def _by_team(
    conn: AsyncConnection, tenant_id: int, conditions: list[ColumnElement[bool]]
) -> tuple[TeamDues, ...]:
    rows = await conn.execute(
        owed_items(tenant_id, *conditions)
        .order_by(None)
        .with_only_columns(
            Team.id,
            Team.name,
            func.count(func.distinct(Order.player_id)),
            func.count(),
            func.sum(balance_cents),
            maintain_column_froms=True,
        )
        .group_by(Team.id, Team.name)
        .order_by(func.sum(balance_cents).desc(), Team.name)
    )
    return tuple(TeamDues(row[0], row[1], row[2], row[3], int(row[4])) for row in rows)


async def _collected(conn: AsyncConnection, club: Club, first_day: date, team_id: int | None) -> int:
    since = datetime.combine(first_day, time(), ZoneInfo(club.time_zone))
    statement = (
        select(func.coalesce(func.sum(Payment.amount_cents), 0))
        .join(Order, Order.id == Payment.order_id)
        # A waived debt is settled, but nothing came in.
        .where(
            Order.tenant_id == club.id,
            Payment.created_at >= since,
            Payment.method != PaymentMethod.WAIVER,
        )
    )
    if team_id is not None:
        statement = statement.join(Player, Player.id == Order.player_id).where(Player.team_id == team_id)
    return int(await conn.scalar(statement) or 0)


async def _oldest(
    conn: AsyncConnection, tenant_id: int, conditions: list[ColumnElement[bool]]
) -> tuple[OwedItem, ...]:
    ids = (
        owed_items(tenant_id, *conditions, Order.due_date.is_not(None))
        .with_only_columns(Order.id, maintain_column_froms=True)
        .order_by(None)
        .order_by(Order.due_date, Order.id)
        .limit(OLDEST_SHOWN)
    )
    items = await fetch_owed(conn, tenant_id, Order.id.in_(ids.scalar_subquery()))
    return tuple(sorted(items, key=lambda item: (item.due_date or date.max, item.order_id)))
