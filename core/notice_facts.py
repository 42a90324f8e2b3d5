"""What is true of a notice at the moment it is posted."""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Text, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import OwedItem, family_owes, item_name, player_name
from core.club import Club, club_by_id
from core.models import Notice, Order, Parent, Payment, Player, Product, Team
from core.models.statuses import NoticeStatus
from core.notices import NoticeKind
from core.refunds import RefundOffer, load_refund_offer
from core.unmatched import Unmatched, likely_orders, load_unmatched

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """The order that a notice is about, its family, and what the family still owes (cents)."""

    order_id: int
    description: str
    player_id: int
    player_name: str
    team_name: str | None
    parent_id: int
    parent_name: str
    status: str
    amount_cents: int
    currency: str
    family_items: tuple[OwedItem, ...]

    @property
    def family_owes_cents(self) -> int:
        """What the family still owes altogether."""
        return sum(item.balance_cents for item in self.family_items if not item.is_processing)


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice with everything its text needs. `facts` are as `NoticeKind` lists them."""

    id: int
    club: Club
    kind: NoticeKind
    facts: dict[str, Any]
    # Whether an earlier attempt may have reached the channel already.
    is_repeat: bool
    # The state of its row that whoever claimed it left: another one has claimed it since where that differs.
    claim: str | None
    order: OrderFacts | None
    unmatched: Unmatched | None
    candidates: tuple[OwedItem, ...]
    # What can be given back, or was, of the payment that the notice is about.
    refund: RefundOffer | None = None


@dataclass(frozen=True, slots=True)
class PostedNotice:
    """A notice as it is true now, and where its message is."""

    view: NoticeView
    channel: str
    ts: str


# Differs after each change of a row: the transaction that made it (PostgreSQL's “System Columns”).
_row_state = literal_column("cast(notices.xmin as text)", Text)


async def claim_notice(conn: AsyncConnection, notice_id: int) -> NoticeView | None:
    """Take a notice for posting; None where it is posted or given up.

    A notice found in `sending` was being posted when a process died; it is posted again and says so, since a
    payment that nobody hears of is worse than one heard of twice.
    """
    row = (
        await conn.execute(
            select(Notice.tenant_id, Notice.kind, Notice.facts, Notice.status)
            .where(Notice.id == notice_id, Notice.status.in_([NoticeStatus.QUEUED, NoticeStatus.SENDING]))
            .with_for_update()
        )
    ).one_or_none()
    if row is None:
        return None
    claimed = update(Notice).where(Notice.id == notice_id).values(status=NoticeStatus.SENDING)
    claim = await conn.scalar(claimed.returning(_row_state))
    is_repeat = row.status == NoticeStatus.SENDING
    kind = NoticeKind(row.kind)
    return await _view(conn, notice_id, row.tenant_id, kind, row.facts, is_repeat=is_repeat, claim=claim)


async def load_posted(conn: AsyncConnection, notice_id: int) -> PostedNotice | None:
    """Return a notice that was posted, for bringing its message up to date; None where it was not."""
    row = (
        await conn.execute(
            select(Notice.tenant_id, Notice.kind, Notice.facts, Notice.slack_channel, Notice.slack_ts).where(
                Notice.id == notice_id, Notice.status == NoticeStatus.SENT, Notice.slack_ts.is_not(None)
            )
        )
    ).one_or_none()
    if row is None:
        return None
    view = await _view(conn, notice_id, row.tenant_id, NoticeKind(row.kind), row.facts, is_repeat=False)
    return PostedNotice(view, row.slack_channel, row.slack_ts)


async def _view(
    conn: AsyncConnection,
    notice_id: int,
    tenant_id: int,
    kind: NoticeKind,
    facts: dict[str, Any],
    *,
    is_repeat: bool,
    claim: str | None = None,
) -> NoticeView:
    order = unmatched = refund = None
    candidates: list[OwedItem] = []
    if "order_id" in facts:
        order = await order_facts(conn, tenant_id, facts["order_id"])
    if "unmatched_id" in facts:
        unmatched = await load_unmatched(conn, tenant_id, facts["unmatched_id"])
        order, refund = await matched_to(conn, unmatched)
        candidates = await likely_orders(conn, unmatched) if unmatched.is_open else []
    if kind in _REFUNDABLE and facts.get("payment_id"):
        refund = await load_refund_offer(conn, tenant_id, facts["payment_id"])
    return NoticeView(
        id=notice_id,
        club=await club_by_id(conn, tenant_id),
        kind=kind,
        facts=facts,
        is_repeat=is_repeat,
        claim=claim,
        order=order,
        unmatched=unmatched,
        candidates=tuple(candidates),
        refund=refund,
    )


# What Stripe took, and may be asked to give back.
_REFUNDABLE = {NoticeKind.PAYMENT, NoticeKind.SECOND_PAYMENT, NoticeKind.REFUND_FAILED}


async def matched_to(conn: AsyncConnection, unmatched: Unmatched) -> tuple[OrderFacts | None, RefundOffer | None]:
    """Return the order that somebody matched a payment to, and what of it is too much there."""
    if unmatched.matched_order_id is None:
        return None, None
    order = await order_facts(conn, unmatched.tenant_id, unmatched.matched_order_id)
    payment_id = await conn.scalar(
        select(Payment.id).where(
            Payment.stripe_payment_intent_id == unmatched.payment_intent_id, Payment.stripe_refund_id.is_(None)
        )
    )
    return order, None if payment_id is None else await load_refund_offer(conn, unmatched.tenant_id, payment_id)


async def finish_notice(conn: AsyncConnection, notice_id: int, *, channel: str, ts: str) -> None:
    """Write down where a notice was posted."""
    await conn.execute(
        update(Notice)
        .where(Notice.id == notice_id)
        .values(status=NoticeStatus.SENT, slack_channel=channel, slack_ts=ts, error=None)
    )
    log.info("notice_posted", notice_id=notice_id, channel=channel)


async def release_notice(conn: AsyncConnection, notice: NoticeView, error: str, *, for_good: bool) -> None:
    """Give a notice back after a refusal (it was certainly not posted), or give it up for good.

    One that another process posted meanwhile stays posted. Given back is only a first try that nobody repeated
    meanwhile: of all others it isn't known whether they arrived, so it stays claimed, and the next says “again”.
    """
    released = update(Notice).where(Notice.id == notice.id, Notice.status == NoticeStatus.SENDING)
    if for_good:
        await conn.execute(released.values(status=NoticeStatus.FAILED, error=error))
    elif not notice.is_repeat:
        given_back = released.where(_row_state == notice.claim)
        await conn.execute(given_back.values(status=NoticeStatus.QUEUED, error=error))


async def order_facts(conn: AsyncConnection, tenant_id: int, order_id: int) -> OrderFacts:
    """Return an order with its family."""
    row = (
        await conn.execute(
            select(
                item_name.label("description"),
                Order.player_id,
                player_name.label("player_name"),
                Team.name.label("team_name"),
                Order.parent_id,
                Parent.first_name,
                Parent.last_name,
                Order.status,
                Order.amount_cents,
                Order.currency,
            )
            .join(Player, Player.id == Order.player_id)
            .join(Parent, Parent.id == Order.parent_id)
            .outerjoin(Team, Team.id == Player.team_id)
            .outerjoin(Product, Product.id == Order.product_id)
            .where(Order.id == order_id, Order.tenant_id == tenant_id)
        )
    ).one()
    items = await family_owes(conn, tenant_id, row.parent_id)
    return OrderFacts(
        order_id=order_id,
        description=row.description,
        player_id=row.player_id,
        player_name=row.player_name,
        team_name=row.team_name,
        parent_id=row.parent_id,
        parent_name=f"{row.first_name} {row.last_name}".strip(),
        status=row.status,
        amount_cents=row.amount_cents,
        currency=row.currency,
        family_items=tuple(items),
    )
