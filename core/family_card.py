"""What a coach sees when looking a player up: the family, what it owes, what it paid, when it was mailed."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.balances import OwedItem, item_name, orders_around, orders_read_by, owed_items, player_name
from core.errors import NotFoundError
from core.manual_payments import HAND_METHODS
from core.models import EmailLog, FamilyHold, Order, Parent, Payment, Player, Product, Team
from core.prepared import Prepared

PAYMENTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PaidItem:
    """One payment (positive) or refund (negative) of a family, in cents; what was undone is left out.

    `reference` is a check's number, or why a debt was waived: for coaches and admins, never for families.
    """

    payment_id: int
    created_at: datetime
    player_name: str
    description: str
    amount_cents: int
    currency: str
    method: str
    reference: str | None
    # Whether a person recorded it, who may have been mistaken.
    is_by_hand: bool


@dataclass(frozen=True, slots=True)
class LastMail:
    """The latest mail to a family, and whether it went out."""

    created_at: datetime
    email_type: str
    status: str
    to_address: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A family that gets no reminders, until its last day (`until`) or, without one, until somebody lifts it."""

    until: date | None
    reason: str

    def covers(self, today: date) -> bool:
        """Say whether it still holds on a day in the club's time zone."""
        return self.until is None or today <= self.until


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
    # What the mail server said when it refused the address for good, and when.
    email_problem: str | None
    email_problem_at: datetime | None
    # Why the fee is special; for coaches and admins, never for a mail or a page.
    fee_note: str
    second_parent_id: int | None
    second_parent_name: str
    second_parent_email: str | None
    # The part of every fee that the second guardian pays; None where they only get copies.
    second_share_percent: int | None
    siblings: tuple[str, ...]
    items: tuple[OwedItem, ...]
    payments: tuple[PaidItem, ...]
    last_mail: LastMail | None
    # Not lifted; it may have come to its last day.
    hold: Hold | None

    @property
    def total_cents(self) -> int:
        """What the whole family owes, what can't be paid right now included."""
        return sum(item.balance_cents for item in self.items if not item.is_processing)


async def load_family_card(conn: AsyncConnection, tenant_id: int, player_id: int) -> FamilyCard:
    """Return a player's card, with one statement whatever the family's size.

    Raises:
        NotFoundError: no such player in this club.
    """
    asked = {"player_id": player_id, "tenant_id": tenant_id, "limit": PAYMENTS_SHOWN}
    rows = await _CARD.rows(conn, **asked)
    if not rows:
        raise NotFoundError("That player isn't on the roster any more; please search again.")
    row = rows[0]
    # The player asked for comes first, the siblings after.
    items = sorted(map(_owed_item, row.owed), key=lambda item: item.player_id != player_id)
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
        email_problem=row.email_problem,
        email_problem_at=row.email_problem_at,
        fee_note=row.fee_note,
        second_parent_id=row.second_parent_id,
        second_parent_name=f"{row.second_first_name or ''} {row.second_last_name or ''}".strip(),
        second_parent_email=row.second_email,
        second_share_percent=row.second_share_percent,
        siblings=tuple(row.siblings or ()),
        items=tuple(items),
        payments=tuple(map(_paid_item, row.paid)),
        last_mail=mail,
        hold=None if row.hold_reason is None else Hold(row.hold_until, row.hold_reason),
    )


