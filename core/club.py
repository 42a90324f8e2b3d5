"""Clubs: making one, and finding the one that a request is about."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import NotFoundError
from core.models import Tenant


@dataclass(frozen=True, slots=True)
class Club:
    """What every room needs to know of a club."""

    id: int
    name: str
    slack_team_id: str | None
    currency: str
    time_zone: str
    brand_color: str
    reply_to: str | None
    two_person_approval: bool
    uid: str


_CLUB = select(
    Tenant.id,
    Tenant.name,
    Tenant.slack_team_id,
    Tenant.currency,
    Tenant.time_zone,
    Tenant.brand_color,
    Tenant.reply_to,
    Tenant.two_person_approval,
    Tenant.uid,
).order_by(Tenant.id)


async def all_clubs(conn: AsyncConnection) -> list[Club]:
    """Return every club in the database."""
    return [Club(*row) for row in (await conn.execute(_CLUB)).all()]


async def club_by_id(conn: AsyncConnection, club_id: int) -> Club:
    """Return a club.

    Raises:
        NotFoundError: where there is none.
    """
    row = (await conn.execute(_CLUB.where(Tenant.id == club_id))).one_or_none()
    if row is None:
        raise NotFoundError("There is no such club here.")
    return Club(*row)


async def choose_club(conn: AsyncConnection, name: str | None = None) -> Club:
    """Return the named club or, where none is named, the only one.

    Raises:
        NotFoundError: where there is none, or several and no name.
    """
    clubs = await all_clubs(conn)
    if not clubs:
        raise NotFoundError('There is no club yet: run `sideline init --club "Your club"` first.')
    matching = [club for club in clubs if name is None or club.name.casefold() == name.casefold()]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(club.name for club in clubs)
    raise NotFoundError(f"Say which club with --club NAME; there are: {names}.")


async def set_up_club(conn: AsyncConnection, name: str, **details: object) -> Club:
    """Make a club, or bring an existing one of that name up to date with the details given.

    Details are columns of `tenants`; those left out keep what they are.
    """
    given = {key: value for key, value in details.items() if value is not None}
    statement = insert(Tenant).values(name=name, **given)
    statement = statement.on_conflict_do_update(index_elements=[Tenant.name], set_={"name": name, **given})
    club_id = await conn.scalar(statement.returning(Tenant.id))
    return await club_by_id(conn, int(club_id or 0))
