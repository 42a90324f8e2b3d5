"""What Stripe tells and we never heard: events, payments and refunds, and whose they are."""

import pytest
from sqlalchemy import delete, func, insert, select, update

from core.club import club_by_id
from core.errors import InvalidInputError
from core.models import AuditLog, Notice, Payment, StripeEvent, StripeRefund, Tenant, UnmatchedPayment
from sandbox.stripe import Fault
from tests.books import open_books
from tests.core.stripe.conftest import Desk
from tests.sandbox.stripe_kit import link_parameters
from tests.statements import counted


async def count(desk: Desk, table: type) -> int:
    async with desk.services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(table)) or 0)


async def stray_link(desk: Desk, **metadata: str) -> str:
    """Make a link at Stripe that is not ours, or says so only in its metadata."""
    parameters = link_parameters() | {"metadata": metadata, "payment_intent_data": {"metadata": metadata}}
    gateway = desk.services.gateway
    assert gateway is not None
    made = await gateway._client.v1.payment_links.create_async(parameters)
    return str(made.id)


async def test_nothing_differs_in_a_quiet_club(desk: Desk) -> None:
    await desk.mint()
    comparison = await desk.compare()
    assert comparison.differences == ()
    assert comparison.looked_at == {"events": 0, "payments": 0, "refunds": 0, "links": 1, "never_minted": 0}


async def test_a_missed_payment_is_found_and_applied_through_the_webhooks_own_door(desk: Desk) -> None:
    await desk.pay(await desk.mint())
    comparison = await desk.compare()
    # The session is the event's: one difference, not two.
    assert [each.kind for each in comparison.differences] == ["event_missed"]
    assert await desk.status() == "pending"
    report = await desk.repair()
    assert (report.repaired, report.failures) == (1, ())
    assert await desk.status() == "paid"
    assert await count(desk, Notice) == 1
    assert (await desk.link_status())[0] == "paid"
    async with desk.services.database.transaction() as conn:
        entry = (await conn.execute(select(AuditLog.actor, AuditLog.action, AuditLog.after))).one()
    assert tuple(entry) == ("cli", "reconcile.repair", {"status": "repaired"})
    again = await desk.repair()
    assert (again.repaired, again.failures) == (0, ())
    assert (await count(desk, Payment), await count(desk, Notice)) == (1, 1)


async def test_an_event_that_failed_is_taken_in_again(desk: Desk) -> None:
    await desk.pay(await desk.mint())
    await desk.tell()
    async with desk.services.database.transaction() as conn:
        await conn.execute(delete(Payment))
        await conn.execute(
            update(StripeEvent)
            .where(StripeEvent.type == "checkout.session.completed")
            .values(outcome="failed", error="an outage")
        )
    assert await desk.kinds() == ["event_missed"]
    assert (await desk.repair()).repaired == 1
    assert await count(desk, Payment) == 1


@pytest.mark.parametrize(("method", "recorded"), [("card", "card"), ("bank_debit", "bank")])
async def test_a_payment_whose_event_is_lost_is_recorded_from_its_session(
    desk: Desk, method: str, recorded: str
) -> None:
    session_id = await desk.pay(await desk.mint(), method)
    if method == "bank_debit":
        await desk.stripe.settle(session_id)
    desk.stripe.events.clear()
    assert await desk.kinds() == ["payment_missing"]
    assert (await desk.repair()).repaired == 1
    assert await desk.status() == "paid"
    async with desk.services.database.transaction() as conn:
        assert await conn.scalar(select(Payment.method)) == recorded
    assert await desk.kinds() == []


async def test_a_bank_payment_under_way_is_no_payment_yet(desk: Desk) -> None:
    await desk.pay(await desk.mint(), "bank_debit")
    desk.stripe.events.clear()
    assert await desk.kinds() == []


async def test_a_refund_whose_event_is_lost_is_recorded(desk: Desk) -> None:
    session_id = await desk.pay(await desk.mint())
    await desk.tell()
    await desk.stripe.refund(str(desk.stripe.sessions[session_id]["payment_intent"]), 5000)
    desk.stripe.events.clear()
    comparison = await desk.compare()
    assert [each.kind for each in comparison.differences if each.kind == "refund_missing"] == ["refund_missing"]
    await desk.repair()
    assert await desk.status() == "partially_refunded"
    assert await count(desk, StripeRefund) == 1


