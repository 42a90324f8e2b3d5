"""Plain payments, settled many at a time, leave the same rows as the closer look at each event by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import insert, text, update

from core.jobs import FollowUp
from core.models import CheckoutAttempt, Order, Payment, PaymentLink, StripeDispute, StripeRefund
from core.models.statuses import Category
from tests.core.conftest import Drain
from tests.core.stripe.conftest import Desk
from tests.statements import counted

# Everything that a payment leaves behind, but for what the database numbers and times by itself.
ROWS = """
select to_jsonb(o) - '{id,player_id,product_id,created_at}'::text[] from orders o where id = :order_id
union all select to_jsonb(p) - '{id,order_id}'::text[] from payments p where order_id = :order_id
union all select to_jsonb(a) - '{order_id,created_at}'::text[] from checkout_attempts a where order_id = :order_id
union all select to_jsonb(h) - '{id,order_id,created_at}'::text[] from order_history h where order_id = :order_id
union all select to_jsonb(l) - '{id,order_id,player_id,product_id,created_at,paid_at}'::text[]
    || jsonb_build_object('is_paid', l.paid_at is not null) from payment_links l where order_id = :order_id
union all select jsonb_build_object('kind', kind, 'key', key, 'facts', facts - '{order_id,payment_id}'::text[])
    from notices where facts ->> 'order_id' = cast(:order_id as text)
union all select jsonb_build_object('task', task_name, 'args', args - '{trace,payment_id,notice_id}'::text[])
    from procrastinate_jobs j
    where args ->> 'stripe_payment_link_id' = 'plink_' || :twin
        or args ->> 'payment_id' in (select cast(id as text) from payments where order_id = :order_id)
        or args ->> 'notice_id' in (
            select cast(id as text) from notices where facts ->> 'order_id' = cast(:order_id as text)
        )
union all select jsonb_build_object('outcome', outcome, 'error', error, 'is_processed', processed_at is not null)
    from stripe_events where id = 'evt_' || :twin
"""
BEFORE = datetime(2026, 11, 1, tzinfo=UTC)

Happened = Callable[[Desk, str, int], Awaitable[None]]


def told(twin: str, order_id: int | None, amount: int = 15000, currency: str = "usd") -> dict[str, object]:
    """Return a paid session's event; where it doesn't name its order, its link has to."""
    session = {
        "id": f"cs_{twin}",
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": amount,
        "currency": currency,
        "payment_intent": f"pi_{twin}",
        "payment_link": f"plink_{twin}",
        "metadata": {} if order_id is None else {"order_id": str(order_id)},
    }
    event = {"id": f"evt_{twin}", "type": "checkout.session.completed", "created": 1_796_000_000}
    return {**event, "data": {"object": session}}


async def owed(desk: Desk, twin: str, category: Category = Category.MONTHLY) -> int:
    """Add an order with its link; gives the order's id."""
    order_id = await desk.order(category=category)
    async with desk.services.database.transaction() as conn:
        link = {
            "stripe_payment_link_id": f"plink_{twin}",
            "stripe_payment_link_url": f"https://buy.example/{twin}",
        }
        names = ["tenant_id", "player_id", "parent_id", "product_id", "amount_cents", "order_id"]
        columns = ", ".join(each if each != "order_id" else "id" for each in names)
        await conn.execute(
            text(
                f"insert into payment_links ({', '.join([*names, *link])})"
                f" select {columns}, :stripe_payment_link_id, :stripe_payment_link_url from orders where id = :id"
            ),
            {**link, "id": order_id},
        )
    return order_id


async def rows(desk: Desk, twin: str, order_id: int) -> list[str]:
    async with desk.services.database.transaction() as conn:
        found = await conn.scalars(text(ROWS), {"order_id": order_id, "twin": twin})
        return sorted(orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode().replace(twin, "?") for row in found)


async def ingest(desk: Desk, event: dict[str, object]) -> str | None:
    outcome = (await desk.services.stripe_events.ingest(event, orjson.dumps(event))).outcome
    return None if outcome is None else str(outcome)


