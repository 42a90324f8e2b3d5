"""Tournaments: what each costs a team's players, and who is committed to it.

Whoever changes a tournament or bills it holds its row, so that nobody is billed who was just withdrawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.club import Club
from core.errors import InvalidInputError, NotFoundError
from core.models import Order, Product, Team, Tournament, TournamentEntry, TournamentProduct
from core.models.statuses import Category, EntryStatus, OrderStatus
from core.money import format_money

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class TournamentSummary:
    """A tournament: its teams' fees in cents, and how many players are committed."""

    id: int
    name: str
    starts_on: date
    fees: dict[str, int]
    committed: int


@dataclass(frozen=True, slots=True)
class AddedTournament:
    """What adding did: names of the teams that are new, of those whose fee changed, and of those as they were."""

    tournament_id: int
    is_new: bool
    name: str
    teams_added: tuple[str, ...]
    fees_changed: tuple[str, ...]
    unchanged: tuple[str, ...]


async def list_tournaments(conn: AsyncConnection, tenant_id: int, limit: int = 100) -> list[TournamentSummary]:
    """Return a club's tournaments, the latest first, with two statements."""
    committed = (
        select(func.count())
        .where(TournamentEntry.tournament_id == Tournament.id, TournamentEntry.status == EntryStatus.COMMITTED)
        .correlate(Tournament)
        .scalar_subquery()
    )
    rows = (
        await conn.execute(
            select(Tournament.id, Tournament.name, Tournament.starts_on, committed.label("committed"))
            .where(Tournament.tenant_id == tenant_id)
            .order_by(Tournament.starts_on.desc(), Tournament.id.desc())
            .limit(limit)
        )
    ).all()
    fees: dict[int, dict[str, int]] = {}
    for fee in await conn.execute(
        select(TournamentProduct.tournament_id, Team.name, Product.price_cents)
        .join(Team, Team.id == TournamentProduct.team_id)
        .join(Product, Product.id == TournamentProduct.product_id)
        .where(TournamentProduct.tournament_id.in_([row.id for row in rows]))
        .order_by(Team.name)
    ):
        fees.setdefault(fee.tournament_id, {})[fee.name] = fee.price_cents
    return [
        TournamentSummary(row.id, row.name, row.starts_on, fees.get(row.id, {}), row.committed) for row in rows
    ]


async def tournament_name(conn: AsyncConnection, tenant_id: int, tournament_id: int) -> str:
    """Return what a tournament is called.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    name: str | None = await conn.scalar(
        select(Tournament.name).where(Tournament.id == tournament_id, Tournament.tenant_id == tenant_id)
    )
    if name is None:
        raise _unknown(tournament_id)
    return name


async def hold_tournament(conn: AsyncConnection, tenant_id: int, tournament_id: int) -> str:
    """Take the tournament's row for this transaction; returns what it is called.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    name: str | None = await conn.scalar(
        select(Tournament.name)
        .where(Tournament.id == tournament_id, Tournament.tenant_id == tenant_id)
        .with_for_update(key_share=True)
    )
    if name is None:
        raise _unknown(tournament_id)
    return name


def _unknown(tournament_id: int) -> NotFoundError:
    return NotFoundError(f"There is no tournament {tournament_id} here; `sideline tournament list` shows them.")


async def add_tournament(
    conn: AsyncConnection, club: Club, name: str, starts_on: date, fees: Mapping[str, int], *, actor: str
) -> AddedTournament:
    """Make a tournament with these fees (cents by team name), or add to it the teams it doesn't have yet.

    The fee of a team that is in it already can only change while nobody was billed for it.

    Raises:
        InvalidInputError: for an unknown team, a fee of nothing, or another fee than families were billed.
    """
    name = _checked_name(name)
    teams = await _teams(conn, club.id, fees)
    tournament_id, is_new = await _tournament(conn, club.id, name, starts_on)
    known = await _known_fees(conn, tournament_id)
    changed = {team_id for team_id in teams if team_id in known and known[team_id].cents != teams[team_id].cents}
    await _change_fees(conn, club, [(teams[team_id], known[team_id].product_id) for team_id in changed])
    added = [team for team_id, team in teams.items() if team_id not in known]
    for team in added:
        await _add_team(conn, club, tournament_id, name, team)
    if added or changed:
        after = {"name": name, "fees": {team.name: team.cents for team in teams.values()}}
        await record_change(conn, club.id, actor, "tournament.add", f"tournament:{tournament_id}", after=after)
    return AddedTournament(
        tournament_id,
        is_new,
        name,
        teams_added=tuple(team.name for team in added),
        fees_changed=tuple(teams[team_id].name for team_id in changed),
        unchanged=tuple(team.name for team_id, team in teams.items() if team_id in known.keys() - changed),
    )


