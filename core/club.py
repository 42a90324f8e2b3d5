"""Clubs: making one, and finding the one that a request is about."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.errors import InvalidInputError, NotFoundError
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
    # The connected account that its money goes to; None: the Stripe key's own.
    stripe_account_id: str | None = None
    slack_payments_channel: str | None = None
    slack_approvals_channel: str | None = None
    slack_admins: Sequence[str] = ()
    slack_coaches: Sequence[str] = ()


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
    Tenant.stripe_account_id,
    Tenant.slack_payments_channel,
    Tenant.slack_approvals_channel,
    Tenant.slack_admins,
    Tenant.slack_coaches,
).order_by(Tenant.id)


_Other = aliased(Tenant)


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


async def club_by_team(conn: AsyncConnection, team_id: str) -> Club | None:
    """Return the club of a Slack workspace; a lone club that names no workspace comes for any."""
    names_none = Tenant.slack_team_id.is_(None) & ~select(_Other.id).where(_Other.id != Tenant.id).exists()
    row = (await conn.execute(_CLUB.where((Tenant.slack_team_id == team_id) | names_none))).one_or_none()
    return None if row is None else Club(*row)


async def club_by_account(conn: AsyncConnection, stripe_account_id: str) -> Club | None:
    """Return the club whose connected Stripe account this is; None where it is no club's."""
    row = (await conn.execute(_CLUB.where(Tenant.stripe_account_id == stripe_account_id))).one_or_none()
    return None if row is None else Club(*row)


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

    Raises:
        InvalidInputError: where another club has its workspace.
    """
    given = {key: value for key, value in details.items() if value is not None}
    statement = insert(Tenant).values(name=name, **given)
    statement = statement.on_conflict_do_update(index_elements=[Tenant.name], set_={"name": name, **given})
    with _naming_what_is_taken(given):
        club_id = await conn.scalar(statement.returning(Tenant.id))
    return await club_by_id(conn, int(club_id or 0))


async def change_club(
    conn: AsyncConnection, club_id: int, wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give columns of a club new values; what has its value already is left alone.

    Returns the columns that changed, as they were and as they are.

    Raises:
        InvalidInputError: where another club has its workspace or its Stripe account.
    """
    columns = [Tenant.__table__.c[name] for name in wanted]
    row = (await conn.execute(select(*columns).where(Tenant.id == club_id).with_for_update())).one()
    before = {name: value for name, value in row._mapping.items() if value != wanted[name]}
    after = {name: wanted[name] for name in before}
    if after:
        with _naming_what_is_taken(after):
            await conn.execute(update(Tenant).where(Tenant.id == club_id).values(after))
    return before, after


# What only one club can have, by the constraint that says so.
_ONE_CLUBS = {
    "uq_tenants_slack_team_id": ("slack_team_id", "Slack workspace"),
    "uq_tenants_stripe_account_id": ("stripe_account_id", "Stripe account"),
}


@contextmanager
def _naming_what_is_taken(values: Mapping[str, Any]) -> Iterator[None]:
    """Put into words what another club has already; it is the database that knows, whoever was first."""
    try:
        yield
    except IntegrityError as error:
        constraint = error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
        if constraint not in _ONE_CLUBS:
            raise
        column, thing = _ONE_CLUBS[constraint]
        raise InvalidInputError(
            f"{values.get(column)} is another club's {thing} already; each club has its own."
        ) from None
