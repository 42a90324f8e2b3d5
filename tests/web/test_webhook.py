"""Money told of by Stripe reaches the books, once, whatever the order of telling."""

import asyncio
import itertools
from collections import Counter
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select, text

from core.models import Notice, Order, Payment, StripeEvent, UnmatchedPayment
from core.services import Services
from sandbox.stripe import StripeStandIn
from tests.books import Books, open_books
from tests.web.conftest import TRACES, traces
from tests.web.kit import (
    Event,
    dispute_event,
    event,
    refund_event,
    send_raw,
    session_event,
    signature,
    stripe_sdk_warning,
    tell,
)

pytestmark = stripe_sdk_warning


async def status_of(services: Services, books: Books) -> str:
    async with services.database.transaction() as conn:
        return str(await conn.scalar(select(Order.status).where(Order.id == books.order_id)))


async def told_kinds(services: Services) -> list[str]:
    async with services.database.transaction() as conn:
        return list(await conn.scalars(select(Notice.kind).order_by(Notice.id)))


async def test_a_hundred_copies_pay_once(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    told = session_event(order_id=books.order_id, payment_link=None)
    answers = await asyncio.gather(*(tell(client, told) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert Counter(answer.json()["outcome"] for answer in answers) == {"applied": 1, "duplicate": 99}
    assert await status_of(services, books) == "paid"
    left = await traces(services)
    assert left == {
        "stripe_events": 1,
        "payments": 1,
        "order_history": 1,
        "notices": 1,
        "checkout_attempts": 1,
        # The notice to the channel, and the family's receipt.
        "procrastinate_jobs": 2,
    }


async def test_two_events_of_one_payment_at_once_pay_once(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    events = [session_event(kind, order_id=books.order_id) for kind in ("completed", "async_payment_succeeded")]
    answers = await asyncio.gather(*(tell(client, told) for told in events * 5))
    assert {answer.status_code for answer in answers} == {200}
    left = await traces(services)
    assert (left["payments"], left["notices"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "payment_status", "status", "notices"),
    [
        ("completed", "paid", "paid", ["payment"]),
        ("completed", "unpaid", "processing", ["processing"]),
        ("completed", "no_payment_required", "paid", ["payment"]),
        ("async_payment_succeeded", "paid", "paid", ["payment"]),
        ("async_payment_failed", "unpaid", "pending", ["payment_failed"]),
        ("expired", "unpaid", "pending", []),
    ],
)
async def test_each_kind_of_session_event(
    kind: str,
    payment_status: str,
    status: str,
    notices: list[str],
    client: httpx.AsyncClient,
    services: Services,
    books: Books,
) -> None:
    answer = await tell(client, session_event(kind, order_id=books.order_id, payment_status=payment_status))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "applied")
    assert await status_of(services, books) == status
    assert await told_kinds(services) == notices


async def test_a_link_that_was_paid_is_closed(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    (link_id,) = stripe.payment_links
    # The metadata is not what finds it here: the link is.
    await tell(client, session_event(order_id=None, payment_link=link_id))
    async with services.database.transaction() as conn:
        jobs = (
            await conn.execute(text("select task_name, args - 'trace' from procrastinate_jobs order by id"))
        ).all()
        link = (await conn.execute(text("select status, paid_at is not null from payment_links"))).one()
    assert ("close_link", {"stripe_payment_link_id": link_id}) in [tuple(job) for job in jobs]
    assert tuple(link) == ("paid", True)
    assert await status_of(services, books) == "paid"


def stories(order_id: int) -> dict[str, tuple[list[Event], str]]:
    paid = session_event(order_id=order_id)
    debit = session_event(order_id=order_id, payment_status="unpaid")
    settled = session_event("async_payment_succeeded", order_id=order_id)
    opened = dispute_event("created", "needs_response")
    updated = dispute_event("updated", "under_review")
    return {
        "refund in two parts": ([paid, refund_event(5000), refund_event(10000, number=2)], "refunded"),
        "refund of a part": ([paid, refund_event(5000)], "partially_refunded"),
        "debit, settled, given back": ([debit, settled, refund_event()], "refunded"),
        "dispute open": ([paid, opened, updated], "disputed"),
        "dispute won": ([paid, opened, updated, dispute_event("closed", "won")], "paid"),
        "dispute lost": ([paid, opened, updated, dispute_event("closed", "lost")], "disputed"),
        "won, then given back": ([paid, opened, dispute_event("closed", "won"), refund_event()], "refunded"),
    }


@pytest.mark.parametrize("name", stories(0))
async def test_any_order_of_telling_ends_the_same(
    name: str, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    events, expected = stories(books.order_id)[name]
    for permutation in itertools.permutations(events):
        for told in (*permutation, *permutation):
            assert (await tell(client, told)).status_code == 200
        assert await status_of(services, books) == expected, [told["type"] for told in permutation]
        async with services.database.transaction() as conn:
            await conn.execute(text(f"truncate {', '.join(TRACES)} cascade"))
            await conn.execute(text("update orders set status = 'pending', paid_at = null"))
            await conn.execute(text("update orders set stripe_payment_intent_id = null"))


async def test_a_refund_told_together_with_its_payment_is_seen(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    for number in range(5):
        pi = f"pi_test_race_{number}"
        paid = session_event(order_id=books.order_id, id=f"cs_test_race_{number}", payment_intent=pi)
        back = event(
            "refund.created", id=f"re_test_race_{number}", amount=15000, status="succeeded", payment_intent=pi
        )
        answers = await asyncio.gather(tell(client, back), tell(client, paid))
        assert {answer.status_code for answer in answers} == {200}
        assert await status_of(services, books) == "refunded"


STRANGERS: dict[str, dict[str, Any]] = {
    "no metadata": {"payment_link": None, "metadata": None},
    "an order that is not there": {"payment_link": None, "metadata": {"order_id": "999999"}},
    "another program's order": {"payment_link": None, "metadata": {"order_id": "A-17"}},
    "a number beyond all ids": {"payment_link": "plink_test_other", "metadata": {"order_id": "9" * 30}},
    "another currency": {"currency": "eur"},
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_money_that_matches_nothing_is_kept_and_asked_about(
    name: str, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    details = {"email": "pat@example.com", "name": "<b>P\u00e1t\0</b> \N{GRINNING FACE}"}
    given = {"metadata": {"order_id": str(books.order_id)}, **STRANGERS[name], "customer_details": details}
    told = session_event(order_id=None, **given)
    answers = [await tell(client, told) for _ in range(2)]
    assert [answer.json()["outcome"] for answer in answers] == ["unmatched", "duplicate"]
    assert await told_kinds(services) == ["unmatched"]
    async with services.database.transaction() as conn:
        kept = (await conn.execute(select(UnmatchedPayment.amount_cents, UnmatchedPayment.payer_name))).all()
        assert (await conn.scalars(select(Payment.id))).all() == []
    assert [tuple(row) for row in kept] == [(15000, "<b>P\u00e1t</b> \N{GRINNING FACE}")]
    assert await status_of(services, books) == "pending"


async def test_another_clubs_metadata_pays_nobodys_order(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        other = await open_books(conn, "Hill Town SC", "sam@example.com")
    metadata = {"order_id": str(books.order_id), "tenant_id": str(other.tenant_id)}
    answer = await tell(client, session_event(order_id=None, metadata=metadata, payment_link=None))
    assert answer.json()["outcome"] == "unmatched"
    assert await status_of(services, books) == "pending"


async def test_what_we_do_nothing_with_is_kept_as_it_came(client: httpx.AsyncClient, services: Services) -> None:
    told = event("customer.updated", name="zero \0 byte", note="\u00e9\N{GRINNING FACE}")
    answer = await tell(client, told)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "ignored")
    async with services.database.transaction() as conn:
        row = (await conn.execute(select(StripeEvent.id, StripeEvent.outcome, StripeEvent.payload))).one()
    assert (row.id, row.outcome) == (told["id"], "ignored")
    assert b"\\u0000" in row.payload


@pytest.mark.parametrize(
    "told",
    [
        event("checkout.session.completed", id="cs_test_1"),
        event("checkout.session.completed"),
        event("refund.created", id="re_test_1", amount="many"),
        {**event("checkout.session.completed"), "data": None},
        {**event("checkout.session.completed"), "created": "1e999"},
        session_event(order_id=1, amount_total=-5),
        session_event(order_id=1, id="cs test"),
    ],
)
async def test_one_that_cannot_be_read_is_kept_as_failed(
    told: Event, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    answer = await tell(client, told)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "failed")
    # Stripe won't tell of it again, so the channel is asked to look.
    assert await traces(services) == {"stripe_events": 1, "notices": 1, "procrastinate_jobs": 1}
    assert await told_kinds(services) == ["unreadable_event"]


async def test_a_dispute_told_before_its_payment_is_announced_with_it(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    await tell(client, dispute_event("created", "needs_response"))
    await tell(client, session_event(order_id=books.order_id, payment_link=None))
    assert await told_kinds(services) == ["unknown_dispute", "payment", "dispute_opened"]
    await tell(client, dispute_event("closed", "lost"))
    assert await status_of(services, books) == "disputed"
    async with services.database.transaction() as conn:
        assert sorted(await conn.scalars(select(Payment.amount_cents))) == [-15000, 15000]


async def test_more_than_was_owed_is_called_out(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    await tell(client, session_event(order_id=books.order_id, payment_link=None, amount_total=20000))
    async with services.database.transaction() as conn:
        facts = await conn.scalar(select(Notice.facts))
    assert facts is not None
    assert facts["over_cents"] == 5000


async def test_half_a_surrogate_pair_in_a_name_is_no_obstacle(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    raw = orjson.dumps(session_event(order_id=books.order_id, payment_link=None))
    raw = raw.replace(b"Pat Reed", rb"Pat \ud800 Reed")
    assert (await send_raw(client, raw, signature(raw))).status_code == 200
    assert await status_of(services, books) == "paid"