async def _insert(desk: Desk, table: type, **values: object) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(insert(table).values(values))


async def nothing(desk: Desk, twin: str, order_id: int) -> None:
    pass


async def paid_in_part(desk: Desk, twin: str, order_id: int) -> None:
    await _insert(desk, Payment, order_id=order_id, amount_cents=5000, method="cash", created_at=BEFORE)


async def a_debit_under_way(desk: Desk, twin: str, order_id: int) -> None:
    attempt = {"stripe_checkout_session_id": f"cs_other_{twin}", "order_id": order_id, "status": "processing"}
    await _insert(desk, CheckoutAttempt, **attempt)


async def a_session_that_expired(desk: Desk, twin: str, order_id: int) -> None:
    attempt = {"stripe_checkout_session_id": f"cs_other_{twin}", "order_id": order_id, "status": "expired"}
    await _insert(desk, CheckoutAttempt, **attempt)


async def the_same_session_failed(desk: Desk, twin: str, order_id: int) -> None:
    await _insert(
        desk, CheckoutAttempt, stripe_checkout_session_id=f"cs_{twin}", order_id=order_id, status="failed"
    )


async def refunded_already(desk: Desk, twin: str, order_id: int) -> None:
    told_of = {"id": f"re_{twin}", "amount_cents": 15000, "status": "succeeded", "created_at": BEFORE}
    await _insert(desk, StripeRefund, stripe_payment_intent_id=f"pi_{twin}", **told_of)


async def disputed_already(desk: Desk, twin: str, order_id: int) -> None:
    told_of = {"id": f"dp_{twin}", "amount_cents": 15000, "status": "needs_response", "reason": "fraudulent"}
    await _insert(desk, StripeDispute, stripe_payment_intent_id=f"pi_{twin}", **told_of)


async def canceled(desk: Desk, twin: str, order_id: int) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == order_id).values(status="canceled"))


async def another_amount(desk: Desk, twin: str, order_id: int) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == order_id).values(amount_cents=12000))


async def another_currency(desk: Desk, twin: str, order_id: int) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == order_id).values(currency="cad"))


async def the_link_is_closed(desk: Desk, twin: str, order_id: int) -> None:
    async with desk.services.database.transaction() as conn:
        closed = {"status": "deactivated", "paid_at": BEFORE}
        await conn.execute(update(PaymentLink).where(PaymentLink.order_id == order_id).values(closed))


HAPPENED = [
    nothing,
    paid_in_part,
    a_debit_under_way,
    a_session_that_expired,
    the_same_session_failed,
    refunded_already,
    disputed_already,
    canceled,
    another_amount,
    another_currency,
    the_link_is_closed,
]


@pytest.mark.parametrize("category", [Category.MONTHLY, Category.JERSEY])
async def test_whatever_happened_before_both_ways_lead_to_the_same(desk: Desk, category: Category) -> None:
    for number, happened in enumerate(HAPPENED):
        plain, closer = f"plain{number}", f"other{number}"
        orders = [await owed(desk, plain, category), await owed(desk, closer, category)]
        for twin, order_id in zip((plain, closer), orders, strict=True):
            await happened(desk, twin, order_id)
        first = await ingest(desk, told(plain, orders[0]))
        second = await ingest(desk, told(closer, None))
        found, expected = await rows(desk, plain, orders[0]), await rows(desk, closer, orders[1])
        expected = [each.replace("?", plain).replace(plain, "?") for each in expected]
        assert (first, found) == (second, expected), happened.__name__


async def test_what_comes_together_costs_a_fixed_number_of_statements(desk: Desk) -> None:
    spent = []
    for size in (2, 20):
        events = [told(twin := f"{size}n{each}", await owed(desk, twin)) for each in range(size)]
        with counted(desk.services.database) as statements:
            outcomes = await asyncio.gather(*(ingest(desk, event) for event in events))
        assert outcomes == ["applied"] * size
        spent.append(len(statements))
    assert spent[0] == spent[1]


