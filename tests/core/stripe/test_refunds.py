"""Giving back what was paid twice or too much: asked for by one person, made once, settled by Stripe's webhook."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError, StripeUnavailableError
from core.manual_payments import HandPayment
from core.models import AuditLog, Notice, Order, Payment, RefundRequest
from core.models.statuses import PaymentMethod, RefundStatus
from core.refunds import RefundOffer, load_refund_offer
from sandbox.stripe import Fault
from tests.books import open_books
from tests.core.conftest import Drain
from tests.core.stripe.conftest import Desk


async def pays_twice(desk: Desk) -> int:
    """Have a family pay one item in two windows; gives the second payment's id."""
    link_id = await desk.mint()
    sessions = [await desk.stripe.open_link(link_id) for _ in range(2)]
    for session_id in sessions:
        await desk.stripe.pay(session_id)
    await desk.tell("checkout.session.completed")
    return await last_payment(desk)


async def last_payment(desk: Desk) -> int:
    async with desk.services.database.transaction() as conn:
        return int(await conn.scalar(select(func.max(Payment.id))) or 0)


async def offer(desk: Desk, payment_id: int) -> RefundOffer:
    async with desk.services.database.transaction() as conn:
        return await load_refund_offer(conn, desk.club.id, payment_id)


async def balance(desk: Desk) -> int:
    async with desk.services.database.transaction() as conn:
        amount = await conn.scalar(select(Order.amount_cents).where(Order.id == desk.books.order_id))
        paid = await conn.scalar(
            select(func.sum(Payment.amount_cents)).where(Payment.order_id == desk.books.order_id)
        )
    return int(amount or 0) - int(paid or 0)


def refunds(desk: Desk) -> list[int]:
    return [refund["amount"] for refund in desk.stripe.books.refunds.values()]


async def test_a_second_payment_is_given_back(desk: Desk, drain: Drain) -> None:
    payment_id = await pays_twice(desk)
    assert (await offer(desk, payment_id)).amount_cents == 15000
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    await drain()
    assert refunds(desk) == [15000]
    given = await offer(desk, payment_id)
    assert (given.status, given.asked_by, given.is_offered) == (RefundStatus.DONE, "U0ADMIN", False)
    # Stripe's webhook settles the ledger, as with any refund.
    assert await balance(desk) == -15000
    await desk.tell("refund.created")
    assert (await balance(desk), await desk.status()) == (0, "paid")
    async with desk.services.database.transaction() as conn:
        actions = list(await conn.scalars(select(AuditLog.action)))
    assert actions == ["refund.request"]


async def test_of_many_who_press_one_wins(desk: Desk, drain: Drain) -> None:
    payment_id = await pays_twice(desk)
    pressed = (desk.services.refunds.request(desk.club, payment_id, f"U0A{n}") for n in range(5))
    results = await asyncio.gather(*pressed, return_exceptions=True)
    late = [each for each in results if isinstance(each, AlreadyDoneError)]
    assert len(late) == 4
    assert "is refunding this already" in str(late[0])
    await drain()
    assert refunds(desk) == [15000]
    with pytest.raises(AlreadyDoneError, match="Refunded already by U0A"):
        await desk.services.refunds.request(desk.club, payment_id, "U0LATE")


async def test_either_of_the_two_can_be_given_back_and_not_both(desk: Desk, drain: Drain) -> None:
    second = await pays_twice(desk)
    async with desk.services.database.transaction() as conn:
        first = int(await conn.scalar(select(func.min(Payment.id))) or 0)
    asked = (desk.services.refunds.request(desk.club, payment_id, "U0ADMIN") for payment_id in (first, second))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, InvalidInputError) for each in results) == 1
    await drain()
    await desk.tell("refund.created")
    assert (await balance(desk), await desk.status()) == (0, "paid")


async def test_only_what_is_too_much_is_given_back(desk: Desk, drain: Drain) -> None:
    session_id = await desk.stripe.open_link(await desk.mint())
    await desk.stripe.pay(session_id)
    cash = HandPayment(desk.books.order_id, 6000, PaymentMethod.CASH)
    await desk.services.manual_payments.record(desk.club, cash, "U0ADMIN")
    await desk.tell("checkout.session.completed")
    payment_id = await last_payment(desk)
    assert (await offer(desk, payment_id)).amount_cents == 6000
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    await drain()
    await desk.tell("refund.created")
    assert refunds(desk) == [6000]
    assert (await balance(desk), await desk.status()) == (0, "paid")


async def test_what_is_not_too_much_is_not_given_back(desk: Desk) -> None:
    await desk.pay(await desk.mint())
    await desk.tell("checkout.session.completed")
    payment_id = await last_payment(desk)
    assert not (await offer(desk, payment_id)).is_offered
    with pytest.raises(InvalidInputError, match="nothing to give back"):
        await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")


