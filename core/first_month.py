"""The first month of a player's contract: which month it is, what was billed for it, and what each guardian owes.

It is the month of the contract's date; where that is not known, the first month that was billed, or else this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.charging import split_cents
from core.models import Order, Player, Product
from core.models.statuses import Category, ContractStatus, OrderStatus
from core.monthly_fees import BillablePlayer, first_day


@dataclass(frozen=True, slots=True)
class MonthOrder:
    """An order for the first month that was not canceled. Cents."""

    id: int
    payer_id: int
    amount_cents: int
    status: str
    # Somebody of the club set the amount by hand.
    is_special: bool
    is_part_paid: bool

    @property
    def is_replaceable(self) -> bool:
        """Whether it may be canceled for one over another amount."""
        return self.status == OrderStatus.PENDING and not self.is_special and not self.is_part_paid


@dataclass(frozen=True, slots=True)
class FirstMonth:
    """Everything that decides what a player's first payment is."""

    player: BillablePlayer
    parent_id: int
    parent_name: str
    second_parent_id: int | None
    second_share_percent: int | None
    contract_status: str
    period: str
    orders: tuple[MonthOrder, ...]
    # Each payer's first monthly order, of any month, that was paid, given back, disputed or is on its way.
    settled: Mapping[int, int]
    # Whether the club took the month off the list, and nothing is in its place.
    was_taken_off: bool

    @property
    def month(self) -> date:
        """The month's first day."""
        return first_day(self.period)

    @property
    def is_signed(self) -> bool:
        """Whether the contract is signed, without which nothing of it can be paid."""
        return self.contract_status == ContractStatus.SIGNED

    @property
    def is_replaceable(self) -> bool:
        """Whether the month may be billed anew: no money came in for it, and nobody set an amount by hand."""
        return not self.settled and all(order.is_replaceable for order in self.orders)

    @property
    def due_date(self) -> date:
        """The first day that the contract covers in its first month."""
        return max(self.month, self.player.contract_date or self.month)

    def parts(self, amount_cents: int) -> dict[int, int]:
        """Return what each guardian's part of an amount is; those who owe nothing are left out."""
        if self.second_parent_id is None or self.second_share_percent is None:
            parts = {self.parent_id: amount_cents}
        else:
            first, second = split_cents(amount_cents, self.second_share_percent)
            parts = {self.parent_id: first, self.second_parent_id: second}
        return {payer_id: cents for payer_id, cents in parts.items() if cents}

    def billed(self) -> dict[int, int]:
        """Return what each payer was charged for the month."""
        return {order.payer_id: order.amount_cents for order in self.orders}


_FIRST_MONTHS = text("""
    select p.id, btrim(p.first_name || ' ' || p.last_name) as name, p.monthly_fee_cents, p.contract_date,
        p.parent_id, btrim(a.first_name || ' ' || a.last_name) as parent_name,
        p.second_parent_id, p.second_share_percent, p.contract_status, first.period,
        coalesce(billed.orders, '[]') as orders, coalesce(settled.orders, '{}') as settled,
        billed.orders is null and coalesce(billed.was_canceled, false) as was_taken_off
    from players p
    join parents a on a.id = p.parent_id
    left join parents b on b.id = p.second_parent_id
    cross join lateral (
        select coalesce(
            to_char(p.contract_date, 'YYYY-MM'),
            (
                select min(m.period) from orders o join products m on m.id = o.product_id
                where o.player_id = p.id and o.status <> 'canceled' and m.category = 'monthly'
            ),
            cast(:this_month as text)
        ) as period
    ) as first
    cross join lateral (
        select
            jsonb_agg(
                jsonb_build_object(
                    'id', o.id, 'payer_id', o.parent_id, 'amount_cents', o.amount_cents, 'status', o.status,
                    'is_special', o.custom_data ? 'reason',
                    'is_part_paid', exists (select from payments where payments.order_id = o.id)
                )
                order by o.id
            ) filter (where o.status <> 'canceled') as orders,
            bool_or(o.status = 'canceled') as was_canceled
        from orders o join products m on m.id = o.product_id
        where o.player_id = p.id and m.category = 'monthly' and m.period = first.period
    ) as billed
    cross join lateral (
        select jsonb_object_agg(each.parent_id, each.id) as orders from (
            select distinct on (o.parent_id) o.parent_id, o.id
            from orders o join products m on m.id = o.product_id
            where o.player_id = p.id and m.category = 'monthly' and o.status not in ('pending', 'canceled')
            order by o.parent_id, m.period, o.id
        ) as each
    ) as settled
    where p.tenant_id = :tenant_id
        and (cast(:player_id as bigint) is null or p.id = cast(:player_id as bigint))
        and (cast(:team_id as bigint) is null or p.team_id = cast(:team_id as bigint))
        and (cast(:email as text) is null or lower(cast(:email as text)) in (lower(a.email), lower(b.email)))
        and (cast(:player_id as bigint) is not null or p.contract_status = 'signed')
    order by p.last_name, p.first_name, p.id
""")