JOBS = text("select task_name, args from procrastinate_jobs order by id")


async def test_what_comes_after_several_is_one_job_and_twice_does_no_harm(desk: Desk, drain: Drain) -> None:
    orders = [await desk.order() for _ in range(3)]
    links = [await desk.mint(order_id) for order_id in orders]
    for link_id in links:
        await desk.pay(link_id)
    events = [each for each in desk.stripe.events.values() if each["type"] == "checkout.session.completed"]
    await asyncio.gather(*(ingest(desk, event) for event in events))
    async with desk.services.database.transaction() as conn:
        ((task, arguments),) = await conn.execute(JOBS)
    assert task == "follow_up_payments"
    # Links that are about to be closed are no difference.
    assert await desk.kinds() == []
    for _ in range(2):
        await desk.services.stripe_events.follow_up(arguments["tenant_id"], arguments["payments"])
    async with desk.services.database.transaction() as conn:
        jobs = [(task, given["trace"]) for task, given in (await conn.execute(JOBS))][1:]
    tasks = ("close_link", "post_notice", "send_receipts")
    # Each under its own event's id, whichever request they were brought by.
    assert sorted(jobs) == sorted((task, event["id"]) for task in tasks for event in events for _ in range(2))
    await drain()
    assert [desk.stripe.payment_links[link_id]["active"] for link_id in links] == [False] * 3
    async with desk.services.database.transaction() as conn:
        notices = await conn.scalars(text("select facts ->> 'order_id' from notices order by 1"))
        assert sorted(map(int, notices)) == sorted(orders)


async def test_each_club_has_a_job_of_its_own(desk: Desk) -> None:
    def paid(tenant_id: int, number: int) -> FollowUp:
        return FollowUp(tenant_id, f"evt_{number}", payment_id=number, notice_id=None, link_ids=[])

    async with desk.services.database.transaction() as conn:
        await desk.services.jobs.follow_up_payments(conn, [paid(1, 1), paid(2, 2), paid(1, 3)])
        (together, alone) = await conn.execute(JOBS)
    assert (together[0], together[1]["tenant_id"]) == ("follow_up_payments", 1)
    assert [each["payment_id"] for each in together[1]["payments"]] == [1, 3]
    assert alone == ("send_receipts", {"payment_id": 2, "trace": "evt_2"})


async def test_a_hundred_copies_at_once_are_one_payment(desk: Desk) -> None:
    order_id = await owed(desk, "copied")
    outcomes = await asyncio.gather(*(ingest(desk, told("copied", order_id)) for _ in range(100)))
    assert sorted(outcomes, key=str) == [None] * 99 + ["applied"]
    found = await rows(desk, "copied", order_id)
    assert sum('"method"' in each and '"amount_cents":15000,"created_at"' in each for each in found) == 1
    assert sum('"task":"post_notice"' in each for each in found) == 1


async def test_two_payments_of_one_order_at_once_are_both_recorded(desk: Desk) -> None:
    order_id = await owed(desk, "first")
    event, again = told("first", order_id), told("again", order_id)
    assert list(await asyncio.gather(ingest(desk, event), ingest(desk, again))) == ["applied", "applied"]
    kinds = [each for each in await rows(desk, "first", order_id) if '"kind"' in each]
    assert [("second_payment" in each) for each in sorted(kinds)] == [False, True]


async def test_one_that_can_not_be_stored_does_not_harm_the_others(desk: Desk) -> None:
    events = [told(twin, await owed(desk, twin)) for twin in ("one", "two")]
    events[1]["data"]["object"]["currency"] = "u\ud800d"  # type: ignore[index]
    raw = [orjson.dumps(events[0]), b"{}"]
    outcomes = await asyncio.gather(
        *(desk.services.stripe_events.ingest(event, body) for event, body in zip(events, raw, strict=True)),
        return_exceptions=True,
    )
    assert str(getattr(outcomes[0], "outcome", outcomes[0])) == "applied"
