"""Charging items: once, at once or in instalments, split or not."""

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import family_owes
from core.club import Club, club_by_id
from core.database import Database
from core.errors import InvalidInputError
from core.instalments import asked_now, one_line_a_plan
from core.items import Item, ItemBill, charge_in_parts, charge_item, new_item
from core.models import AuditLog, InstalmentPlan, Order, Parent, Payment, Player, Product
from core.models.statuses import Category
from core.payments import cancel_order, lock_order
from tests.books import Books, add, open_books
from tests.statements import counted

JERSEY = new_item("Home jersey", "jersey", 6500)
KIT = new_item("Uniform kit", "generic", 20000)
DATES = [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(database: Database, books: Books) -> Club:
    async with database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def players(conn: AsyncConnection, books: Books, count: int) -> list[int]:
    rows = await conn.scalars(
        text(
            "insert into players (tenant_id, parent_id, first_name, last_name) "
            "select :tenant, :parent, 'P' || n || :count, 'Many' from generate_series(1, :count) n returning id"
        ),
        {"tenant": books.tenant_id, "parent": books.parent_id, "count": count},
    )
    return list(rows)


async def second_guardian(conn: AsyncConnection, books: Books, share: int | None) -> int:
    sam = await add(
        conn, Parent, tenant_id=books.tenant_id, first_name="Sam", last_name="Lee", email="sam@example.com"
    )
    await conn.execute(
        update(Player).where(Player.id == books.player_id).values(second_parent_id=sam, second_share_percent=share)
    )
    return sam


def amounts(bill: ItemBill) -> list[int]:
    return [charge.amount_cents for charge in bill.charges]


async def in_parts(
    database: Database, club: Club, books: Books, item: Item = KIT, dates: Sequence[date] = DATES
) -> ItemBill:
    async with database.transaction() as conn:
        return await charge_in_parts(conn, club, [books.player_id], item, dates, actor="U1")


async def test_twice_charges_once(database: Database, books: Books, club: Club) -> None:
    for created, billed in ((1, 0), (0, 1)):
        async with database.transaction() as conn:
            bill = await charge_item(conn, club, [books.player_id], JERSEY, date(2027, 1, 15), actor="U1")
        assert (len(bill.charges), bill.already_billed, bill.problems) == (created, billed, ())
    async with database.transaction() as conn:
        order = (await conn.execute(select(Order).where(Order.id != books.order_id))).one()
        product = (await conn.execute(select(Product).where(Product.id == order.product_id))).one()
        logged = (await conn.execute(select(AuditLog.actor, AuditLog.action, AuditLog.subject))).all()
    assert (order.description, order.amount_cents, order.due_date) == ("Home jersey", 6500, date(2027, 1, 15))
    assert (product.category, product.name, product.price_cents) == (Category.JERSEY, "Home jersey", 6500)
    assert [tuple(row) for row in logged] == [("U1", "item.charge", "item:Home jersey")]


async def test_people_who_charge_at_the_same_time_charge_once(
    database: Database, books: Books, club: Club
) -> None:
    async def charge() -> int:
        async with database.transaction() as conn:
            return len((await charge_item(conn, club, [books.player_id], JERSEY, None, actor="U1")).charges)

    async def charge_parts() -> int:
        return len((await in_parts(database, club, books, JERSEY)).charges)

    made = await asyncio.gather(charge(), charge_parts(), charge(), charge_parts())
    assert sorted(made) in ([0, 0, 0, 1], [0, 0, 0, 4])


async def test_another_price_is_not_charged_beside_the_first(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        await charge_item(conn, club, [books.player_id], JERSEY, None, actor="U1")
        dearer = new_item("home  JERSEY", "jersey", 7000)
        bill = await charge_item(conn, club, [books.player_id], dearer, None, actor="U1")
        assert (bill.charges, len(bill.problems)) == ((), 1)
        assert "$65.00" in bill.problems[0].reason
        other = await charge_item(
            conn, club, [books.player_id], new_item("Away jersey", "jersey", 7000), None, actor="U1"
        )
        assert len(other.charges) == 1


async def test_what_was_taken_off_can_be_charged_again(database: Database, books: Books, club: Club) -> None:
    first = await in_parts(database, club, books)
    async with database.transaction() as conn:
        for charge in first.charges:
            order = await lock_order(conn, charge.order_id)
            assert order is not None
            await cancel_order(conn, order, "a mistake")
    again = await in_parts(database, club, books, dates=DATES[1:])
    assert amounts(again) == [6667, 6667, 6666]
    async with database.transaction() as conn:
        plan = (await conn.execute(select(InstalmentPlan))).one()
    assert (plan.instalments, plan.total_cents) == (3, 20000)


async def test_another_clubs_player_is_not_charged(database: Database, club: Club) -> None:
    async with database.transaction() as conn:
        other = await open_books(conn, "Other FC", "kim@example.com")
        bill = await charge_item(conn, club, [other.player_id], JERSEY, None, actor="U1")
        assert bill == ItemBill((), 0, ())


@pytest.mark.parametrize(
    ("name", "category", "cents"),
    [
        ("", "jersey", 1),
        (" \t", "jersey", 1),
        ("x" * 101, "jersey", 1),
        ("a\x07b", "generic", 1),
        ("Jersey", "monthly", 1),
        ("Jersey", "shoes", 1),
        ("Jersey", "jersey", 0),
    ],
)
def test_what_is_no_item_is_refused(name: str, category: str, cents: int) -> None:
    with pytest.raises(InvalidInputError):
        new_item(name, category, cents)


async def test_a_plan_has_an_order_a_date_and_a_product_for_each_part(
    database: Database, books: Books, club: Club
) -> None:
    bill = await in_parts(database, club, books, new_item("Uniform kit", "generic", 20001))
    assert amounts(bill) == [5001, 5000, 5000, 5000]
    assert [charge.description for charge in bill.charges] == [f"Uniform kit, {n} of 4" for n in (1, 2, 3, 4)]
    assert [charge.due_date for charge in bill.charges] == DATES
    async with database.transaction() as conn:
        plan = (await conn.execute(select(InstalmentPlan))).one()
        numbers = await conn.execute(
            select(Order.instalment_number, Order.product_id)
            .where(Order.instalment_plan_id == plan.id)
            .order_by(Order.instalment_number)
        )
        parts = [tuple(row) for row in numbers]
    assert (plan.name, plan.total_cents, plan.instalments) == ("Uniform kit", 20001, 4)
    assert [number for number, _ in parts] == [1, 2, 3, 4]
    assert len({product for _, product in parts}) == 4
    assert not (await in_parts(database, club, books)).charges


async def test_a_late_joiner_is_billed_once_and_pays_the_whole(
    database: Database, books: Books, club: Club
) -> None:
    late = await in_parts(database, club, books, dates=DATES[2:])
    assert (amounts(late), late.charges[0].description) == ([10000, 10000], "Uniform kit, 1 of 2")
    last = new_item("Tracksuit", "generic", 9999)
    whole = await in_parts(database, club, books, last, DATES[3:])
    assert [(c.description, c.amount_cents, c.due_date) for c in whole.charges] == [("Tracksuit", 9999, DATES[3])]
    assert (await in_parts(database, club, books, last)).already_billed == 1


async def test_each_guardian_of_a_split_fee_has_a_plan(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        sam = await second_guardian(conn, books, 40)
    bill = await in_parts(database, club, books, new_item("Uniform kit", "generic", 20001))
    assert sum(amounts(bill)) == 20001
    async with database.transaction() as conn:
        plans = await conn.execute(select(InstalmentPlan.parent_id, InstalmentPlan.total_cents))
        totals = {row.parent_id: row.total_cents for row in plans}
        theirs = await family_owes(conn, books.tenant_id, sam)
    assert totals == {books.parent_id: 12001, sam: 8000}
    assert [item.balance_cents for item in theirs] == [2000, 2000, 2000, 2000]
    assert not (await in_parts(database, club, books)).charges


async def test_a_plan_is_shown_with_its_progress(database: Database, books: Books, club: Club) -> None:
    bill = await in_parts(database, club, books)
    async with database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == bill.charges[0].order_id).values(status="paid"))
        await add(
            conn, Payment, order_id=bill.charges[0].order_id, amount_cents=5000, method="cash", recorded_by="U1"
        )
        owed = await family_owes(conn, books.tenant_id, books.parent_id)
    lines = one_line_a_plan(owed, date(2027, 2, 1))
    assert {(line.description, line.balance_cents) for line in lines} == {
        ("Monthly fee, Dec 2026", 15000),
        ("Uniform kit: 1 of 4 paid · next part", 5000),
    }
    assert len(asked_now(owed, date(2027, 1, 28))) == 1


async def test_a_big_club_costs_the_same_statements(database: Database, books: Books, club: Club) -> None:
    costs = []
    for count in (3, 300):
        async with database.transaction() as conn:
            await second_guardian(conn, books, 40) if count == 3 else None
            ids = [*await players(conn, books, count), books.player_id]
            item = new_item(f"Kit {count}", "generic", 20000)
            with counted(database) as statements:
                bill = await charge_in_parts(conn, club, ids, item, DATES, actor="U1")
            assert len(bill.charges) == (count + 2) * 4
            with counted(database) as again:
                assert (
                    await charge_in_parts(conn, club, ids, item, DATES, actor="U1")
                ).already_billed == count + 1
        costs.append((len(statements), len(again)))
    assert costs[0] == costs[1]
    assert costs[0][0] <= 13
    async with database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(InstalmentPlan)) == 3 + 300 + 2 * 2
