"""Who plays in a tournament: players are committed to it, or withdrawn and their debts canceled."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import player_name
from core.club import Club
from core.errors import InvalidInputError
from core.models import Order, Player, Team, TournamentEntry
from core.models.statuses import EntryStatus, OrderStatus
from core.named_players import NamedPlayer, NameProblem, find_named
from core.payment_links import PaymentLinks
from core.payments import cancel_order, lock_order
from core.tournaments import hold_tournament, products_of

OPEN = (OrderStatus.PENDING, OrderStatus.PROCESSING)
PAID_ALREADY = "has paid; refund it in Stripe if the club gives the money back"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a command is about: whole teams by name, players by `First Last`."""

    teams: Sequence[str] = ()
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EntryReport:
    """What was done for whom. `problems` were left as they are; `notes` are about players that were changed."""

    tournament: str
    changed: tuple[NamedPlayer, ...]
    unchanged: int
    problems: tuple[NameProblem, ...]
    notes: tuple[NameProblem, ...] = ()


async def enter_tournament(
    conn: AsyncConnection, club: Club, tournament_id: int, wanted: Wanted, *, actor: str
) -> EntryReport:
    """Commit these players to a tournament, in a fixed number of statements. Names that don't fit are listed.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    name = await hold_tournament(conn, club.id, tournament_id)
    players, problems = await _resolve(conn, club.id, wanted)
    entered: set[int] = set()
    if players:
        entry = {"tenant_id": club.id, "tournament_id": tournament_id, "status": EntryStatus.COMMITTED}
        statement = upsert(TournamentEntry).values([{**entry, "player_id": player_id} for player_id in players])
        statement = statement.on_conflict_do_update(
            index_elements=[TournamentEntry.tournament_id, TournamentEntry.player_id],
            set_={"status": EntryStatus.COMMITTED},
            where=TournamentEntry.status != EntryStatus.COMMITTED,
        )
        entered = set(await conn.scalars(statement.returning(TournamentEntry.player_id)))
    changed = tuple(player for player in players.values() if player.id in entered)
    await _record(conn, club, actor, "tournament.enter", tournament_id, changed)
    return EntryReport(name, changed, len(players) - len(changed), tuple(problems))


async def withdraw_from_tournament(
    conn: AsyncConnection, links: PaymentLinks, club: Club, tournament_id: int, wanted: Wanted, *, actor: str
) -> EntryReport:
    """Take these players out of a tournament; what they still owe for it is canceled and its link closed.

    Who has paid is taken out and stays paid. Where a part was paid, or a bank payment is on its way, the player
    stays in and is listed.

    Raises:
        NotFoundError: no such tournament in this club.
    """
    name = await hold_tournament(conn, club.id, tournament_id)
    players, problems = await _resolve(conn, club.id, wanted)
    committed = await _committed(conn, tournament_id, players)
    named = {" ".join(each.split()).lower() for each in wanted.names}
    problems += [
        NameProblem(player.name, "is not entered in this tournament")
        for player in players.values()
        if player.id not in committed and player.name.lower() in named
    ]
    orders = await _orders(conn, tournament_id, committed)
    out, notes = list[NamedPlayer](), list[NameProblem]()
    for player in (players[player_id] for player_id in players if player_id in committed):
        own = orders.get(player.id, {})
        reason = await _cancel(conn, links, club.id, [order for order, status in own.items() if status in OPEN])
        if reason is not None:
            problems.append(NameProblem(player.name, reason))
            continue
        out.append(player)
        if set(own.values()) - set(OPEN):
            notes.append(NameProblem(player.name, PAID_ALREADY))
    await conn.execute(
        update(TournamentEntry)
        .where(
            TournamentEntry.tournament_id == tournament_id,
            TournamentEntry.player_id.in_([player.id for player in out]),
        )
        .values(status=EntryStatus.WITHDRAWN)
    )
    await _record(conn, club, actor, "tournament.withdraw", tournament_id, out)
    return EntryReport(name, tuple(out), len(players) - len(committed), tuple(problems), tuple(notes))


async def _resolve(
    conn: AsyncConnection, tenant_id: int, wanted: Wanted
) -> tuple[dict[int, NamedPlayer], list[NameProblem]]:
    named = await find_named(conn, tenant_id, wanted.names)
    teams = {" ".join(team.split()).lower(): team for team in wanted.teams}
    rows = await conn.execute(
        select(func.lower(Team.name).label("team"), Player.id, player_name.label("name"))
        .outerjoin(Player, Player.team_id == Team.id)
        .where(Team.tenant_id == tenant_id, func.lower(Team.name).in_(teams))
        .order_by(Player.last_name, Player.first_name, Player.id)
    )
    players, known = {player.id: player for player in named.players}, set[str]()
    for row in rows:
        known.add(row.team)
        if row.id is not None:
            players.setdefault(row.id, NamedPlayer(row.id, row.name))
    unknown = [NameProblem(teams[team], "there is no such team here") for team in teams if team not in known]
    return players, [*unknown, *named.problems]


async def _committed(conn: AsyncConnection, tournament_id: int, players: dict[int, NamedPlayer]) -> set[int]:
    found = await conn.scalars(
        select(TournamentEntry.player_id).where(
            TournamentEntry.tournament_id == tournament_id,
            TournamentEntry.player_id.in_(players),
            TournamentEntry.status == EntryStatus.COMMITTED,
        )
    )
    return set(found)


async def _orders(
    conn: AsyncConnection, tournament_id: int, player_ids: set[int]
) -> dict[int, dict[int, OrderStatus]]:
    """Return what these players were charged for the tournament: statuses by order, by player."""
    orders: dict[int, dict[int, OrderStatus]] = {}
    for row in await conn.execute(
        select(Order.player_id, Order.id, Order.status)
        .where(
            Order.player_id.in_(player_ids),
            Order.product_id.in_(products_of(tournament_id)),
            Order.status != OrderStatus.CANCELED,
        )
        .order_by(Order.id)
    ):
        orders.setdefault(row.player_id, {})[row.id] = OrderStatus(row.status)
    return orders


async def _cancel(
    conn: AsyncConnection, links: PaymentLinks, tenant_id: int, order_ids: Sequence[int]
) -> str | None:
    """Cancel all of these orders, or none of them and say why not."""
    try:
        # Two guardians' parts are canceled together or stay together.
        async with conn.begin_nested():
            for order_id in order_ids:
                order = await lock_order(conn, order_id)
                if order is not None:
                    await cancel_order(conn, order, "withdrawn from the tournament")
                    await links.retire(conn, tenant_id, order_id, "withdrawn")
    except InvalidInputError as error:
        return str(error)
    return None


async def _record(
    conn: AsyncConnection,
    club: Club,
    actor: str,
    action: str,
    tournament_id: int,
    players: Sequence[NamedPlayer],
) -> None:
    if players:
        after = {"player_ids": [player.id for player in players]}
        await record_change(conn, club.id, actor, action, f"tournament:{tournament_id}", after=after)
