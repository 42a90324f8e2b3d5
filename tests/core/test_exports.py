"""CSV exports: what is in them, and that no spreadsheet runs it."""

import csv
import io
import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update

from core.club import Club, club_by_id
from core.csv_cells import moment_cell, money_cell, read_money_cell, read_text_cell, text_cell
from core.database import Database
from core.exports import BYTE_ORDER_MARK, Export, Span, write_export
from core.models import Order, Parent, Payment, Player
from tests.books import Books, add, open_books
from tests.statements import counted

TODAY = date(2026, 12, 15)


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(database: Database, books: Books) -> Club:
    async with database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def export(database: Database, club: Club, kind: Export, span: Span | None = None) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    async with database.transaction() as conn:
        with counted(database) as statements:
            count = await write_export(conn, club, kind, file, span=span or Span(), today=TODAY)
    assert len(statements) == 1
    content = file.getvalue()
    assert content.startswith(BYTE_ORDER_MARK)
    rows = list(csv.DictReader(io.StringIO(content.removeprefix(BYTE_ORDER_MARK), newline="")))
    assert len(rows) == count
    return rows


@given(st.text())
def test_no_text_is_a_formula_and_all_are_read_back(typed: str) -> None:
    cell = text_cell(typed)
    assert not re.match(r"[=+\-@\t\r]", cell)
    assert read_text_cell(cell) == typed


@given(st.integers(0, 99_999_999))
def test_amounts_are_read_back(cents: int) -> None:
    for currency in ("usd", "jpy"):
        whole = cents if currency == "usd" else cents // 100
        cell = money_cell(whole, currency)
        assert float(cell) >= 0
        assert read_money_cell(cell, currency) == whole


def test_amounts_stay_numbers() -> None:
    assert [money_cell(cents, "usd") for cents in (0, 5, -1250, 123456789)] == [
        "0.00",
        "0.05",
        "-12.50",
        "1234567.89",
    ]
    assert money_cell(1250, "jpy") == "1250"


def test_moments_are_utc() -> None:
    assert moment_cell(datetime(2026, 12, 3, 14, 5, tzinfo=UTC)) == "2026-12-03T14:05:00+00:00"


async def test_orders(database: Database, books: Books, club: Club) -> None:
    [row] = await export(database, club, Export.ORDERS)
    expected = {
        "Player": "Jaxon Reed",
        "Team": "U12 Blue",
        "Parent": "Pat Reed",
        "Parent Email": "pat@example.com",
        "Item": "Monthly fee, Dec 2026",
        "Category": "monthly",
        "Period": "2026-12",
        "Amount": "150.00",
        "Paid": "0.00",
        "Balance": "150.00",
        "Status": "pending",
        "Due Date": "2026-12-01",
        "Currency": "usd",
        "Stripe Payment Link Id": "",
    }
    assert {name: row[name] for name in expected} == expected


async def test_names_are_no_formulas(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        await conn.execute(update(Player).values(first_name="=HYPERLINK(1)"))
        await conn.execute(update(Parent).values(first_name="@SUM", last_name="-1"))
        await conn.execute(update(Order).values(description="+1, “kit”\n=2"))
    [row] = await export(database, club, Export.ORDERS)
    assert row["Player"] == "'=HYPERLINK(1) Reed"
    assert row["Parent"] == "'@SUM -1"
    assert row["Item"] == "'+1, “kit”\n=2"


async def test_payments_and_refunds_by_the_clubs_days(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        for day, cents in ((1, 15000), (2, -5000)):
            at = datetime(2026, 12, day, 4, 30, tzinfo=UTC)  # the evening before in New York
            await add(conn, Payment, order_id=books.order_id, amount_cents=cents, method="card", created_at=at)
    rows = await export(database, club, Export.PAYMENTS)
    assert [row["Amount"] for row in rows] == ["150.00", "-50.00"]
    only = Span(date(2026, 11, 30), date(2026, 11, 30))
    [row] = await export(database, club, Export.PAYMENTS, only)
    assert (row["Amount"], row["Player"], row["Method"]) == ("150.00", "Jaxon Reed", "card")


async def test_balances_are_what_is_open_now(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        await add(conn, Payment, order_id=books.order_id, amount_cents=5000, method="cash")
        for status, cents in (("pending", 3000), ("processing", 700), ("paid", 999), ("canceled", 1)):
            await add(
                conn,
                Order,
                tenant_id=books.tenant_id,
                player_id=books.player_id,
                parent_id=books.parent_id,
                amount_cents=cents,
                status=status,
            )
    [row] = await export(database, club, Export.BALANCES)
    assert [row[name] for name in ("Open Items", "Owed", "Overdue", "On Its Way", "Oldest Due Date")] == [
        "3",
        "130.00",
        "100.00",
        "7.00",
        "2026-12-01",
    ]


async def test_another_clubs_books_stay_closed(database: Database, club: Club) -> None:
    async with database.transaction() as conn:
        await open_books(conn, "Other FC", "kim@example.com")
    for kind in (Export.ORDERS, Export.BALANCES):
        assert len(await export(database, club, kind)) == 1


async def test_many_orders_cost_one_statement(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        await conn.execute(
            text(
                "insert into orders (tenant_id, player_id, parent_id, amount_cents) "
                "select tenant_id, player_id, parent_id, n from orders, generate_series(1, 1500) n"
            )
        )
    assert len(await export(database, club, Export.ORDERS)) == 1501
