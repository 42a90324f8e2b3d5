"""What people change about an order: its amount, and whether it is asked for at all.

Families see what they owe, never why it is less: the reason stays with the order and in the audit log.
"""

from dataclasses import dataclass

from sqlalchemy import func, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.club import Club
from core.database import Database
from core.errors import AlreadyDoneError, NotFoundError, WrongFieldError
from core.models import Order
from core.models.statuses import OrderStatus
from core.money import format_money
from core.order_summary import OrderSummary, load_order_summary
from core.payment_links import PaymentLinks
from core.payments import LockedOrder, cancel_order, change_amount, lock_order

AMOUNT, REASON = "amount", "reason"
LONGEST_REASON = 200
_CHANGEABLE = {OrderStatus.PENDING, OrderStatus.PAID}


@dataclass(frozen=True, slots=True)
class AmountChange:
    """An order's new state, and what it cost before (cents)."""

    order: OrderSummary
    before_cents: int


def tidy_reason(typed: str) -> str:
    """Return a reason on one line.

    Raises:
        WrongFieldError: where it can't be kept like that.
    """
    tidy = " ".join(typed.split())
    if len(tidy) > LONGEST_REASON or not tidy.isprintable():
        raise WrongFieldError(f"At most {LONGEST_REASON} ordinary characters, please.", REASON)
    return tidy


class OrderChanges:
    """Changes orders; what was asked for by an old link is asked for no more."""

    def __init__(self, database: Database, links: PaymentLinks) -> None:
        self._database = database
        self._links = links

    async def change_amount(
        self, club: Club, order_id: int, amount_cents: int, reason: str, actor: str
    ) -> AmountChange:
        """Give an order another amount. `reason` is for the club's eyes only.

        Raises:
            NotFoundError
            InvalidInputError: where it is not owed, nor paid in the ordinary way.
            WrongFieldError: where the amount is nothing, or less than came in; where no reason is given.
        """
        reason = tidy_reason(reason)
        if not reason:
            raise WrongFieldError("Say why; families never see it.", REASON)
        async with self._database.transaction() as conn:
            order = await _lock(conn, club, order_id)
            before = await load_order_summary(conn, club.id, order_id)
            _check_amount(before, amount_cents)
            change = await change_amount(conn, order, amount_cents, f"amount changed by {actor}")
            await _keep_reason(conn, order_id, reason)
            await self._links.retire(conn, club.id, order_id, "the amount was changed")
            await record_change(
                conn,
                club.id,
                actor,
                "order.amount",
                f"order:{order_id}",
                before={"amount_cents": before.amount_cents, "status": change.before.value},
                after={"amount_cents": amount_cents, "status": change.after.value, "reason": reason},
            )
            return AmountChange(await load_order_summary(conn, club.id, order_id), before.amount_cents)

    async def cancel(self, club: Club, order_id: int, reason: str, actor: str) -> OrderSummary:
        """Take an order off the family's list; returns it as it is now.

        Raises:
            NotFoundError
            AlreadyDoneError: it is off the list.
            InvalidInputError: where money came in or is on its way.
        """
        reason = tidy_reason(reason)
        async with self._database.transaction() as conn:
            order = await _lock(conn, club, order_id)
            if order.status == OrderStatus.CANCELED:
                raise AlreadyDoneError("This is off the family's list already.")
            await cancel_order(conn, order, f"taken off the list by {actor}")
            if reason:
                await _keep_reason(conn, order_id, reason)
            await self._links.retire(conn, club.id, order_id, "taken off the list")
            before = {"status": order.status, "amount_cents": order.amount_cents}
            after = {"status": OrderStatus.CANCELED.value, "reason": reason}
            subject = f"order:{order_id}"
            await record_change(conn, club.id, actor, "order.cancel", subject, before=before, after=after)
            return await load_order_summary(conn, club.id, order_id)


async def _lock(conn: AsyncConnection, club: Club, order_id: int) -> LockedOrder:
    order = await lock_order(conn, order_id)
    if order is None or order.tenant_id != club.id:
        raise NotFoundError("That item doesn't exist here; please look the player up again.")
    return order


def _check_amount(order: OrderSummary, amount_cents: int) -> None:
    if order.status not in _CHANGEABLE:
        order.require_owed()
    if amount_cents <= 0:
        raise WrongFieldError("To ask for nothing, take it off the list or record a waiver.", AMOUNT)
    if amount_cents == order.amount_cents:
        raise WrongFieldError(f"It is {format_money(amount_cents, order.currency)} already.", AMOUNT)
    if amount_cents < order.paid_cents:
        paid = format_money(order.paid_cents, order.currency)
        raise WrongFieldError(f"{paid} was paid on this already; give back or undo part of it first.", AMOUNT)


async def _keep_reason(conn: AsyncConnection, order_id: int, reason: str) -> None:
    with_reason = func.coalesce(Order.custom_data, type_coerce({}, JSONB)).concat(
        type_coerce({"reason": reason}, JSONB)
    )
    await conn.execute(update(Order).where(Order.id == order_id).values(custom_data=with_reason))
