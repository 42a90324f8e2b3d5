"""Second guardians as rosters have them."""

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.club import Club, club_by_id
from core.database import Database
from core.items import charge_item, new_item
from core.models import Player
from core.roster import RosterReport, import_roster, read_roster
from tests.core.people import add_club

HEADINGS = "First,Last,P1 Email,P2 Email,P2 First,P2 Last,Parent 2 Share"
ROW = "Jaxon,Reed,pat@example.com,sam@example.com,Sam,Lee,40%"


@pytest.fixture
async def club(database: Database) -> Club:
    async with database.transaction() as conn:
        return await club_by_id(conn, await add_club(conn))


async def bring_in(conn: AsyncConnection, club: Club, *lines: str, headings: str = HEADINGS) -> RosterReport:
    return await import_roster(conn, club.id, read_roster("\n".join((headings, *lines)).encode()))


async def guardians(conn: AsyncConnection) -> list[tuple[str, str | None, int | None]]:
    rows = await conn.execute(
        text(
            "select p.first_name, g.email, p.second_share_percent from players p "
            "left join parents g on g.id = p.second_parent_id order by p.id"
        )
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    "headings",
    [
        HEADINGS,
        "First,Last,Parent 1 Email,Parent 2 Email,Parent 2 First Name,Parent 2 Last Name,Parent 2 Share",
        "First,Last,Guardian Email,Guardian 2 Email,Guardian 2 First,Guardian 2 Last,P2 Share",
    ],
)
async def test_a_second_guardian_comes_with_the_roster(database: Database, club: Club, headings: str) -> None:
    async with database.transaction() as conn:
        report = await bring_in(conn, club, ROW, headings=headings)
        assert (report.players_created, report.problems, report.notices) == (1, (), ())
        assert await guardians(conn) == [("Jaxon", "sam@example.com", 40)]
        names = await conn.execute(text("select first_name, last_name from parents where email like 'sam%'"))
        assert tuple(names.one()) == ("Sam", "Lee")
        again = await bring_in(conn, club, ROW, headings=headings)
        assert (again.unchanged, again.players_updated, again.parents_updated) == (1, 0, 0)


async def test_blank_cells_leave_the_second_guardian_alone(database: Database, club: Club) -> None:
    async with database.transaction() as conn:
        await bring_in(conn, club, ROW)
        report = await bring_in(conn, club, "Jaxon,Reed,pat@example.com,,,,")
        assert (report.unchanged, await guardians(conn)) == (1, [("Jaxon", "sam@example.com", 40)])
        report = await bring_in(conn, club, "Jaxon,Reed,pat@example.com,,,,0")
        assert (report.players_updated, await guardians(conn)) == (1, [("Jaxon", "sam@example.com", None)])


async def test_the_first_guardians_address_repeated_is_nobody_else(database: Database, club: Club) -> None:
    async with database.transaction() as conn:
        await bring_in(conn, club, "Jaxon,Reed,pat@example.com,PAT@example.com,,,")
        assert await guardians(conn) == [("Jaxon", None, None)]


async def test_what_cannot_be_read_is_told(database: Database, club: Club) -> None:
    async with database.transaction() as conn:
        report = await bring_in(
            conn,
            club,
            "Jaxon,Reed,pat@example.com,n/a,,,",
            "Mia,Reed,pat@example.com,sam@example.com,,,all",
            "Leo,Reed,pat@example.com,,,,30",
        )
        assert [name for name, *_ in await guardians(conn)] == ["Jaxon", "Leo"]
    assert [(problem.line, "percentage" in problem.reason) for problem in report.problems] == [(3, True)]
    assert [notice.line for notice in report.notices] == [2, 4]
    assert "was left out" in report.notices[0].reason
    assert "Parent 2 Email" in report.notices[1].reason


async def test_who_still_owes_is_not_replaced(database: Database, club: Club) -> None:
    kim = "Jaxon,Reed,pat@example.com,kim@example.com,,,"
    async with database.transaction() as conn:
        await bring_in(conn, club, ROW)
        players = list(await conn.scalars(select(Player.id)))
        bill = await charge_item(conn, club, players, new_item("Kit", "generic", 5000), None, actor="cli")
        report = await bring_in(conn, club, kim)
        assert (report.unchanged, report.players_updated) == (1, 0)
        assert "--move-orders" in report.notices[0].reason
        assert await guardians(conn) == [("Jaxon", "sam@example.com", 40)]
        for charge in bill.charges:
            await conn.execute(
                text("update orders set status = 'canceled' where id = :id"), {"id": charge.order_id}
            )
        report = await bring_in(conn, club, kim)
        assert (report.players_updated, report.notices) == (1, ())
        assert await guardians(conn) == [("Jaxon", "kim@example.com", 40)]
        await conn.execute(update(Player).values(second_share_percent=None))
        assert (await bring_in(conn, club, kim)).unchanged == 1
