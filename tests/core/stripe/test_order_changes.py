"""Other amounts, items taken off the list, and fees of one's own."""

import pytest
from sqlalchemy import select

from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError, WrongFieldError
from core.manual_payments import HandPayment
from core.models import AuditLog, Order, OrderHistory, Player
from core.models.statuses import OrderStatus, PaymentMethod
from core.order_changes import AmountChange
from core.player_fees import set_monthly_fee
from tests.core.conftest import Drain
from tests.core.stripe.conftest import Desk


async def reprice(desk: Desk, cents: int, reason: str = "scholarship") -> AmountChange:
    return await desk.services.order_changes.change_amount(
        desk.club, desk.books.order_id, cents, reason, "U0ADMIN"
    )


async def pay(desk: Desk, cents: int) -> int:
    payment = HandPayment(desk.books.order_id, cents, PaymentMethod.CASH)
    return (await desk.services.manual_payments.record(desk.club, payment, "U0ADMIN")).payment_id


async def test_another_amount_has_another_link_and_a_reason(desk: Desk, drain: Drain) -> None:
    old = await desk.mint()
    change = await reprice(desk, 10000)
    assert (change.before_cents, change.order.amount_cents, change.order.balance_cents) == (15000, 10000, 10000)
    await drain()
    assert not desk.stripe.payment_links[old]["active"]
    new = await desk.mint()
    assert desk.stripe.payment_links[new]["active"]
    assert "scholarship" not in str(desk.stripe.payment_links[new])
    async with desk.services.database.transaction() as conn:
        assert await conn.scalar(select(Order.custom_data)) == {"reason": "scholarship"}
        audit = (await conn.execute(select(AuditLog.before, AuditLog.after))).one()
    assert audit.before["amount_cents"] == 15000
    assert audit.after == {"amount_cents": 10000, "status": "pending", "reason": "scholarship"}


async def test_down_to_what_was_paid_is_paid_and_not_below(desk: Desk) -> None:
    await pay(desk, 10000)
    with pytest.raises(WrongFieldError, match=r"\$100.00 was paid"):
        await reprice(desk, 9999)
    assert (await reprice(desk, 10000)).order.status is OrderStatus.PAID
    # And up again: the difference is owed.
    change = await reprice(desk, 12000)
    assert (change.order.status, change.order.balance_cents) == (OrderStatus.PENDING, 2000)


@pytest.mark.parametrize(
    ("cents", "reason", "field"), [(0, "x", "amount"), (15000, "x", "amount"), (100, " ", "reason")]
)
async def test_what_is_typed_wrong_is_said_beside_its_field(
    desk: Desk, cents: int, reason: str, field: str
) -> None:
    with pytest.raises(WrongFieldError) as refused:
        await reprice(desk, cents, reason)
    assert refused.value.field == field


async def test_taken_off_the_list_is_asked_for_no_more(desk: Desk, drain: Drain) -> None:
    link_id = await desk.mint()
    order = await desk.services.order_changes.cancel(desk.club, desk.books.order_id, "moved away", "U0ADMIN")
    assert order.status is OrderStatus.CANCELED
    await drain()
    assert not desk.stripe.payment_links[link_id]["active"]
    with pytest.raises(AlreadyDoneError):
        await desk.services.order_changes.cancel(desk.club, desk.books.order_id, "", "U0ADMIN")
    with pytest.raises(InvalidInputError, match="taken off"):
        await reprice(desk, 100)
    async with desk.services.database.transaction() as conn:
        history = (await conn.execute(select(OrderHistory.from_status, OrderHistory.to_status))).all()
        assert history == [("pending", "canceled")]
        assert await conn.scalar(select(Order.custom_data)) == {"reason": "moved away"}


async def test_what_was_paid_in_part_stays_until_that_is_undone(desk: Desk) -> None:
    payment_id = await pay(desk, 100)
    with pytest.raises(InvalidInputError, match="undo or refund"):
        await desk.services.order_changes.cancel(desk.club, desk.books.order_id, "", "U0ADMIN")
    await desk.services.manual_payments.undo(desk.club, payment_id, "U0ADMIN")
    order = await desk.services.order_changes.cancel(desk.club, desk.books.order_id, "", "U0ADMIN")
    assert order.status is OrderStatus.CANCELED


async def test_unknown_orders(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        await desk.services.order_changes.cancel(desk.club, 999, "", "U0ADMIN")
    with pytest.raises(NotFoundError):
        await desk.services.order_changes.change_amount(desk.club, 999, 100, "x", "U0ADMIN")


async def test_a_players_own_fee(desk: Desk) -> None:
    async with desk.services.database.transaction() as conn:
        for _ in range(2):
            _, fee = await set_monthly_fee(conn, desk.club, desk.books.player_id, 10000, " a  scholarship", "cli")
        assert (fee.monthly_cents, fee.note) == (10000, "a scholarship")
        row = (await conn.execute(select(Player.monthly_fee_cents, Player.fee_note))).one()
        assert tuple(row) == (10000, "a scholarship")
        # Set twice, changed once.
        audit = (await conn.execute(select(AuditLog.action, AuditLog.before))).all()
        assert audit == [("player.fee", {"monthly_fee_cents": 15000, "fee_note": ""})]
        # What was billed stays.
        assert await conn.scalar(select(Order.amount_cents)) == 15000
        with pytest.raises(NotFoundError):
            await set_monthly_fee(conn, desk.club, 999, 10000, "", "cli")
