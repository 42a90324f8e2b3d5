"""Another program's orders coming in, with what Stripe knows of them."""

import asyncio
import io
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from core.balances import family_owes
from core.club import Club, club_by_id
from core.errors import InvalidInputError
from core.exports import Export, Span, write_export
from core.guardians import Guardian, set_second_guardian
from core.items import charge_in_parts, charge_item, new_item
from core.models import (
    CheckoutAttempt,
    Order,
    OrderHistory,
    Payment,
    PaymentLink,
    Player,
    Product,
    RetiredLink,
    Tenant,
)
from core.monthly_fees import bill_monthly
from core.order_import import OrderImportReport, import_orders
from core.order_rows import read_orders
from core.payments import cancel_order, lock_order, refresh_status
from core.services import Services
from tests.books import Books, add, open_books
from tests.statements import counted
from tests.web.kit import session_event

HEADINGS = (
    "Player,Parent Email,Item,Category,Period,Amount,Status,Due Date,Paid At,Method,"
    "Stripe Payment Link Id,Stripe Payment Link URL,Stripe Checkout Session Id,Stripe Payment Intent Id"
)
NOW = datetime(2026, 12, 20, 12, 0, tzinfo=UTC)
JERSEY = (
    "Jaxon Reed,pat@example.com,Home jersey,jersey,,65.00,pending,2027-01-15,,,plink_test_a,https://buy.test/a,,"
)
NOVEMBER = (
    "jaxon  reed,PAT@example.com,November,monthly,2026-11,$150,Paid,11/01/2026,2026-11-03T15:00:00Z,card,"
    "plink_test_b,https://buy.test/b,cs_test_b,pi_test_b"
)
DECEMBER = "Jaxon Reed,pat@example.com,December,monthly,2027-01,120,pending,,,,,,,"
OLD = "Jaxon Reed,pat@example.com,Old kit,generic,,40,cancelled,,,,plink_test_c,,,"
ALL = (JERSEY, NOVEMBER, DECEMBER, OLD)


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def bring_in(services: Services, club: Club, *lines: str, headings: str = HEADINGS) -> OrderImportReport:
    parsed = read_orders("\n".join((headings, *lines)).encode(), club, NOW)
    async with services.database.transaction() as conn:
        return await import_orders(conn, club, parsed, actor="cli")


async def order_named(services: Services, name: str) -> dict[str, object]:
    async with services.database.transaction() as conn:
        row = (await conn.execute(select(Order).where(Order.description == name))).mappings().one()
    return dict(row)


async def count(services: Services, table: type) -> int:
    async with services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(table)) or 0)


async def test_orders_come_in_with_their_payments_and_links(services: Services, club: Club) -> None:
    report = await bring_in(services, club, *ALL)
    assert report == OrderImportReport(4, 0, 6500 + 15000 + 12000 + 4000, ())
    jersey, november = await order_named(services, "Home jersey"), await order_named(services, "November")
    assert (jersey["status"], jersey["amount_cents"], jersey["due_date"]) == ("pending", 6500, date(2027, 1, 15))
    assert (november["status"], november["paid_at"]) == ("paid", datetime(2026, 11, 3, 15, 0, tzinfo=UTC))
    assert november["stripe_checkout_session_id"] == "cs_test_b"
    async with services.database.transaction() as conn:
        links = await conn.execute(select(PaymentLink).order_by(PaymentLink.stripe_payment_link_id))
        told = [(link.stripe_payment_link_id, link.status, link.order_id) for link in links]
        payment = (await conn.execute(select(Payment))).one()
        attempt = (await conn.execute(select(CheckoutAttempt))).one()
        retired = (await conn.execute(select(RetiredLink))).one()
        history = [tuple(row) for row in await conn.execute(select(OrderHistory.to_status, OrderHistory.reason))]
        lock = await lock_order(conn, int(str(november["id"])))
        assert lock is not None
        assert (await refresh_status(conn, lock, "test")).after == "paid"
    assert told == [("plink_test_a", "active", jersey["id"]), ("plink_test_b", "paid", november["id"])]
    assert (payment.amount_cents, payment.stripe_payment_intent_id, payment.recorded_by) == (
        15000,
        "pi_test_b",
        "import",
    )
    assert (attempt.order_id, attempt.status) == (november["id"], "succeeded")
    assert retired.stripe_payment_link_id == "plink_test_c"
    assert sorted(history) == [("canceled", "imported"), ("paid", "imported")]


async def test_twice_changes_nothing(services: Services, club: Club) -> None:
    await bring_in(services, club, *ALL)
    tables = (Order, Product, Payment, PaymentLink, RetiredLink, CheckoutAttempt, OrderHistory)
    before = [await count(services, table) for table in tables]
    assert await bring_in(services, club, *ALL, JERSEY) == OrderImportReport(0, 5, 0, ())
    assert [await count(services, table) for table in tables] == before
    both = await asyncio.gather(bring_in(services, club, *ALL), bring_in(services, club, *ALL))
    assert [report.created for report in both] == [0, 0]


