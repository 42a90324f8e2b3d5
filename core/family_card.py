"""What a coach sees when looking a player up: the family, what it owes, what it paid, when it was mailed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.balances import OwedItem, family_owes, item_name, player_name
from core.errors import NotFoundError
from core.models import EmailLog, Order, Parent, Payment, Player, Product, Team

PAYMENTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PaidItem:
    """One payment (positive) or refund (negative) of a family, in cents."""

    created_at: datetime
    player_name: str
    description: str
    amount_cents: int
    currency: str
    method: str


@dataclass(frozen=True, slots=True)
class LastMail:
    """The latest mail to a family, and whether it went out."""

    created_at: datetime
    email_type: str
    status: str
    to_address: str
    error: str | None


@dataclass(frozen=True, slots=True)
class FamilyCard:
    """A player with the whole family. Amounts in cents."""

    player_id: int
    player_name: str
    team_name: str | None
    contract_status: str
    monthly_fee_cents: int | None
    parent_id: int
    parent_name: str
    parent_email: str | None
    parent_phone: str | None
    siblings: tuple[str, ...]
    items: tuple[OwedItem, ...]
    payments: tuple[PaidItem, ...]
    last_mail: LastMail | None

    @property
    def total_cents(self) -> int:
        """What the whole family owes, what can't be paid right now included."""
        return sum(item.balance_cents for item in self.items if not item.is_processing)


async def load_family_card(conn: AsyncConnection, tenant_id: int, player_id: int) -> FamilyCard:
    """Return a player's card, with three statements whatever the family's size.

    Raises:
        NotFoundError: no such player in this club.
    """
    row = (await conn.execute(_CARD, {"player_id": player_id, "tenant_id": tenant_id})).one_or_none()
    if row is None:
        raise NotFoundError("That player isn't on the roster any more; please search again.")
    items = await family_owes(conn, tenant_id, row.parent_id)
    # The player asked for comes first, the siblings after.
    items.sort(key=lambda item: item.player_id != player_id)
    mail = (
        None
        if row.mail_at is None
        else LastMail(row.mail_at, row.mail_type, row.mail_status, row.mail_to, row.mail_error)
    )
    return FamilyCard(
        player_id=player_id,
        player_name=row.player_name,
        team_name=row.team_name,
        contract_status=row.contract_status,
        monthly_fee_cents=row.monthly_fee_cents,
        parent_id=row.parent_id,
        parent_name=f"{row.first_name} {row.last_name}".strip(),
        parent_email=row.email,
        parent_phone=row.phone,
        siblings=tuple(row.siblings or ()),
        items=tuple(items),
        payments=await paid_items(conn, tenant_id, row.parent_id, PAYMENTS_SHOWN),
        last_mail=mail,
    )


def _card() -> Select[*tuple[Any, ...]]:
    sibling = aliased(Player)
    siblings = (
        select(func.array_agg(func.btrim(sibling.first_name + " " + sibling.last_name)))
        .where(sibling.parent_id == Player.parent_id, sibling.id != Player.id)
        .scalar_subquery()
    )
    last_mail = (
        select(EmailLog)
        .where(EmailLog.parent_id == Player.parent_id)
        .order_by(EmailLog.created_at.desc(), EmailLog.id.desc())
        .limit(1)
        .lateral("last_mail")
    )
    return (
        select(
            player_name.label("player_name"),
            Player.contract_status,
            Player.monthly_fee_cents,
            Player.parent_id,
            Team.name.label("team_name"),
            Parent.first_name,
            Parent.last_name,
            Parent.email,
            Parent.phone,
            siblings.label("siblings"),
            last_mail.c.created_at.label("mail_at"),
            last_mail.c.email_type.label("mail_type"),
            last_mail.c.status.label("mail_status"),
            last_mail.c.to_address.label("mail_to"),
            last_mail.c.error.label("mail_error"),
        )
        .join(Parent, Parent.id == Player.parent_id)
        .outerjoin(Team, Team.id == Player.team_id)
        .outerjoin(last_mail, true())
        .where(Player.id == bindparam("player_id"), Player.tenant_id == bindparam("tenant_id"))
    )


# Built once: composing them takes longer than PostgreSQL takes to answer.
_CARD = _card()
_PAID = (
    select(Payment.created_at, player_name, item_name, Payment.amount_cents, Order.currency, Payment.method)
    .join(Order, Order.id == Payment.order_id)
    .join(Player, Player.id == Order.player_id)
    .outerjoin(Product, Product.id == Order.product_id)
    .where(Order.tenant_id == bindparam("tenant_id"), Order.parent_id == bindparam("parent_id"))
    .order_by(Payment.created_at.desc(), Payment.id.desc())
    .limit(bindparam("limit"))
)


async def paid_items(conn: AsyncConnection, tenant_id: int, parent_id: int, limit: int) -> tuple[PaidItem, ...]:
    """Return a family's payments and refunds, the latest first."""
    named = {"tenant_id": tenant_id, "parent_id": parent_id, "limit": limit}
    return tuple(PaidItem(*row) for row in await conn.execute(_PAID, named))