async def test_cash_is_not_stripes_to_give_back(desk: Desk) -> None:
    cash = HandPayment(desk.books.order_id, 15000, PaymentMethod.CASH)
    recorded = await desk.services.manual_payments.record(desk.club, cash, "U0ADMIN")
    with pytest.raises(InvalidInputError, match="undo it"):
        await desk.services.refunds.request(desk.club, recorded.payment_id, "U0ADMIN")


async def test_another_clubs_payment_is_unknown(desk: Desk) -> None:
    payment_id = await pays_twice(desk)
    async with desk.services.database.transaction() as conn:
        other = await open_books(conn, club="Lake City FC", email="sam@example.com")
    with pytest.raises(NotFoundError):
        await desk.services.refunds.request(replace(desk.club, id=other.tenant_id), payment_id, "U0ADMIN")


async def told_in_private(desk: Desk) -> list[str]:
    async with desk.services.database.transaction() as conn:
        rows = await conn.exec_driver_sql(
            "select args ->> 'text' from procrastinate_jobs where task_name = 'tell_person' order by id"
        )
        return [row[0] for row in rows]


async def asked(desk: Desk) -> int:
    async with desk.services.database.transaction() as conn:
        return int(await conn.scalar(select(RefundRequest.id)) or 0)


async def test_stripes_refusal_is_told_and_can_be_tried_again(desk: Desk) -> None:
    payment_id = await pays_twice(desk)
    async with desk.services.database.transaction() as conn:
        intent = str(await conn.scalar(select(Payment.stripe_payment_intent_id).where(Payment.id == payment_id)))
    # Somebody was quicker in Stripe's dashboard, and its event has not come.
    refund_id = await desk.stripe.refund(intent, status="pending")
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    await desk.services.refunds.refund(await asked(desk))
    failed = await offer(desk, payment_id)
    assert (failed.status, failed.is_offered) == (RefundStatus.FAILED, True)
    assert "already been refunded" in (failed.error or "")
    assert "already been refunded" in (await told_in_private(desk))[0]
    # That one failed at the bank: now there is something to give back, and Stripe is asked anew.
    await desk.stripe.settle_refund(refund_id, succeed=False)
    await desk.services.refunds.request(desk.club, payment_id, "U0TREAS")
    await desk.services.refunds.refund(await asked(desk))
    again = await offer(desk, payment_id)
    assert (again.status, again.asked_by) == (RefundStatus.DONE, "U0TREAS")
    await desk.tell()
    assert (await balance(desk), await desk.status()) == (0, "paid")


async def test_a_refund_that_the_bank_sends_back_is_told_and_can_be_tried_again(desk: Desk, drain: Drain) -> None:
    payment_id = await pays_twice(desk)
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    await drain()
    await desk.tell("refund.created")
    ((refund_id, refund),) = desk.stripe.books.refunds.items()
    refund["status"] = "pending"
    await desk.stripe.settle_refund(refund_id, succeed=False)
    await desk.tell("refund.updated", "refund.failed")
    assert await balance(desk) == -15000
    back = await offer(desk, payment_id)
    assert (back.status, back.amount_cents, back.is_offered) == (RefundStatus.FAILED, 15000, True)
    async with desk.services.database.transaction() as conn:
        facts = (await conn.scalars(select(Notice.facts).where(Notice.kind == "refund_failed"))).all()
    assert [each["payment_id"] for each in facts] == [payment_id]
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    await drain()
    await desk.tell("refund.created")
    assert (await balance(desk), await desk.status()) == (0, "paid")


async def test_a_lost_answer_refunds_once(desk: Desk) -> None:
    payment_id = await pays_twice(desk)
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    desk.stripe.faults.add(Fault("drop", "/v1/refunds", executes=True))
    await desk.services.refunds.refund(await asked(desk))
    await desk.services.refunds.refund(await asked(desk))
    assert refunds(desk) == [15000]
    assert (await offer(desk, payment_id)).status is RefundStatus.DONE


async def test_stripe_away_is_said_and_pressing_again_asks_under_the_same_key(desk: Desk) -> None:
    payment_id = await pays_twice(desk)
    await desk.services.refunds.request(desk.club, payment_id, "U0ADMIN")
    # The first try goes through, and nobody hears of it.
    desk.stripe.faults.add(Fault("drop", "/v1/refunds", times=1, executes=True))
    desk.stripe.faults.add(Fault("server_error", "/v1/refunds", times=10))
    with pytest.raises(StripeUnavailableError):
        await desk.services.refunds.refund(await asked(desk))
    waiting = await offer(desk, payment_id)
    assert (waiting.status, waiting.is_offered) == (RefundStatus.REQUESTED, True)
    assert "can't be reached" in (waiting.error or "")
    desk.stripe.faults.clear()
    await desk.services.refunds.request(desk.club, payment_id, "U0TREAS")
    await desk.services.refunds.refund(await asked(desk))
    assert refunds(desk) == [15000]
    assert (await offer(desk, payment_id)).asked_by == "U0ADMIN"