async def test_what_is_imported_is_not_billed_again(services: Services, books: Books, club: Club) -> None:
    await bring_in(services, club, *ALL)
    async with services.database.transaction() as conn:
        for period in ("2026-11", "2027-01"):
            assert not (await bill_monthly(conn, club, period)).charges
        item = new_item("Home jersey", "jersey", 6500)
        assert not (await charge_item(conn, club, [books.player_id], item, None, actor="cli")).charges


async def test_webhooks_find_imported_orders(services: Services, club: Club) -> None:
    await bring_in(services, club, *ALL)
    known = session_event(
        order_id=None, id="cs_test_b", payment_intent="pi_test_b", payment_link="plink_test_b", amount_total=15000
    )
    fresh = session_event(
        order_id=None, id="cs_test_n", payment_intent="pi_test_n", payment_link="plink_test_a", amount_total=6500
    )
    for event in (known, fresh):
        await services.stripe_events.ingest(event, orjson.dumps(event))
    assert await count(services, Payment) == 2
    assert (await order_named(services, "Home jersey"))["status"] == "paid"
    assert (await order_named(services, "November"))["status"] == "paid"


async def test_bad_rows_are_listed_and_the_others_come_in(services: Services, club: Club) -> None:
    bad = {
        "Nobody Known,pat@example.com,Kit,generic,,10,pending,,,,,,,": "no players",
        "Jaxon Reed,kim@example.com,Kit,generic,,10,pending,,,,,,,": "kim@example.com",
        ",pat@example.com,Kit,generic,,10,pending,,,,,,,": "player is missing",
        "Jaxon Reed,pat@example.com,,generic,,10,pending,,,,,,,": "item is missing",
        "Jaxon Reed,pat@example.com,Kit,shoes,,10,pending,,,,,,,": "category",
        "Jaxon Reed,pat@example.com,Kit,generic,,ten,pending,,,,,,,": "not an amount",
        "Jaxon Reed,pat@example.com,Kit,generic,,-10,pending,,,,,,,": "not an amount",
        "Jaxon Reed,pat@example.com,Kit,generic,,0,pending,,,,,,,": "more than nothing",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,maybe,,,,,,,": "status",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,refunded,,,,,,,": "bring it in as paid",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,pending,soon,,,,,,": "due date",
        "Jaxon Reed,pat@example.com,Fee,monthly,,10,pending,,,,,,,": "2026-12",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,paid,,never,,,,,": "day of payment",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,paid,,,barter,,,,": "method",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,pending,,,,pi_test_x,,,": "begin with plink_",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,pending,,,,,https://buy.test/x,,": "without its id",
        "Jaxon Reed,pat@example.com,Kit,generic,,10,pending,,,,,,,,extra": "more cells",
        "Jaxon Reed,pat@example.com,Kit,generic,,65,pending,,,,plink_test_a,,,pi_test_b": "another order's",
        "Jaxon Reed,pat@example.com,Home jersey,jersey,,70,pending,,,,,,,": "another amount",
        "Jaxon Reed,pat@example.com,Monthly fee,monthly,2026-12,150,paid,,,,,,,": "still owed",
    }
    report = await bring_in(services, club, JERSEY, NOVEMBER, *bad)
    assert report.created == 2
    assert [problem.line for problem in report.problems] == list(range(4, 4 + len(bad)))
    for problem, words in zip(report.problems, bad.values(), strict=True):
        assert words in problem.reason


async def test_a_file_that_is_none_is_refused(club: Club) -> None:
    for content in (b"", b"one,two\n1,2\n", b"Player,Item,Due Date\nJaxon Reed,Kit,\n"):
        with pytest.raises(InvalidInputError):
            read_orders(content, club, NOW)


async def test_a_payment_without_a_day_is_dated_when_it_was_due(services: Services, club: Club) -> None:
    await bring_in(
        services,
        club,
        "Jaxon Reed,pat@example.com,Kit,generic,,10,paid,2026-11-05,,,,,,",
        "Jaxon Reed,pat@example.com,Cap,generic,,10,paid,2027-11-05,,,,,,",
        "Jaxon Reed,pat@example.com,Bag,generic,,10,paid,,2026-11-06,check,,,,",
    )
    assert (await order_named(services, "Kit"))["paid_at"] == datetime(2026, 11, 5, 5, 0, tzinfo=UTC)
    assert (await order_named(services, "Cap"))["paid_at"] == NOW
    assert (await order_named(services, "Bag"))["paid_at"] == datetime(2026, 11, 6, 5, 0, tzinfo=UTC)