# Built once: composing them takes longer than PostgreSQL takes to answer.
_named_parent = bindparam("parent_id", type_=BigInteger)
_undone = aliased(Payment)
_PAID_ITEMS = (
    select(
        Payment.id,
        Payment.created_at,
        player_name,
        item_name,
        Payment.amount_cents,
        Order.currency,
        Payment.method,
        Payment.reference,
        (Payment.method.in_(HAND_METHODS) & (Payment.amount_cents > 0)).label("is_by_hand"),
    )
    .join(Order, Order.id == Payment.order_id)
    .join(Player, Player.id == Order.player_id)
    .outerjoin(Product, Product.id == Order.product_id)
    .where(
        Order.tenant_id == bindparam("tenant_id"),
        # What a person recorded and undid again never happened.
        Payment.voids_payment_id.is_(None),
        ~exists().where(_undone.voids_payment_id == Payment.id).correlate(Payment),
    )
    .order_by(Payment.created_at.desc(), Payment.id.desc())
    .limit(bindparam("limit"))
)
_PAID = _PAID_ITEMS.where(Order.id.in_(orders_read_by(_named_parent)))
_asked = aliased(Player)
_payer = (
    select(_asked.parent_id)
    .where(_asked.id == bindparam("player_id"), _asked.tenant_id == bindparam("tenant_id"))
    .scalar_subquery()
)
_around = orders_around(bindparam("player_id", type_=BigInteger), _payer)


def _rows_of(statement: Select[Any]) -> ColumnElement[Any]:
    """Return a statement's rows as one value, so that they come along with the card's."""
    rows = statement.subquery()
    row = func.json_build_array(*rows.c)
    return (
        select(func.coalesce(func.json_agg(row), literal_column("'[]'::json", JSON)))
        .select_from(rows)
        .scalar_subquery()
    )


def _card() -> Select[*tuple[Any, ...]]:
    sibling, second = aliased(Player), aliased(Parent)
    siblings = (
        select(func.array_agg(func.btrim(sibling.first_name + " " + sibling.last_name)))
        .where(sibling.parent_id == Player.parent_id, sibling.id != Player.id)
        .scalar_subquery()
    )
    last_mail = (
        select(EmailLog.created_at, EmailLog.email_type, EmailLog.status, EmailLog.to_address, EmailLog.error)
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
            Parent.email_problem,
            Parent.email_problem_at,
            Player.fee_note,
            Player.second_parent_id,
            Player.second_share_percent,
            second.first_name.label("second_first_name"),
            second.last_name.label("second_last_name"),
            second.email.label("second_email"),
            siblings.label("siblings"),
            last_mail.c.created_at.label("mail_at"),
            last_mail.c.email_type.label("mail_type"),
            last_mail.c.status.label("mail_status"),
            last_mail.c.to_address.label("mail_to"),
            last_mail.c.error.label("mail_error"),
            FamilyHold.until.label("hold_until"),
            FamilyHold.reason.label("hold_reason"),
            _rows_of(owed_items(bindparam("tenant_id"), Order.id.in_(_around))).label("owed"),
            _rows_of(_PAID_ITEMS.where(Order.id.in_(_around))).label("paid"),
        )
        .join(Parent, Parent.id == Player.parent_id)
        .outerjoin(Team, Team.id == Player.team_id)
        .outerjoin(second, second.id == Player.second_parent_id)
        .outerjoin(last_mail, true())
        # At most one of a family is not lifted.
        .outerjoin(FamilyHold, (FamilyHold.parent_id == Player.parent_id) & FamilyHold.lifted_at.is_(None))
        .where(Player.id == bindparam("player_id"), Player.tenant_id == bindparam("tenant_id"))
    )


_CARD = Prepared(_card())
# Dates come as text in what PostgreSQL made JSON of.
_CREATED_AT = [field.name for field in fields(PaidItem)].index("created_at")
_DUE_DATE = OwedItem._fields.index("due_date")


def _owed_item(row: list[Any]) -> OwedItem:
    row[_DUE_DATE] = row[_DUE_DATE] and date.fromisoformat(row[_DUE_DATE])
    return OwedItem(*row)


def _paid_item(row: list[Any]) -> PaidItem:
    row[_CREATED_AT] = datetime.fromisoformat(row[_CREATED_AT])
    return PaidItem(*row)


async def paid_items(conn: AsyncConnection, tenant_id: int, parent_id: int, limit: int) -> tuple[PaidItem, ...]:
    """Return a family's payments and refunds, the latest first."""
    named = {"tenant_id": tenant_id, "parent_id": parent_id, "limit": limit}
    return tuple(PaidItem(*row) for row in await conn.execute(_PAID, named))
