"""A player's own monthly fee, e.g. a scholarship: what it is from the next bill on, and why."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.balances import player_name
from core.club import Club
from core.errors import NotFoundError
from core.models import Player
from core.order_changes import tidy_reason


@dataclass(frozen=True, slots=True)
class PlayerFee:
    """What a player pays a month (cents; None: no fee is set), and why it is special (never for families)."""

    player_id: int
    player_name: str
    monthly_cents: int | None
    note: str


async def load_player_fee(conn: AsyncConnection, tenant_id: int, player_id: int) -> PlayerFee:
    """Return a player's fee, the player's row locked.

    Raises:
        NotFoundError: no such player in this club.
    """
    found = select(Player.id, player_name, Player.monthly_fee_cents, Player.fee_note).where(
        Player.id == player_id, Player.tenant_id == tenant_id
    )
    row = (await conn.execute(found.with_for_update(key_share=True))).one_or_none()
    if row is None:
        raise NotFoundError("That player isn't on the roster any more; please search again.")
    return PlayerFee(*row)


async def set_monthly_fee(
    conn: AsyncConnection, club: Club, player_id: int, monthly_cents: int | None, note: str, actor: str
) -> tuple[PlayerFee, PlayerFee]:
    """Set what a player is charged a month from the next bill on; returns the fee before and after.

    What was billed stays as it is. Setting what is set already changes nothing.

    Raises:
        NotFoundError: no such player in this club.
        WrongFieldError: where the note can't be kept like that.
    """
    note = tidy_reason(note)
    before = await load_player_fee(conn, club.id, player_id)
    after = PlayerFee(player_id, before.player_name, monthly_cents, note)
    if after != before:
        fee = {"monthly_fee_cents": monthly_cents, "fee_note": note}
        await conn.execute(update(Player).where(Player.id == player_id).values(fee))
        was = {"monthly_fee_cents": before.monthly_cents, "fee_note": before.note}
        await record_change(conn, club.id, actor, "player.fee", f"player:{player_id}", before=was, after=fee)
    return before, after