async def test_a_second_guardians_part_is_their_own(services: Services, books: Books, club: Club) -> None:
    async with services.database.transaction() as conn:
        await set_second_guardian(
            conn, club, books.player_id, Guardian("sam@example.com", "Sam", "Lee"), 50, actor="cli"
        )
    halves = [f"Jaxon Reed,{who}@example.com,Kit,generic,,50,pending,,,,,,," for who in ("pat", "sam")]
    assert (await bring_in(services, club, *halves)).created == 2
    async with services.database.transaction() as conn:
        payers = list(await conn.scalars(select(Order.parent_id).where(Order.description == "Kit")))
        assert len(set(payers)) == 2
        sam = next(payer for payer in payers if payer != books.parent_id)
        assert [item.description for item in await family_owes(conn, club.id, sam)] == ["Kit"]
    assert (await bring_in(services, club, *halves)).already_here == 2


async def test_many_rows_cost_the_same_statements(services: Services, books: Books, club: Club) -> None:
    costs = []
    for number in (5, 400):
        lines = [
            f"Jaxon Reed,pat@example.com,Kit {number} {n},generic,,10,paid,,,,plink_test_{number}x{n},,,"
            for n in range(number)
        ]
        with counted(services.database) as statements:
            assert (await bring_in(services, club, *lines)).created == number
        costs.append(len(statements))
    assert costs[0] == costs[1]


async def exported(services: Services, club: Club) -> bytes:
    file = io.StringIO(newline="")
    async with services.database.transaction() as conn:
        await write_export(conn, club, Export.ORDERS, file, span=Span(), today=NOW.date())
    return file.getvalue().encode()


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30).filter(
    lambda name: bool(name.strip())
)
STATUSES = st.sampled_from(["pending", "processing", "paid", "canceled", "refunded", "disputed"])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(st.tuples(NAMES, st.integers(1, 10**7), STATUSES), max_size=6), first=NAMES, last=NAMES)
async def test_an_export_read_back_changes_nothing(
    services: Services, club: Club, orders: list[tuple[str, int, str]], first: str, last: str
) -> None:
    async with services.database.transaction(keep=False) as conn:
        books = await open_books(conn, f"Club {first}{len(orders)}{NOW}", "pat@example.com")
        own = await club_by_id(conn, books.tenant_id)
        await conn.execute(
            update(Player).where(Player.id == books.player_id).values(first_name=first, last_name=last)
        )
        for number, (name, cents, status) in enumerate(orders):
            await add(
                conn,
                Order,
                tenant_id=books.tenant_id,
                player_id=books.player_id,
                parent_id=books.parent_id,
                description=f"{name} {number}",
                amount_cents=cents,
                status=status,
            )
        file = io.StringIO(newline="")
        await write_export(conn, own, Export.ORDERS, file, span=Span(), today=NOW.date())
        report = await import_orders(conn, own, read_orders(file.getvalue().encode(), own, NOW), actor="cli")
    assert report == OrderImportReport(0, len(orders) + 1, 0, ())


async def test_a_whole_season_read_back_changes_nothing(services: Services, books: Books, club: Club) -> None:
    async with services.database.transaction() as conn:
        await set_second_guardian(
            conn, club, books.player_id, Guardian("sam@example.com", "Sam", "Lee"), 40, actor="cli"
        )
        kit = new_item("Uniform kit", "generic", 20000)
        dates = [date(2027, 1, 1) + timedelta(days=30 * n) for n in range(4)]
        bill = await charge_in_parts(conn, club, [books.player_id], kit, dates, actor="cli")
        await bill_monthly(conn, club, "2027-01")
        for charge in bill.charges[:3]:
            order = await lock_order(conn, charge.order_id)
            assert order is not None
            await cancel_order(conn, order, "test")
    await bring_in(services, club, *ALL[:2])
    content = await exported(services, club)
    async with services.database.transaction() as conn:
        report = await import_orders(conn, club, read_orders(content, club, NOW), actor="cli")
    assert (report.created, report.problems) == (0, ())


async def test_an_export_comes_into_another_club_whole(services: Services, club: Club) -> None:
    await bring_in(services, club, DECEMBER, OLD.replace("plink_test_c", ""))
    content = await exported(services, club)
    async with services.database.transaction() as conn:
        other = await open_books(conn, "Other FC", "pat@example.com")
        await conn.execute(text("update orders set description = 'x' where id = :id"), {"id": other.order_id})
        there = await club_by_id(conn, other.tenant_id)
        report = await import_orders(conn, there, read_orders(content, there, NOW), actor="cli")
        assert await conn.scalar(select(func.count()).select_from(Tenant)) == 2
    assert (report.created, report.already_here, report.problems) == (2, 1, ())
