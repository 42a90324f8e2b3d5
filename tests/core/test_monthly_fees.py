import asyncio
from datetime import date

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.club import club_by_id
from core.database import Database
from core.errors import InvalidInputError
from core.models import Order, Parent, Player, Product
from core.monthly_fees import TAKEN_OFF, bill_monthly
from tests.books import Books, add, open_books
from tests.statements import counted


async def player(conn: AsyncConnection, books: Books, name: str, fee: int | None, status: str = "signed") -> int:
    parent_id = await add(conn, Parent, tenant_id=books.tenant_id, email=f"{name}@example.com".lower())
    return await add(
        conn,
        Player,
        tenant_id=books.tenant_id,
        parent_id=parent_id,
        first_name=name,
        last_name="Lee",
        contract_status=status,
        monthly_fee_cents=fee,
    )


async def test_each_signed_player_is_charged_the_own_fee_once(database: Database) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        await player(conn, books, "Ana", 12000)
        await player(conn, books, "Bo", 12000)
        await player(conn, books, "Unsigned", 12000, "sent")
        await player(conn, books, "Scholar", 0)
        await player(conn, books, "Unset", None)
        club = await club_by_id(conn, books.tenant_id)
        first = await bill_monthly(conn, club, "2027-01")
        again = await bill_monthly(conn, club, "2027-01")
        orders = await conn.execute(select(Order.amount_cents, Order.description, Order.due_date, Order.status))
    assert sorted(charge.amount_cents for charge in first.charges) == [12000, 12000, 15000]
    assert [problem.player_name for problem in first.problems] == ["Unset Lee"]
    assert (len(again.charges), again.already_billed) == (0, 3)
    assert (12000, "Monthly fee, Jan 2027", date(2027, 1, 1), "pending") in orders.all()


async def test_a_changed_fee_does_not_bill_the_month_again(database: Database) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        club = await club_by_id(conn, books.tenant_id)
        await conn.execute(update(Player).values(monthly_fee_cents=9900))
        report = await bill_monthly(conn, club, "2026-12")
        assert report.charges == ()
        assert await conn.scalar(select(Order.amount_cents)) == 15000


async def test_a_month_that_was_taken_off_the_list_stays_off_and_is_named(database: Database) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        await conn.execute(update(Order).values(status="canceled"))
        report = await bill_monthly(conn, await club_by_id(conn, books.tenant_id), "2026-12")
    assert (report.charges, report.already_billed) == ((), 0)
    (named,) = report.problems
    assert (named.player_name, named.reason) == ("Jaxon Reed", TAKEN_OFF)


async def test_two_people_billing_at_once_bill_once(database: Database) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        for number in range(20):
            await player(conn, books, f"P{number}", 1000 + number)
        club = await club_by_id(conn, books.tenant_id)

    async def bill() -> int:
        async with database.transaction() as conn:
            return len((await bill_monthly(conn, club, "2027-02")).charges)

    assert sum(await asyncio.gather(*(bill() for _ in range(4)))) == 21


@pytest.mark.parametrize("period", ["2027-13", "2027-1", "27-01", "", "2027-01-01", "0000-01"])
async def test_a_month_is_written_one_way(database: Database, period: str) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        with pytest.raises(InvalidInputError, match="2026-12"):
            await bill_monthly(conn, await club_by_id(conn, books.tenant_id), period)


async def test_a_big_club_costs_the_same_statements(database: Database) -> None:
    async with database.transaction() as conn:
        books = await open_books(conn)
        club = await club_by_id(conn, books.tenant_id)
    costs = []
    for period, players in (("2027-01", 3), ("2027-02", 400)):
        async with database.transaction() as conn:
            await conn.execute(
                text(
                    "insert into players (tenant_id, parent_id, first_name, last_name, contract_status, "
                    "monthly_fee_cents) select :tenant, :parent, 'P' || n || :period, 'Many', 'signed', 15000 "
                    "from generate_series(1, :players) n"
                ),
                {"tenant": books.tenant_id, "parent": books.parent_id, "period": period, "players": players},
            )
            with counted(database) as statements:
                await bill_monthly(conn, club, period)
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 9
    async with database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(Product)) == 3