async def test_a_refund_that_failed_after_we_heard_of_it(desk: Desk) -> None:
    session_id = await desk.pay(await desk.mint())
    intent = str(desk.stripe.sessions[session_id]["payment_intent"])
    refund_id = await desk.stripe.refund(intent, 5000, "pending")
    await desk.tell()
    await desk.stripe.settle_refund(refund_id, succeed=False)
    assert "event_missed" in await desk.kinds()
    await desk.repair()
    assert await desk.status() == "paid"


async def test_a_payment_that_fits_no_order_is_asked_about_as_the_webhook_would(desk: Desk) -> None:
    await desk.pay(await stray_link(desk))
    assert await desk.kinds() == ["event_missed"]
    await desk.repair()
    assert await count(desk, UnmatchedPayment) == 1
    assert await desk.kinds() == []


async def test_what_is_another_programs_is_left_alone(desk: Desk) -> None:
    await desk.pay(await stray_link(desk, order_id="7", tenant_id="4711"))
    await desk.pay(await stray_link(desk, tenant_id="other-shop"))
    assert await desk.kinds() == []


async def test_money_of_before_the_club_was_set_up_is_left_alone(desk: Desk) -> None:
    session_id = await desk.pay(await stray_link(desk))
    await desk.stripe.refund(str(desk.stripe.sessions[session_id]["payment_intent"]))
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(created_at=func.now() + func.make_interval(0, 0, 0, 1)))
    assert await desk.kinds() == []


async def test_of_two_clubs_each_sees_its_own(desk: Desk) -> None:
    async with desk.services.database.transaction() as conn:
        other = await open_books(conn, "Hill Valley SC", "lee@example.com")
    await desk.pay(await desk.mint())
    await desk.pay(await stray_link(desk))
    comparison = await desk.compare()
    assert [each.kind for each in comparison.differences] == ["event_missed"]
    async with desk.services.database.transaction() as conn:
        theirs = await club_by_id(conn, other.tenant_id)
    assert (await desk.services.reconciliation.compare(theirs)).differences == ()


async def test_one_failure_stops_nobody_and_the_next_run_goes_on(desk: Desk) -> None:
    order_ids = [desk.books.order_id, *[await desk.order() for _ in range(3)]]
    for order_id in order_ids:
        await desk.pay(await desk.mint(order_id))
    run_id = await desk.services.reconciliation.keep(await desk.compare())
    assert run_id is not None
    event_id = next(
        event["id"] for event in desk.stripe.events.values() if event["type"] == "checkout.session.completed"
    )
    desk.stripe.faults.add(Fault("server_error", path=event_id, times=5))
    report = await desk.services.reconcile_desk.repair_all(desk.club, run_id, "cli", lambda: None)
    assert (report.repaired, [each.finding.key for each in report.failures]) == (3, [event_id])
    desk.stripe.faults.clear()
    await desk.repair()
    assert [await desk.status(order_id) for order_id in order_ids] == ["paid"] * 4


async def test_stripe_keeps_no_more_than_thirty_days(desk: Desk) -> None:
    with pytest.raises(InvalidInputError, match="1 to 30"):
        await desk.services.reconciliation.compare(desk.club, days=31)


async def test_the_cost_grows_by_pages_not_by_payments(desk: Desk) -> None:
    async def cost() -> int:
        with counted(desk.services.database) as statements:
            await desk.compare()
        # The pace of calls is kept in the database too, one statement a call.
        return sum("rate_slots" not in statement for statement in statements)

    await desk.pay(await desk.mint())
    few = await cost()
    async with desk.services.database.transaction() as conn:
        await conn.execute(insert(Tenant).values(name="Beside"))
    for _ in range(20):
        await desk.pay(await desk.mint(await desk.order()))
    assert len((await desk.compare()).differences) == 21
    assert await cost() == few
