"""Giving back what was paid twice or too much, through Stripe, when an admin says so.

The wish is a row first, unique for its payment; a job then asks Stripe under an idempotency key made from that
row. Only what is too much on the order is ever given back, so nothing is owed again by it. Whether the money went
is for Stripe's webhook to say: it alone settles the ledger.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.club import Club
from core.database import Database
from core.errors import (
    AlreadyDoneError,
    InvalidInputError,
    NotFoundError,
    StripeRefusedError,
    StripeUnavailableError,
)
from core.jobs import JobQueue
from core.models import Notice, RefundRequest, StripeRefund
from core.models.statuses import NoticeStatus, RefundStatus
from core.money import format_money
from core.notices import NoticeKind
from core.payments import lock_order
from core.stripe_gateway import StripeGateway

# What Stripe says of a refund that did not reach the payer (https://docs.stripe.com/refunds#failed-refunds).
_CAME_BACK = ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class RefundOffer:
    """What can be given back of one payment, and what somebody asked for already. Amounts in cents.

    `amount_cents` is what is too much on the order, at most what is left of the payment; 0 where nothing is.
    """

    payment_id: int
    tenant_id: int
    order_id: int
    payment_intent_id: str | None
    currency: str
    amount_cents: int
    status: RefundStatus | None
    asked_cents: int | None
    asked_by: str | None
    error: str | None

    @property
    def is_offered(self) -> bool:
        """Whether somebody may press the button."""
        if self.status is RefundStatus.REQUESTED:
            return self.error is not None
        return self.status is not RefundStatus.DONE and self.amount_cents > 0


# What was asked for and is not in the ledger yet is taken off: it is as good as gone. A refund that came back from
# the bank counts as not asked for.
_OFFER = text("""
    select y.id as payment_id, o.tenant_id, o.id as order_id, y.stripe_payment_intent_id as payment_intent_id,
        o.currency,
        cast(greatest(least(paid.on_order - o.amount_cents - under_way.cents, paid.of_this), 0) as bigint)
            as amount_cents,
        case when back.id is null then r.status else 'failed' end as status,
        r.amount_cents as asked_cents, r.requested_by as asked_by,
        case when back.id is null then r.error else 'the bank sent the money back to the club' end as error
    from payments y
    join orders o on o.id = y.order_id
    left join refund_requests r on r.payment_id = y.id
    left join stripe_refunds back
        on back.id = r.stripe_refund_id and r.status = 'done' and back.status in ('failed', 'canceled')
    cross join lateral (
        select sum(each.amount_cents) as on_order,
            coalesce(
                sum(each.amount_cents) filter (where each.stripe_payment_intent_id = y.stripe_payment_intent_id), 0
            ) as of_this
        from payments each where each.order_id = o.id
    ) as paid
    cross join lateral (
        select coalesce(sum(asked.amount_cents), 0) as cents
        from refund_requests asked
        join payments other on other.id = asked.payment_id
        where other.order_id = o.id and asked.status in ('requested', 'done')
            and not exists (select from payments told where told.stripe_refund_id = asked.stripe_refund_id)
            and not exists (
                select from stripe_refunds s
                where s.id = asked.stripe_refund_id and s.status in ('failed', 'canceled')
            )
    ) as under_way
    where y.id = :payment_id and o.tenant_id = :tenant_id
        and y.amount_cents > 0 and y.stripe_refund_id is null