@dataclass(frozen=True, slots=True)
class _TeamFee:
    team_id: int
    name: str
    cents: int


@dataclass(frozen=True, slots=True)
class _KnownFee:
    product_id: int
    cents: int


def _checked_name(typed: str) -> str:
    name = " ".join(typed.split())
    if not name or not name.isprintable():
        raise InvalidInputError("Say what the tournament is called, e.g. --name “Harvest Cup”.")
    if len(name) > LONGEST_NAME:
        raise InvalidInputError(f"The tournament's name is longer than {LONGEST_NAME} characters; shorten it.")
    return name


async def _teams(conn: AsyncConnection, tenant_id: int, fees: Mapping[str, int]) -> dict[int, _TeamFee]:
    rows = await conn.execute(select(Team.id, Team.name).where(Team.tenant_id == tenant_id).order_by(Team.name))
    teams = {row.name.casefold(): row for row in rows}
    wanted: dict[int, _TeamFee] = {}
    for typed, cents in fees.items():
        team = teams.get(" ".join(typed.split()).casefold())
        if team is None:
            names = ", ".join(row.name for row in teams.values()) or "none yet"
            raise InvalidInputError(f"There is no team “{typed}” here; there are: {names}.")
        if cents <= 0:
            raise InvalidInputError(f"The fee of {team.name} has to be more than nothing.")
        if wanted.get(team.id, _TeamFee(team.id, team.name, cents)).cents != cents:
            raise InvalidInputError(f"{team.name} is named twice with different fees; keep one.")
        wanted[team.id] = _TeamFee(team.id, team.name, cents)
    return wanted


async def _tournament(conn: AsyncConnection, tenant_id: int, name: str, starts_on: date) -> tuple[int, bool]:
    details = {"tenant_id": tenant_id, "name": name, "starts_on": starts_on}
    make = upsert(Tournament).values(details).on_conflict_do_nothing()
    made = await conn.scalar(make.returning(Tournament.id))
    # Somebody else may be adding teams to it at this moment.
    tournament_id = await conn.scalar(
        select(Tournament.id).filter_by(**details).with_for_update(key_share=True, of=Tournament)
    )
    return int(tournament_id or 0), made is not None


async def _known_fees(conn: AsyncConnection, tournament_id: int) -> dict[int, _KnownFee]:
    rows = await conn.execute(
        select(TournamentProduct.team_id, Product.id, Product.price_cents)
        .join(Product, Product.id == TournamentProduct.product_id)
        .where(TournamentProduct.tournament_id == tournament_id)
    )
    return {row.team_id: _KnownFee(row.id, row.price_cents) for row in rows}


_BILLED = (
    select(Order.id)
    .join(Product, Product.id == Order.product_id)
    .where(Order.status != OrderStatus.CANCELED)
    .limit(1)
)


async def _change_fees(conn: AsyncConnection, club: Club, changes: Sequence[tuple[_TeamFee, int]]) -> None:
    for team, product_id in changes:
        parts = (Product.id == product_id) | (Product.share_of == product_id)
        if await conn.scalar(_BILLED.where(parts)) is not None:
            raise InvalidInputError(
                f"{team.name} was billed already, so its fee can't become "
                f"{format_money(team.cents, club.currency)} any more; change the families' amounts instead."
            )
        await conn.execute(update(Product).where(parts).values(price_cents=team.cents))


async def _add_team(conn: AsyncConnection, club: Club, tournament_id: int, name: str, team: _TeamFee) -> None:
    product_id = await conn.scalar(
        insert(Product)
        .values(
            tenant_id=club.id,
            category=Category.TOURNAMENT,
            name=f"{name}, {team.name}",
            price_cents=team.cents,
            currency=club.currency,
        )
        .returning(Product.id)
    )
    await conn.execute(
        insert(TournamentProduct).values(
            tenant_id=club.id, tournament_id=tournament_id, team_id=team.team_id, product_id=product_id
        )
    )


def products_of(tournament_id: int) -> Select[int]:
    """Return the ids of a tournament's products and, where guardians share a fee, of the second one's parts."""
    own = select(TournamentProduct.product_id).where(TournamentProduct.tournament_id == tournament_id)
    return select(Product.id).where(or_(Product.id.in_(own), Product.share_of.in_(own)))