async def load_first_months(
    conn: AsyncConnection,
    tenant_id: int,
    today: date,
    *,
    team_id: int | None = None,
    email: str | None = None,
) -> list[FirstMonth]:
    """Return every signed player's first month, narrowed to a team or a family, with one statement."""
    return await _load(conn, tenant_id=tenant_id, today=today, team_id=team_id, email=email)


async def load_first_month(
    conn: AsyncConnection, tenant_id: int, player_id: int, today: date
) -> FirstMonth | None:
    """Return a player's first month, signed or not; None where the club has no such player."""
    found = await _load(conn, tenant_id=tenant_id, today=today, player_id=player_id)
    return found[0] if found else None


async def _load(conn: AsyncConnection, *, today: date, **given: object) -> list[FirstMonth]:
    named = {"player_id": None, "team_id": None, "email": None, **given, "this_month": f"{today:%Y-%m}"}
    return [
        FirstMonth(
            player=BillablePlayer(row.id, row.name, row.monthly_fee_cents, row.contract_date),
            parent_id=row.parent_id,
            parent_name=row.parent_name,
            second_parent_id=row.second_parent_id,
            second_share_percent=row.second_share_percent,
            contract_status=row.contract_status,
            period=row.period,
            orders=tuple(MonthOrder(**order) for order in row.orders),
            settled={int(payer_id): order_id for payer_id, order_id in row.settled.items()},
            was_taken_off=row.was_taken_off,
        )
        for row in await conn.execute(_FIRST_MONTHS, named)
    ]


_other, _month = aliased(Order), aliased(Product)
_monthly = and_(_month.id == _other.product_id, _month.category == Category.MONTHLY)


def first_month_is_owed() -> list[ColumnElement[bool]]:
    """Return the conditions on `Order`, `Player` and `Product` under which an order is a first payment still open.

    A payer of whom any monthly order was paid, or is on its way, has no first payment to make any more.
    """
    first_billed = (
        select(func.min(_month.period))
        .select_from(_other)
        .join(_month, _monthly)
        .where(_other.player_id == Player.id, _other.status != OrderStatus.CANCELED)
        .correlate(Player)
        .scalar_subquery()
    )
    settled = (
        select(_other.id)
        .join(_month, _monthly)
        .where(
            _other.player_id == Order.player_id,
            _other.parent_id == Order.parent_id,
            _other.status.not_in([OrderStatus.PENDING, OrderStatus.CANCELED]),
        )
        .correlate(Order)
    )
    return [
        Order.status == OrderStatus.PENDING,
        Product.category == Category.MONTHLY,
        Product.period == func.coalesce(func.to_char(Player.contract_date, "YYYY-MM"), first_billed),
        ~exists(settled),
    ]
