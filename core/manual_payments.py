"""Payments outside of Stripe: cash, checks and waivers that a person records, and undoes where it was a mistake.

The ledger only grows: an undo is a row of its own that names the one it reverses, and the two count as nothing.
What Stripe took can't be undone here, only given back (`core.refunds`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.clock import Clock
from core.club import Club
from core.database import Database
from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError, WrongFieldError
from core.jobs import JobQueue
from core.models import Order, Payment, PaymentLink
from core.models.statuses import OrderStatus, PaymentMethod
from core.money import format_money
from core.notices import NoticeKind, announce
from core.order_summary import OrderSummary, load_order_summary
from core.payment_links import PaymentLinks
from core.payments import Income, LockedOrder, StatusChange, lock_order, record_payment, refresh_status

HAND_METHODS = (PaymentMethod.CASH, PaymentMethod.CHECK, PaymentMethod.WAIVER)
LONGEST_REFERENCE = 200
# The fields of the form, for whoever shows what is wrong beside them.
AMOUNT, METHOD, REFERENCE = "amount", "method", "reference"
_MISSING_REFERENCE: Mapping[PaymentMethod, str] = {
    PaymentMethod.CHECK: "A check needs its number, so that the bank's list can be compared.",
    PaymentMethod.WAIVER: "Say why it is waived; families never see it.",
}


@dataclass(frozen=True, slots=True)
class HandPayment:
    """What somebody says came in, in cents. `reference` is a check's number, or why a debt is waived."""

    order_id: int
    amount_cents: int
    method: PaymentMethod
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payment that is written down, and the order as it is now; `is_new`: it was not there before."""

    payment_id: int
    payment: HandPayment
    order: OrderSummary
    is_new: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """A payment (in cents) that counts no more, and the order as it is now."""

    payment_id: int
    amount_cents: int
    method: PaymentMethod
    order: OrderSummary


@dataclass(frozen=True, slots=True)
class _Known:
    order_id: int
    amount_cents: int
    method: str
    payment_intent_id: str | None
    voids_payment_id: int | None


def new_hand_payment(order_id: int, amount_cents: int, method: str, reference: str) -> HandPayment:
    """Return a payment as somebody typed it.

    Raises:
        WrongFieldError: naming the field that can't be used, and what to write.
    """
    if method not in HAND_METHODS:
        raise WrongFieldError(f"“{method}” is not a way to pay here; write {', '.join(HAND_METHODS)}.", METHOD)
    if amount_cents <= 0:
        raise WrongFieldError("The amount has to be more than nothing, like 60.00.", AMOUNT)
    tidy = " ".join(reference.split())
    if len(tidy) > LONGEST_REFERENCE or not tidy.isprintable():
        raise WrongFieldError(f"At most {LONGEST_REFERENCE} ordinary characters, please.", REFERENCE)
    chosen = PaymentMethod(method)
    if not tidy and chosen in _MISSING_REFERENCE:
        raise WrongFieldError(_MISSING_REFERENCE[chosen], REFERENCE)
    return HandPayment(order_id, amount_cents, chosen, tidy)


class ManualPayments:
    """Records payments by hand and undoes them; each is one transaction with all that follows from it."""

    def __init__(self, database: Database, jobs: JobQueue, links: PaymentLinks, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._links = links
        self._clock = clock

    async def record(
        self,
        club: Club,
        payment: HandPayment,
        actor: str,
        *,
        request_key: str | None = None,
        keep: bool = True,
    ) -> Recorded:
        """Write a payment down; the order's link is closed; what is left gets a new one at the next click.

        `actor` is a Slack user id or `cli`. The same `request_key` twice is one payment. Without `keep`
        everything is checked and nothing stays.

        Raises:
            NotFoundError
            InvalidInputError: where nothing is owed on the order right now.
            WrongFieldError: where it is more than is owed.
        """
        async with self._database.transaction(keep=keep) as conn:
            order = await _lock(conn, club, payment.order_id)
            known = await _find_request(conn, order, request_key)
            if known is not None:
                return Recorded(known, payment, await load_order_summary(conn, club.id, order.id), is_new=False)
            _check_fits(payment, await load_order_summary(conn, club.id, order.id))
            payment_id = await self._write(conn, order, payment, actor, request_key)
            change = await refresh_status(conn, order, f"recorded by {actor}")
            await self._follow_up(conn, order, change)
            await self._tell(conn, order, payment_id, payment, actor)
            return Recorded(payment_id, payment, await load_order_summary(conn, club.id, order.id), is_new=True)

    async def undo(self, club: Club, payment_id: int, actor: str, *, keep: bool = True) -> Undone:
        """Take back a payment that a person recorded; the order's status follows. Once, whoever tries.

        Raises:
            NotFoundError
            InvalidInputError: where Stripe took the money, or it is an undo itself.
            AlreadyDoneError: naming who undid it.
        """
        async with self._database.transaction(keep=keep) as conn:
            known = await _load_payment(conn, club, payment_id)
            _check_undoable(known)
            order = await _lock(conn, club, known.order_id)
            await self._reverse(conn, payment_id, known, actor)
            change = await refresh_status(conn, order, f"payment undone by {actor}")
            if change.after in {OrderStatus.PENDING, OrderStatus.PROCESSING}:
                await self._links.retire(conn, club.id, order.id, "a payment was undone")
            facts = {
                "order_id": order.id,
                "payment_id": payment_id,
                "amount_cents": known.amount_cents,
                "method": known.method,
                "actor": actor,
            }
            await announce(conn, self._jobs, club.id, NoticeKind.UNDONE, str(payment_id), facts)
            before = {"order_id": order.id, "amount_cents": known.amount_cents, "method": known.method}
            after = {"status": change.after.value}
            subject = f"payment:{payment_id}"
            await record_change(conn, club.id, actor, "payment.undo", subject, before=before, after=after)
            summary = await load_order_summary(conn, club.id, order.id)
        return Undone(payment_id, known.amount_cents, PaymentMethod(known.method), summary)

    async def _write(
        self, conn: AsyncConnection, order: LockedOrder, payment: HandPayment, actor: str, request_key: str | None
    ) -> int:
        income = Income(
            payment.amount_cents,
            payment.method,
            self._clock(),
            recorded_by=actor,
            reference=payment.reference or None,
            request_key=request_key,
        )
        payment_id = await record_payment(conn, order, income)
        if payment_id is None:
            # The same key for another order: no press of a button of ours.
            raise AlreadyDoneError("This was sent before; please look the player up again.")
        return payment_id

    async def _follow_up(self, conn: AsyncConnection, order: LockedOrder, change: StatusChange) -> None:
        if change.after is OrderStatus.PAID:
            imported = await _imported_link(conn, order)
            await self._links.close_after_payment(conn, order, imported, always=True)
        else:
            await self._links.retire(conn, order.tenant_id, order.id, "paid in part by hand")

    async def _tell(
        self, conn: AsyncConnection, order: LockedOrder, payment_id: int, payment: HandPayment, actor: str
    ) -> None:
        facts = {
            "order_id": order.id,
            "payment_id": payment_id,
            "amount_cents": payment.amount_cents,
            "method": payment.method.value,
            "actor": actor,
        }
        if payment.method is PaymentMethod.CHECK:
            facts["check_number"] = payment.reference
        await announce(conn, self._jobs, order.tenant_id, NoticeKind.RECORDED, str(payment_id), facts)
        await self._jobs.send_receipts(conn, payment_id)
        after = {
            "order_id": order.id,
            "amount_cents": payment.amount_cents,
            "method": payment.method.value,
            "reference": payment.reference,
        }
        subject = f"payment:{payment_id}"
        await record_change(conn, order.tenant_id, actor, "payment.record", subject, after=after)

    async def _reverse(self, conn: AsyncConnection, payment_id: int, known: _Known, actor: str) -> None:
        row = {
            "order_id": known.order_id,
            "amount_cents": -known.amount_cents,
            "method": known.method,
            "recorded_by": actor,
            "voids_payment_id": payment_id,
            "created_at": self._clock(),
        }
        reversal = upsert(Payment).values(row).on_conflict_do_nothing().returning(Payment.id)
        if await conn.scalar(reversal) is None:
            who = await conn.scalar(select(Payment.recorded_by).where(Payment.voids_payment_id == payment_id))
            raise AlreadyDoneError(f"This payment was undone already by {who}.", people=[str(who)])


async def _lock(conn: AsyncConnection, club: Club, order_id: int) -> LockedOrder:
    order = await lock_order(conn, order_id)
    if order is None or order.tenant_id != club.id:
        raise NotFoundError("That item doesn't exist here; please look the player up again.")
    return order


async def _find_request(conn: AsyncConnection, order: LockedOrder, request_key: str | None) -> int | None:
    if request_key is None:
        return None
    same = select(Payment.id).where(Payment.request_key == request_key, Payment.order_id == order.id)
    return await conn.scalar(same)


def _check_fits(payment: HandPayment, order: OrderSummary) -> None:
    order.require_owed()
    if payment.amount_cents > order.balance_cents:
        owed = format_money(order.balance_cents, order.currency)
        raise WrongFieldError(f"Only {owed} is owed on this; write that or less.", AMOUNT)


async def _imported_link(conn: AsyncConnection, order: LockedOrder) -> str | None:
    """Return the Stripe id of a link of this player and product that was imported without its order."""
    if order.product_id is None:
        return None
    link = select(PaymentLink.stripe_payment_link_id).where(
        PaymentLink.tenant_id == order.tenant_id,
        PaymentLink.player_id == order.player_id,
        PaymentLink.product_id == order.product_id,
        PaymentLink.order_id.is_(None),
    )
    return await conn.scalar(link)


async def _load_payment(conn: AsyncConnection, club: Club, payment_id: int) -> _Known:
    found = (
        select(
            Payment.order_id,
            Payment.amount_cents,
            Payment.method,
            Payment.stripe_payment_intent_id,
            Payment.voids_payment_id,
        )
        .join(Order, Order.id == Payment.order_id)
        .where(Payment.id == payment_id, Order.tenant_id == club.id)
    )
    row = (await conn.execute(found)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such payment here.")
    return _Known(*row)


def _check_undoable(known: _Known) -> None:
    if known.payment_intent_id is not None or known.method not in HAND_METHODS:
        raise InvalidInputError(
            "Stripe took this payment, so it can't be undone, only given back: refund it in Stripe's dashboard."
        )
    if known.voids_payment_id is not None or known.amount_cents < 0:
        raise InvalidInputError("This is an undo itself; record the payment again instead.")
