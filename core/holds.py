"""Families who get no reminders for now, e.g. because somebody talks with them.

A hold is one guardian's: what they owe is left out of the copies to a second guardian too. It keeps reminders
away only; a re-send or a blast that a person asks for still goes out.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.clock import local_date
from core.club import Club
from core.errors import AlreadyDoneError, NotFoundError, WrongFieldError
from core.models import FamilyHold, Parent, Player

LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold in force. Without `until`, the club's last day of it, it lasts until somebody lifts it."""

    parent_id: int
    parent_name: str
    parent_email: str | None
    until: date | None
    reason: str
    created_by: str


@dataclass(frozen=True, slots=True)
class Family:
    """A guardian whose reminders can be held."""

    parent_id: int
    name: str
    email: str | None


_name = func.btrim(Parent.first_name + " " + Parent.last_name)
_FAMILY = select(Parent.id, _name, Parent.email)


def in_force(today: date) -> ColumnElement[bool]:
    """Return the condition on `FamilyHold` that it holds on a day in the club's time zone."""
    return FamilyHold.lifted_at.is_(None) & or_(FamilyHold.until.is_(None), FamilyHold.until >= today)


async def held_parents(
    conn: AsyncConnection, tenant_id: int, today: date, among: Collection[int] | None = None
) -> frozenset[int]:
    """Return which guardians of a club get no reminders that day, with one statement."""
    statement = select(FamilyHold.parent_id).where(FamilyHold.tenant_id == tenant_id, in_force(today))
    if among is not None:
        statement = statement.where(FamilyHold.parent_id.in_(among))
    return frozenset(await conn.scalars(statement))


async def list_holds(conn: AsyncConnection, tenant_id: int, today: date) -> list[Hold]:
    """Return a club's holds in force, by name."""
    rows = await conn.execute(
        select(
            FamilyHold.parent_id,
            _name,
            Parent.email,
            FamilyHold.until,
            FamilyHold.reason,
            FamilyHold.created_by,
        )
        .join(Parent, Parent.id == FamilyHold.parent_id)
        .where(FamilyHold.tenant_id == tenant_id, in_force(today))
        .order_by(Parent.last_name, Parent.first_name, Parent.id)
    )
    return [Hold(*row) for row in rows]


async def family_of_player(conn: AsyncConnection, tenant_id: int, player_id: int) -> Family:
    """Return a player's first guardian, whose reminders a hold on the player's family stops.

    Raises:
        NotFoundError: no such player in this club.
    """
    is_it = (Player.id == player_id) & (Player.tenant_id == tenant_id)
    row = (await conn.execute(_FAMILY.join(Player, Player.parent_id == Parent.id).where(is_it))).one_or_none()
    if row is None:
        raise NotFoundError("That player isn't on the roster any more; please search again.")
    return Family(*row)


async def family_of_address(conn: AsyncConnection, tenant_id: int, email: str) -> Family:
    """Return the guardian with this address, in whatever case.

    Raises:
        NotFoundError: where none has it.
    """
    is_it = (Parent.tenant_id == tenant_id) & (func.lower(Parent.email) == email.strip().lower())
    row = (await conn.execute(_FAMILY.where(is_it))).one_or_none()
    if row is None:
        raise NotFoundError("No family here has that address.")
    return Family(*row)


async def set_hold(
    conn: AsyncConnection,
    club: Club,
    parent_id: int,
    until: date | None,
    reason: str,
    *,
    actor: str,
    now: datetime,
) -> bool:
    """Keep reminders from a family; another hold takes the place of the one in force.

    Returns whether anything changed: twice the same is once done.

    Raises:
        NotFoundError: no such family in this club.
        WrongFieldError: `until` has passed, or `reason` is empty or too long.
    """
    reason = " ".join(reason.split())
    _check(until, reason, local_date(now, club.time_zone))
    await _lock_parent(conn, club.id, parent_id)
    held = await _open_hold(conn, parent_id)
    if held == (until, reason):
        return False
    if held is not None:
        await _lift(conn, parent_id, actor, now)
    await conn.execute(
        insert(FamilyHold).values(
            tenant_id=club.id, parent_id=parent_id, until=until, reason=reason, created_by=actor
        )
    )
    before = None if held is None else _told(*held)
    subject = f"parent:{parent_id}"
    await record_change(conn, club.id, actor, "hold.set", subject, before=before, after=_told(until, reason))
    return True


async def lift_hold(conn: AsyncConnection, club: Club, parent_id: int, *, actor: str, now: datetime) -> None:
    """Let a family have reminders again.

    Raises:
        NotFoundError: no such family in this club.
        AlreadyDoneError: there is no hold; where somebody lifted one before, naming who.
    """
    await _lock_parent(conn, club.id, parent_id)
    held = await _open_hold(conn, parent_id)
    if held is None:
        raise await _nothing_to_lift(conn, parent_id)
    await _lift(conn, parent_id, actor, now)
    await record_change(conn, club.id, actor, "hold.lift", f"parent:{parent_id}", before=_told(*held))


def _check(until: date | None, reason: str, today: date) -> None:
    if until is not None and until < today:
        raise WrongFieldError("That day has passed; pick today or a later one.", "until")
    if not reason:
        raise WrongFieldError("Say in a few words why, so that others know.", "reason")
    if len(reason) > LONGEST_REASON:
        raise WrongFieldError(f"A reason has {LONGEST_REASON} characters at most.", "reason")


async def _lock_parent(conn: AsyncConnection, tenant_id: int, parent_id: int) -> None:
    """Let one change of a family's hold happen at a time."""
    is_it = (Parent.id == parent_id) & (Parent.tenant_id == tenant_id)
    if await conn.scalar(select(Parent.id).where(is_it).with_for_update(key_share=True)) is None:
        raise NotFoundError("That family isn't on the roster any more; please search again.")


async def _open_hold(conn: AsyncConnection, parent_id: int) -> tuple[date | None, str] | None:
    """Return what nobody has lifted, be its last day over or not."""
    found = await conn.execute(
        select(FamilyHold.until, FamilyHold.reason).where(
            FamilyHold.parent_id == parent_id, FamilyHold.lifted_at.is_(None)
        )
    )
    row = found.one_or_none()
    return None if row is None else (row.until, row.reason)


async def _lift(conn: AsyncConnection, parent_id: int, actor: str, now: datetime) -> None:
    await conn.execute(
        update(FamilyHold)
        .where(FamilyHold.parent_id == parent_id, FamilyHold.lifted_at.is_(None))
        .values(lifted_at=now, lifted_by=actor)
    )


async def _nothing_to_lift(conn: AsyncConnection, parent_id: int) -> AlreadyDoneError:
    lifted_by = await conn.scalar(
        select(FamilyHold.lifted_by)
        .where(FamilyHold.parent_id == parent_id)
        .order_by(FamilyHold.id.desc())
        .limit(1)
    )
    if lifted_by is None:
        return AlreadyDoneError("Reminders to this family are not on hold.")
    return AlreadyDoneError(f"The hold was already lifted by {lifted_by}.", people=[lifted_by])


def _told(until: date | None, reason: str) -> dict[str, str | None]:
    return {"until": None if until is None else until.isoformat(), "reason": reason}
