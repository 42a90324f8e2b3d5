"""However Stripe tells of a payment, in whatever order and however often, the books end the same."""

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import URL

from core.database import Database
from core.jobs import JobQueue
from core.models import Notice, Order, OrderHistory, Payment, StripeEvent, StripeRefund, UnmatchedPayment
from core.payment_links import PaymentLinks
from core.payments import lock_named_order
from core.stripe_events import StripeEvents
from core.unmatched import UnmatchedPayments
from tests.books import Books, open_books

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
Event = dict[str, Any]
_ids = itertools.count(1)


def event(kind: str, **fields: object) -> Event:
    number = next(_ids)
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": kind,
        "created": 1_795_000_000,
        "data": {"object": fields},
    }


def session(kind: str, books: Books, *, status: str = "paid", pi: str = "pi_1", cs: str = "cs_test_1") -> Event:
    return event(
        f"checkout.session.{kind}",
        id=cs,
        payment_status=status,
        amount_total=15000,
        currency="usd",
        payment_intent=pi,
        payment_link=None,
        metadata={"order_id": str(books.order_id), "tenant_id": str(books.tenant_id)},
    )


def refund(status: str, amount: int = 15000, refund_id: str = "re_1", pi: str = "pi_1") -> Event:
    kind = {"succeeded": "created", "pending": "created", "failed": "failed"}[status]
    return event(f"refund.{kind}", id=refund_id, amount=amount, status=status, payment_intent=pi)


def dispute(kind: str, status: str) -> Event:
    return event(
        f"charge.dispute.{kind}",
        id="du_1",
        amount=15000,
        status=status,
        reason="fraudulent",
        payment_intent="pi_1",
    )


@pytest.fixture
async def stripe_events(database: Database, database_url: URL) -> StripeEvents:
    jobs = JobQueue(database_url)
    return StripeEvents(database, jobs, PaymentLinks(database, None, jobs, lambda: NOW), lambda: NOW)


async def tell(stripe_events: StripeEvents, events: list[Event]) -> None:
    for told in events:
        await stripe_events.ingest(told, orjson.dumps(told))


