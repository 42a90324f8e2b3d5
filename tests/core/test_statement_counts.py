"""A list of any length costs as many statements as a short one."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import psycopg

from core.audiences import AudienceQuery
from core.backfill import missing_links
from core.club import club_by_id
from core.dues import dues_report
from core.family_page import load_family_page
from core.models import Order, Parent, Player
from core.models.statuses import EmailType
from core.services import Services
from tests.books import Books, add, open_books
from tests.statements import counted

_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]
NOW = datetime(2026, 12, 5, tzinfo=UTC)
EVERYONE = AudienceQuery(EmailType.OUTSTANDING_BALANCE)


async def draft_a_blast(services: Services, books: Books) -> None:
    club = await club_of(services, books)
    await services.blasts.draft(club, EVERYONE, note="", requested_by="U0ADMIN")


async def start_a_blast(services: Services, books: Books) -> None:
    club = await club_of(services, books)
    await services.blasts.start(club, EVERYONE, note="", requested_by="cli")


async def look_at_the_audience(services: Services, books: Books) -> None:
    await services.blasts.preview(await club_of(services, books), EVERYONE)


async def look_at_the_dues(services: Services, books: Books) -> None:
    club = await club_of(services, books)
    async with services.database.transaction() as conn:
        await dues_report(conn, club, NOW)


async def look_at_the_familys_page(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await load_family_page(conn, books.tenant_id, books.parent_id)


async def look_for_missing_links(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await missing_links(conn, books.tenant_id)


async def club_of(services: Services, books: Books):  # type: ignore[no-untyped-def] # noqa: ANN201
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def add_families(services: Services, books: Books, count: int) -> None:
    async with services.database.transaction() as conn:
        for number in range(count):
            email = f"parent{number}@example.com"
            parent_id = await add(conn, Parent, tenant_id=books.tenant_id, first_name="No", email=email)
            for whose in (parent_id, books.parent_id):
                player_id = await add(
                    conn,
                    Player,
                    tenant_id=books.tenant_id,
                    parent_id=whose,
                    team_id=books.team_id,
                    first_name=f"Child {number}",
                    last_name=f"Of {whose}",
                    contract_status="signed",
                )
                order = {
                    "tenant_id": books.tenant_id,
                    "player_id": player_id,
                    "parent_id": whose,
                    "product_id": books.product_id,
                    "amount_cents": 15000,
                    "due_date": date(2026, 12, 1),
                }
                await conn.execute(insert(Order).values(order))


@pytest.mark.parametrize(
    ("work", "most"),
    [
        (look_at_the_audience, 2),
        (draft_a_blast, 6),
        (start_a_blast, 12),
        (look_at_the_dues, 4),
        (look_at_the_familys_page, 3),
        (look_for_missing_links, 1),
    ],
)
async def test_a_long_list_costs_no_more_than_a_short_one(
    services: Services, work: Callable[[Services, Books], Awaitable[None]], most: int
) -> None:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
    await add_families(services, books, 1)
    with counted(services.database) as short:
        await work(services, books)
    async with services.database.transaction() as conn:
        other = await open_books(conn, "Second FC", "other@example.com")
    await add_families(services, other, 40)
    with counted(services.database) as long:
        await work(services, other)
    assert len(long) == len(short) <= most, "\n".join(long)
