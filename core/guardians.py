"""A player's second guardian: who it is, whether they pay a part, and how they are taken off again.

Without a share the second guardian gets copies of the mails about this player. With one, each new fee becomes two
orders, and neither guardian sees the other's. What was charged before stays as it is.
"""

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import player_name
from core.charging import lock_billing
from core.club import Club
from core.errors import InvalidInputError, NotFoundError
from core.models import Order, Parent, PaymentLink, Player
from core.models.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class Guardian:
    """A grown-up as somebody named them; the address is checked already. Blank names leave what is stored."""

    email: str
    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True, slots=True)
class GuardianChange:
    """What was done about a player's second guardian. `moved_orders` went to the first one."""

    player_name: str
    guardian_name: str
    guardian_email: str | None
    share_percent: int | None
    is_changed: bool
    moved_orders: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """A player's guardians, the player's row locked."""

    player_id: int
    player_name: str
    parent_id: int
    second_id: int | None
    share_percent: int | None


async def set_second_guardian(
    conn: AsyncConnection, club: Club, player_id: int, guardian: Guardian, share_percent: int | None, *, actor: str
) -> GuardianChange:
    """Make this person the player's second guardian, with this share of new fees in percent, or with copies only.

    Raises:
        InvalidInputError: where the share can't be one, it is the first guardian's address, or another second
            guardian still has open orders.
        NotFoundError: no such player in this club.
    """
    if share_percent is not None and not 1 <= share_percent <= 99:
        raise InvalidInputError("A share is 1 to 99 percent; leave it out where the second guardian gets copies.")
    held = await _hold(conn, club, player_id)
    second_id = await _find_or_add(conn, club, guardian)
    if second_id == held.parent_id:
        raise InvalidInputError(f"{guardian.email} is {held.player_name}'s first guardian already.")
    if held.second_id not in {None, second_id}:
        await _refuse_while_owing(conn, held)
    is_changed = (held.second_id, held.share_percent) != (second_id, share_percent)
    if is_changed:
        await _store(conn, club, held, second_id, share_percent, actor=actor)
    name, email = await _who(conn, second_id)
    return GuardianChange(held.player_name, name, email, share_percent, is_changed)


async def remove_second_guardian(
    conn: AsyncConnection, club: Club, player_id: int, *, move_orders: bool, actor: str
) -> GuardianChange:
    """Take the second guardian off; with `move_orders` the first one gets what the second still owes.

    Links and old mails lead to the same orders afterwards.

    Raises:
        InvalidInputError: where there are open orders and they are not to be moved, or a bank payment of the
            second guardian's is on its way.
        NotFoundError: no such player in this club.
    """
    held = await _hold(conn, club, player_id)
    if held.second_id is None:
        return GuardianChange(held.player_name, "", None, None, is_changed=False)
    moved = await _move_orders(conn, held) if move_orders else 0
    await _refuse_while_owing(conn, held)
    name, email = await _who(conn, held.second_id)
    await _store(conn, club, held, None, None, actor=actor, moved_orders=moved)
    return GuardianChange(held.player_name, name, email, None, is_changed=True, moved_orders=moved)


async def _hold(conn: AsyncConnection, club: Club, player_id: int) -> _Held:
    # A fee that is being charged right now is split as it was when charging began.
    await lock_billing(conn, club.id)
    row = (
        await conn.execute(
            select(Player.id, player_name, Player.parent_id, Player.second_parent_id, Player.second_share_percent)
            .where(Player.id == player_id, Player.tenant_id == club.id)
            .with_for_update()
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("That player isn't on the roster any more.")
    return _Held(*row)


async def _find_or_add(conn: AsyncConnection, club: Club, guardian: Guardian) -> int:
    added = upsert(Parent).values(
        tenant_id=club.id, email=guardian.email, first_name=guardian.first_name, last_name=guardian.last_name
    )
    await conn.execute(added.on_conflict_do_nothing())
    is_it = (Parent.tenant_id == club.id, func.lower(Parent.email) == func.lower(guardian.email))
    if guardian.first_name or guardian.last_name:
        names = {"first_name": guardian.first_name, "last_name": guardian.last_name}
        await conn.execute(update(Parent).where(*is_it).values(names))
    return int(await conn.scalar(select(Parent.id).where(*is_it)) or 0)


async def _who(conn: AsyncConnection, parent_id: int) -> tuple[str, str | None]:
    found = await conn.execute(
        select(Parent.first_name, Parent.last_name, Parent.email).where(Parent.id == parent_id)
    )
    first_name, last_name, email = found.one()
    return f"{first_name} {last_name}".strip() or email or "", email


async def _refuse_while_owing(conn: AsyncConnection, held: _Held) -> None:
    statuses = list(
        await conn.scalars(
            select(Order.status).where(
                Order.player_id == held.player_id,
                Order.parent_id == held.second_id,
                Order.status.in_([OrderStatus.PENDING, OrderStatus.PROCESSING]),
            )
        )
    )
    if OrderStatus.PROCESSING in statuses:
        raise InvalidInputError(
            f"A bank payment of {held.player_name}'s second guardian is on its way; try again once it is in."
        )
    if statuses:
        raise InvalidInputError(
            f"{held.player_name}'s second guardian still has {len(statuses)} open order(s): settle them, or have "
            "the first guardian pay them with `sideline guardian remove --move-orders`."
        )


async def _move_orders(conn: AsyncConnection, held: _Held) -> int:
    moved = await conn.scalars(
        update(Order)
        .where(
            Order.player_id == held.player_id,
            Order.parent_id == held.second_id,
            Order.status == OrderStatus.PENDING,
        )
        .values(parent_id=held.parent_id)
        .returning(Order.id)
    )
    order_ids = list(moved)
    await conn.execute(
        update(PaymentLink).where(PaymentLink.order_id.in_(order_ids)).values(parent_id=held.parent_id)
    )
    return len(order_ids)


async def _store(
    conn: AsyncConnection,
    club: Club,
    held: _Held,
    second_id: int | None,
    share_percent: int | None,
    *,
    actor: str,
    moved_orders: int = 0,
) -> None:
    await conn.execute(
        update(Player)
        .where(Player.id == held.player_id)
        .values(second_parent_id=second_id, second_share_percent=share_percent)
    )
    before = {"second_parent_id": held.second_id, "second_share_percent": held.share_percent}
    after = {"second_parent_id": second_id, "second_share_percent": share_percent, "moved_orders": moved_orders}
    action = "guardian.set" if second_id is not None else "guardian.remove"
    await record_change(conn, club.id, actor, action, f"player:{held.player_id}", before=before, after=after)