async def books_of(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


async def state(database: Database, books: Books) -> tuple[str, int, int]:
    async with database.transaction() as conn:
        status = await conn.scalar(select(Order.status).where(Order.id == books.order_id))
        total = await conn.scalar(select(func.coalesce(func.sum(Payment.amount_cents), 0)))
        count = await conn.scalar(
            select(func.count()).select_from(Payment).where(Payment.stripe_refund_id.is_(None))
        )
    return str(status), int(total or 0), int(count or 0)


def stories(books: Books) -> dict[str, tuple[list[Event], tuple[str, int, int]]]:
    paid = session("completed", books)
    unpaid = session("completed", books, status="unpaid")
    settled = session("async_payment_succeeded", books)
    bounced = session("async_payment_failed", books, status="unpaid")
    return {
        "paid": ([paid], ("paid", 15000, 1)),
        "debit under way": ([unpaid], ("processing", 0, 0)),
        "debit settled": ([unpaid, settled], ("paid", 15000, 1)),
        "debit bounced": ([unpaid, bounced], ("pending", 0, 0)),
        "refunded": ([paid, refund("succeeded")], ("refunded", 0, 1)),
        "refunded in part": ([paid, refund("succeeded", 5000)], ("partially_refunded", 10000, 1)),
        "refund pending": ([paid, refund("pending")], ("paid", 15000, 1)),
        "refund pending, through": ([paid, refund("pending"), refund("succeeded")], ("refunded", 0, 1)),
        "refund came back": ([paid, refund("succeeded"), refund("failed")], ("paid", 15000, 1)),
        "disputed": ([paid, dispute("created", "needs_response")], ("disputed", 15000, 1)),
        "dispute won": (
            [paid, dispute("created", "needs_response"), dispute("closed", "won")],
            ("paid", 15000, 1),
        ),
        "dispute lost": (
            [paid, dispute("created", "needs_response"), dispute("closed", "lost")],
            ("disputed", 0, 1),
        ),
        "paid twice": ([paid, session("completed", books, pi="pi_2", cs="cs_test_2")], ("paid", 30000, 2)),
        "paid twice, one given back": (
            [paid, session("completed", books, pi="pi_2", cs="cs_test_2"), refund("succeeded", pi="pi_2")],
            ("paid", 15000, 2),
        ),
        "left, then paid": (
            [session("expired", books, status="unpaid", cs="cs_test_0"), paid],
            ("paid", 15000, 1),
        ),
    }


NAMES = list(stories(Books(1, 1, 1, 1, 1, 1)))


@pytest.mark.parametrize("name", NAMES)
async def test_every_order_of_telling_ends_the_same(
    name: str, database: Database, stripe_events: StripeEvents
) -> None:
    books = await books_of(database)
    events, expected = stories(books)[name]
    for permutation in itertools.permutations(events):
        # Each event twice, the copies in another order.
        await tell(stripe_events, [*permutation, *reversed(permutation)])
        assert await state(database, books) == expected, [told["type"] for told in permutation]
        await forget(database, books)


async def forget(database: Database, books: Books) -> None:
    async with database.transaction() as conn:
        await conn.execute(
            text(
                "truncate payments, checkout_attempts, stripe_refunds, stripe_disputes, stripe_events, notices, "
                "order_history, procrastinate_jobs cascade"
            )
        )
        await conn.execute(
            text("update orders set status = 'pending', paid_at = null, stripe_payment_intent_id = null")
        )


async def test_history_is_written_beside_each_change(database: Database, stripe_events: StripeEvents) -> None:
    books = await books_of(database)
    await tell(stripe_events, [session("completed", books), refund("succeeded")])
    async with database.transaction() as conn:
        rows = await conn.execute(
            select(OrderHistory.from_status, OrderHistory.to_status).order_by(OrderHistory.id)
        )
    assert rows.all() == [("pending", "paid"), ("paid", "refunded")]


async def test_a_refund_that_is_heard_of_before_its_payment_is_told_all_the_same(
    database: Database, stripe_events: StripeEvents
) -> None:
    books = await books_of(database)
    for permutation in itertools.permutations([session("completed", books), refund("succeeded", 5000)]):
        await tell(stripe_events, [*permutation, *reversed(permutation)])
        async with database.transaction() as conn:
            kinds = sorted(await conn.scalars(select(Notice.kind)))
        assert kinds == ["payment", "refund"], [told["type"] for told in permutation]
        await forget(database, books)


async def test_a_dispute_that_was_won_before_its_payment_is_heard_of_is_told_all_the_same(
    database: Database, stripe_events: StripeEvents
) -> None:
    books = await books_of(database)
    await tell(stripe_events, [dispute("closed", "won"), session("completed", books)])
    async with database.transaction() as conn:
        assert sorted(await conn.scalars(select(Notice.kind))) == ["dispute_closed", "payment"]


async def test_what_came_before_its_payment_counts_as_applied_once_that_is_there(
    database: Database, stripe_events: StripeEvents
) -> None:
    books = await books_of(database)
    disputed = [dispute("created", "needs_response"), dispute("closed", "won")]
    await tell(stripe_events, [refund("pending"), refund("succeeded"), *disputed])
    assert await outcomes(database) == ["unmatched"] * 4
    # Another payment is not what they wait for.
    await tell(stripe_events, [session("completed", books, pi="pi_2", cs="cs_test_2")])
    assert await outcomes(database) == ["applied", *["unmatched"] * 4]
    await tell(stripe_events, [session("completed", books)])
    assert await outcomes(database) == ["applied"] * 6


async def outcomes(database: Database) -> list[str | None]:
    async with database.transaction() as conn:
        return sorted(await conn.scalars(select(StripeEvent.outcome)), key=str)


async def test_a_refund_that_arrives_while_its_payment_is_being_matched_is_not_lost(
    database: Database, database_url: URL, stripe_events: StripeEvents
) -> None:
    books = await books_of(database)
    jobs = JobQueue(database_url)
    unmatched = UnmatchedPayments(database, jobs, PaymentLinks(database, None, jobs, lambda: NOW), lambda: NOW)
    paid = session("completed", books)
    paid["data"]["object"]["metadata"] = {}
    await tell(stripe_events, [paid])
    async with database.transaction() as conn:
        unmatched_id = int(await conn.scalar(select(UnmatchedPayment.id)) or 0)
    async with database.transaction() as conn:
        # A refund's event, half way: nothing to set it against, and not committed yet.
        await lock_named_order(conn, "pi_1", None, None)
        back = {"id": "re_1", "stripe_payment_intent_id": "pi_1", "amount_cents": 15000, "status": "succeeded"}
        await conn.execute(insert(StripeRefund).values(back))
        matching = asyncio.create_task(unmatched.match(books.tenant_id, unmatched_id, books.order_id, "U0ADMIN"))
        await asyncio.wait([matching], timeout=0.5)
    await matching
    assert await state(database, books) == ("refunded", 0, 1)