""")


async def load_refund_offer(conn: AsyncConnection, tenant_id: int, payment_id: int) -> RefundOffer:
    """Return what can be given back of a payment.

    Raises:
        NotFoundError: no such payment in this club.
    """
    row = (await conn.execute(_OFFER, {"payment_id": payment_id, "tenant_id": tenant_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such payment here.")
    values: dict[str, Any] = dict(row._mapping)
    return RefundOffer(**values | {"status": RefundStatus(row.status) if row.status else None})


class Refunds:
    """Lets people have money given back, each payment by one of them."""

    def __init__(self, database: Database, jobs: JobQueue, gateway: StripeGateway | None) -> None:
        self._database = database
        self._jobs = jobs
        self._gateway = gateway

    async def request(self, club: Club, payment_id: int, actor: str) -> RefundOffer:
        """Have what was paid too much given back. One person wins; the next is told who did.

        Where Stripe refused before, this asks again; where it could not be reached, at once instead of later.

        Raises:
            NotFoundError
            AlreadyDoneError: naming who asked.
            InvalidInputError: where nothing is too much, or Stripe did not take the money.
            StripeUnavailableError: where Stripe is off.
        """
        if self._gateway is None:
            raise StripeUnavailableError("Stripe is off: set STRIPE_SECRET_KEY.")
        async with self._database.transaction() as conn:
            offer = await load_refund_offer(conn, club.id, payment_id)
            # Whoever pays, undoes or refunds on this order now comes after.
            await lock_order(conn, offer.order_id)
            offer = await load_refund_offer(conn, club.id, payment_id)
            request_id = await self._claim(conn, offer, actor)
            await self._jobs.refund_payment(conn, request_id)
            await self._refresh_notices(conn, offer)
            after = {"order_id": offer.order_id, "amount_cents": offer.asked_cents or offer.amount_cents}
            await record_change(conn, club.id, actor, "refund.request", f"payment:{payment_id}", after=after)
            return await load_refund_offer(conn, club.id, payment_id)

    async def refresh_notices(self, club: Club, payment_id: int) -> None:
        """Bring the messages that offer to give a payment back up to date."""
        async with self._database.transaction() as conn:
            await self._refresh_notices(conn, await load_refund_offer(conn, club.id, payment_id))

    async def refund(self, refund_request_id: int) -> None:
        """Ask Stripe for a refund that somebody wants (a background task); a refusal is written down and told.

        Raises:
            StripeUnavailableError: not asked; the queue tries again under the same key.
        """
        async with self._database.transaction() as conn:
            asked = await _load_asked(conn, refund_request_id)
        if asked is None or self._gateway is None:
            return
        key = f"sideline-refund-{asked.tenant_uid}-{asked.id}-{asked.attempt}"
        try:
            refund = await self._gateway.refund(asked.payment_intent_id, asked.amount_cents, key)
        except StripeRefusedError as error:
            async with self._database.transaction() as conn:
                await self._note_refusal(conn, asked, str(error))
        except StripeUnavailableError as error:
            async with self._database.transaction() as conn:
                await self._note(conn, asked, error=str(error))
            raise
        else:
            async with self._database.transaction() as conn:
                made = {"status": RefundStatus.DONE, "stripe_refund_id": refund.id, "error": None}
                await self._note(conn, asked, **made)

    async def _claim(self, conn: AsyncConnection, offer: RefundOffer, actor: str) -> int:
        """Return the row of the wish, made or taken up again."""
        known = RefundRequest.payment_id == offer.payment_id
        if offer.status is RefundStatus.REQUESTED and offer.error is not None:
            again = update(RefundRequest).where(known).values(error=None).returning(RefundRequest.id)
            return int(await conn.scalar(again) or 0)
        _check_can_ask(offer)
        wish = {
            "tenant_id": offer.tenant_id,
            "payment_id": offer.payment_id,
            "amount_cents": offer.amount_cents,
            "requested_by": actor,
        }
        came_back = select(StripeRefund.id).where(
            StripeRefund.id == RefundRequest.stripe_refund_id, StripeRefund.status.in_(_CAME_BACK)
        )
        afresh = {
            "status": RefundStatus.REQUESTED,
            "amount_cents": offer.amount_cents,
            "requested_by": actor,
            "attempt": RefundRequest.attempt + 1,
            "stripe_refund_id": None,
            "error": None,
        }
        statement = upsert(RefundRequest).values(wish)
        claimed = await conn.scalar(
            statement.on_conflict_do_update(
                index_elements=[RefundRequest.payment_id],
                set_=afresh,
                where=or_(RefundRequest.status == RefundStatus.FAILED, came_back.exists()),
            ).returning(RefundRequest.id)
        )
        if claimed is None:
            # The order's lock keeps everybody else out, so this is only for what the checks can't see.
            raise AlreadyDoneError("Somebody else is refunding this payment already.")
        return int(claimed)

    async def _note_refusal(self, conn: AsyncConnection, asked: "_Asked", words: str) -> None:
        await self._note(conn, asked, status=RefundStatus.FAILED, error=words)
        amount = format_money(asked.amount_cents, asked.currency)
        told = f"The refund of {amount} was not made. {words}"
        await self._jobs.tell_person(conn, asked.tenant_id, asked.requested_by, told)

    async def _note(self, conn: AsyncConnection, asked: "_Asked", **values: object) -> None:
        statement = update(RefundRequest).where(
            RefundRequest.id == asked.id,
            RefundRequest.attempt == asked.attempt,
            RefundRequest.status == RefundStatus.REQUESTED,
        )
        await conn.execute(statement.values(values))
        await self._refresh_notices(conn, await load_refund_offer(conn, asked.tenant_id, asked.payment_id))

    async def _refresh_notices(self, conn: AsyncConnection, offer: RefundOffer) -> None:
        intent_id = offer.payment_intent_id
        kinds = (NoticeKind.SECOND_PAYMENT, NoticeKind.PAYMENT, NoticeKind.UNMATCHED)
        came_back = select(literal(f"{NoticeKind.REFUND_FAILED}:") + StripeRefund.id).where(
            StripeRefund.stripe_payment_intent_id == intent_id
        )
        posted = select(Notice.id).where(
            Notice.tenant_id == offer.tenant_id,
            or_(Notice.key.in_([f"{kind}:{intent_id}" for kind in kinds]), Notice.key.in_(came_back)),
            Notice.status == NoticeStatus.SENT,
            Notice.slack_ts.is_not(None),
        )
        for notice_id in await conn.scalars(posted):
            await self._jobs.refresh_notice(conn, notice_id)


@dataclass(frozen=True, slots=True)
class _Asked:
    id: int
    tenant_id: int
    tenant_uid: str
    payment_id: int
    payment_intent_id: str
    amount_cents: int
    currency: str
    requested_by: str
    attempt: int


_ASKED = text("""
    select r.id, r.tenant_id, t.uid, r.payment_id, y.stripe_payment_intent_id, r.amount_cents, o.currency,
        r.requested_by, r.attempt
    from refund_requests r
    join tenants t on t.id = r.tenant_id
    join payments y on y.id = r.payment_id
    join orders o on o.id = y.order_id
    where r.id = :request_id and r.status = 'requested'
""")


async def _load_asked(conn: AsyncConnection, request_id: int) -> _Asked | None:
    row = (await conn.execute(_ASKED, {"request_id": request_id})).one_or_none()
    return None if row is None else _Asked(*row)


def _check_can_ask(offer: RefundOffer) -> None:
    who = offer.asked_by or "somebody"
    if offer.payment_intent_id is None:
        raise InvalidInputError("Stripe did not take this payment; undo it on the player's card instead.")
    if offer.status is RefundStatus.REQUESTED:
        raise AlreadyDoneError(f"{who} is refunding this already.", people=[who])
    if offer.status is RefundStatus.DONE:
        raise AlreadyDoneError(f"Refunded already by {who}.", people=[who])
    if offer.amount_cents <= 0:
        raise InvalidInputError("Nothing is paid too much on this any more, so there is nothing to give back.")
