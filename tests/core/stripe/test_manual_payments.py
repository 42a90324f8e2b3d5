"""Cash, checks and waivers: recorded once, undone once, and in step with Stripe's links and webhooks."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import func, select, text, update

from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError, WrongFieldError
from core.family_page import load_family_page
from core.manual_payments import HandPayment, Recorded, new_hand_payment
from core.models import AuditLog, Notice, Order, Payment, PaymentLink
from core.models.statuses import OrderStatus, PaymentMethod
from core.services import Services
from sandbox.stripe import NotPossibleError
from tests.books import open_books
from tests.core.conftest import Drain
from tests.core.stripe.conftest import Desk

CASH, CHECK, WAIVER = PaymentMethod.CASH, PaymentMethod.CHECK, PaymentMethod.WAIVER


async def pay(desk: Desk, cents: int, method: PaymentMethod = CASH, key: str | None = None) -> Recorded:
    payment = HandPayment(desk.books.order_id, cents, method, "1042")
    return await desk.services.manual_payments.record(desk.club, payment, "U0ADMIN", request_key=key)


async def told(services: Services, kind: str) -> Sequence[dict[str, object]]:
    async with services.database.transaction() as conn:
        return list(await conn.scalars(select(Notice.facts).where(Notice.kind == kind).order_by(Notice.id)))


async def payments(services: Services) -> list[tuple[int, str, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(
            select(Payment.amount_cents, Payment.method, Payment.recorded_by).order_by(Payment.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize("method", [CASH, CHECK, WAIVER])
async def test_all_of_it_is_paid_and_the_link_closes(desk: Desk, drain: Drain, method: PaymentMethod) -> None:
    link_id = await desk.mint()
    open_session = await desk.stripe.open_link(link_id)
    recorded = await pay(desk, 15000, method)
    assert recorded.order.status is OrderStatus.PAID
    assert await desk.status() == "paid"
    await drain()
    assert not desk.stripe.payment_links[link_id]["active"]
    assert desk.stripe.sessions[open_session]["status"] == "expired"
    assert (await desk.link_status())[0] == "paid"
    (facts,) = await told(desk.services, "recorded")
    assert facts["actor"] == "U0ADMIN"
    # A check's number helps the treasurer; why something was waived is nobody's business in a channel.
    assert facts.get("check_number") == ("1042" if method is CHECK else None)


async def test_a_part_leaves_the_rest_to_a_fresh_link(desk: Desk, drain: Drain) -> None:
    old = await desk.mint()
    session_id = await desk.stripe.open_link(old)
    recorded = await pay(desk, 6000)
    assert (recorded.order.status, recorded.order.balance_cents) == (OrderStatus.PENDING, 9000)
    await drain()
    assert not desk.stripe.payment_links[old]["active"]
    with pytest.raises(NotPossibleError):
        await desk.stripe.pay(session_id)
    new = await desk.mint()
    assert desk.stripe.payment_links[new]["active"]
    await desk.pay(new)
    await desk.tell("checkout.session.completed")
    assert await desk.status() == "paid"
    assert [cents for cents, _, _ in await payments(desk.services)] == [6000, 9000]


async def test_a_jerseys_link_closes_too_when_it_is_paid_by_hand(desk: Desk, drain: Drain) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(text("update products set category = 'jersey', period = null"))
    link_id = await desk.mint()
    await pay(desk, 15000)
    await drain()
    assert not desk.stripe.payment_links[link_id]["active"]


async def test_a_link_that_was_imported_without_its_order_closes(desk: Desk, drain: Drain) -> None:
    link_id = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(PaymentLink).values(order_id=None))
    await pay(desk, 15000)
    await drain()
    assert not desk.stripe.payment_links[link_id]["active"]


async def test_more_than_is_owed_is_refused(desk: Desk) -> None:
    await pay(desk, 6000)
    with pytest.raises(WrongFieldError, match=r"Only \$90.00 is owed") as refused:
        await pay(desk, 9001)
    assert refused.value.field == "amount"


@pytest.mark.parametrize(
    ("method", "cents", "reference", "field"),
    [
        ("check", 100, "  ", "reference"),
        ("waiver", 100, "", "reference"),
        ("cash", 100, "x" * 201, "reference"),
        ("cash", 0, "", "amount"),
        ("card", 100, "", "method"),
        ("cheque", 100, "", "method"),
    ],
)
def test_what_is_typed_wrong_is_said_beside_its_field(method: str, cents: int, reference: str, field: str) -> None:
    with pytest.raises(WrongFieldError) as refused:
        new_hand_payment(1, cents, method, reference)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("processing", "bank payment for this is on its way"),
        ("paid", "paid already"),
        ("canceled", "taken off"),
        ("refunded", "given back"),
        ("partially_refunded", "given back"),
        ("disputed", "dispute"),
    ],
)
async def test_what_is_not_owed_takes_no_money(desk: Desk, status: str, words: str) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).values(status=status))
    with pytest.raises(InvalidInputError, match=words):
        await pay(desk, 100)
    assert await payments(desk.services) == []


async def test_looking_it_over_keeps_nothing(desk: Desk) -> None:
    payment = HandPayment(desk.books.order_id, 6000, CASH)
    looked = await desk.services.manual_payments.record(desk.club, payment, "U0ADMIN", keep=False)
    assert looked.order.balance_cents == 9000
    async with desk.services.database.transaction() as conn:
        for table in ("payments", "notices", "audit_log", "procrastinate_jobs", "order_history"):
            assert await conn.scalar(text(f"select count(*) from {table}")) == 0


async def test_one_press_is_one_payment_however_often_it_is_sent(desk: Desk) -> None:
    sent = await asyncio.gather(*(pay(desk, 15000, key="slack:V1") for _ in range(5)))
    assert len({recorded.payment_id for recorded in sent}) == 1
    assert [recorded.is_new for recorded in sent].count(True) == 1
    assert len(await payments(desk.services)) == 1
    assert len(await told(desk.services, "recorded")) == 1
    async with desk.services.database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(AuditLog)) == 1


async def test_a_key_of_another_order_is_no_second_payment(desk: Desk) -> None:
    await pay(desk, 100, key="slack:V1")
    other = HandPayment(await desk.order(), 100, CASH)
    with pytest.raises(AlreadyDoneError):
        await desk.services.manual_payments.record(desk.club, other, "U0ADMIN", request_key="slack:V1")


async def test_cash_and_stripes_webhook_at_once(desk: Desk) -> None:
    await desk.pay(await desk.mint())
    (event,) = [each for each in desk.stripe.events.values() if each["type"] == "checkout.session.completed"]
    results = await asyncio.gather(
        pay(desk, 15000),
        desk.services.stripe_events.ingest(event, orjson.dumps(event)),
        return_exceptions=True,
    )
    assert await desk.status() == "paid"
    recorded = [cents for cents, method, _ in await payments(desk.services) if method == "cash"]
    if isinstance(results[0], InvalidInputError):
        assert recorded == []
        assert len(await told(desk.services, "payment")) == 1
    else:
        # The cash was first: Stripe's money is one too many, and called out.
        assert recorded == [15000]
        assert len(await told(desk.services, "second_payment")) == 1


async def test_undone_once_and_owed_again(desk: Desk, drain: Drain) -> None:
    recorded = await pay(desk, 15000)
    undoing = (desk.services.manual_payments.undo(desk.club, recorded.payment_id, who) for who in ("U0A", "U0B"))
    results = await asyncio.gather(*undoing, return_exceptions=True)
    late = [each for each in results if isinstance(each, AlreadyDoneError)]
    assert len(late) == 1
    assert "undone already by U0" in str(late[0])
    assert await desk.status() == "pending"
    async with desk.services.database.transaction() as conn:
        assert await conn.scalar(select(Order.paid_at)) is None
        actions = list(await conn.scalars(select(AuditLog.action).order_by(AuditLog.id)))
    assert actions == ["payment.record", "payment.undo"]
    assert len(await told(desk.services, "undone")) == 1
    await drain()
    link_id = await desk.mint()
    assert desk.stripe.payment_links[link_id]["active"]
    # The family's page never heard of it.
    async with desk.services.database.transaction() as conn:
        page = await load_family_page(conn, desk.club.id, desk.books.parent_id)
    assert page.paid == ()
    # And it can be paid by hand again.
    assert (await pay(desk, 15000)).order.status is OrderStatus.PAID


async def test_a_link_over_the_rest_is_closed_when_the_part_is_undone(desk: Desk, drain: Drain) -> None:
    part = await pay(desk, 6000)
    link_id = await desk.mint()
    await desk.services.manual_payments.undo(desk.club, part.payment_id, "U0ADMIN")
    await drain()
    assert not desk.stripe.payment_links[link_id]["active"]


async def test_only_what_a_person_recorded_is_undone(desk: Desk) -> None:
    await desk.pay(await desk.mint())
    await desk.tell("checkout.session.completed")
    async with desk.services.database.transaction() as conn:
        stripes = int(await conn.scalar(select(Payment.id)) or 0)
    with pytest.raises(InvalidInputError, match="only given back"):
        await desk.services.manual_payments.undo(desk.club, stripes, "U0ADMIN")
    with pytest.raises(NotFoundError):
        await desk.services.manual_payments.undo(desk.club, stripes + 1, "U0ADMIN")


async def test_an_undo_is_not_undone(desk: Desk) -> None:
    recorded = await pay(desk, 15000)
    await desk.services.manual_payments.undo(desk.club, recorded.payment_id, "U0ADMIN")
    async with desk.services.database.transaction() as conn:
        void = int(await conn.scalar(select(Payment.id).where(Payment.voids_payment_id.is_not(None))) or 0)
    with pytest.raises(InvalidInputError, match="an undo itself"):
        await desk.services.manual_payments.undo(desk.club, void, "U0ADMIN")


async def test_another_clubs_order_and_payment_are_unknown(desk: Desk) -> None:
    recorded = await pay(desk, 100)
    async with desk.services.database.transaction() as conn:
        other = await open_books(conn, club="Lake City FC", email="sam@example.com")
    foreign = replace(desk.club, id=other.tenant_id)
    with pytest.raises(NotFoundError):
        await desk.services.manual_payments.undo(foreign, recorded.payment_id, "U0ADMIN")
    payment = HandPayment(desk.books.order_id, 100, CASH)
    with pytest.raises(NotFoundError):
        await desk.services.manual_payments.record(foreign, payment, "U0ADMIN")


async def test_a_payment_has_the_clocks_moment(desk: Desk) -> None:
    await pay(desk, 100)
    async with desk.services.database.transaction() as conn:
        at = await conn.scalar(select(Payment.created_at))
    assert at is not None
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
