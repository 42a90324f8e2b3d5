"""Holds: set, replaced, lifted and over by themselves, each once."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.club import Club, club_by_id
from core.database import Database
from core.errors import AlreadyDoneError, NotFoundError, WrongFieldError
from core.holds import family_of_address, family_of_player, held_parents, lift_hold, list_holds, set_hold
from core.models import AuditLog, FamilyHold
from tests.books import Books, open_books

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
TODAY = date(2026, 11, 21)


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(database: Database, books: Books) -> Club:
    async with database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def hold(
    database: Database,
    club: Club,
    parent_id: int,
    until: date | None = None,
    reason: str = "Talking",
    actor: str = "U1",
) -> bool:
    async with database.transaction() as conn:
        return await set_hold(conn, club, parent_id, until, reason, actor=actor, now=NOW)


async def lift(database: Database, club: Club, parent_id: int, actor: str = "U1") -> None:
    async with database.transaction() as conn:
        await lift_hold(conn, club, parent_id, actor=actor, now=NOW)


async def test_twice_the_same_is_once_done(database: Database, books: Books, club: Club) -> None:
    results = await asyncio.gather(*(hold(database, club, books.parent_id) for _ in range(4)))
    assert sorted(results) == [False, False, False, True]
    async with database.transaction() as conn:
        (held,) = await list_holds(conn, club.id, TODAY)
        assert (held.parent_name, held.until, held.reason, held.created_by) == ("Pat Reed", None, "Talking", "U1")
        assert list(await conn.scalars(select(AuditLog.action))) == ["hold.set"]


async def test_another_hold_takes_the_place_of_the_first(database: Database, books: Books, club: Club) -> None:
    await hold(database, club, books.parent_id)
    assert await hold(database, club, books.parent_id, TODAY, " On a  plan ", "U2")
    async with database.transaction() as conn:
        (held,) = await list_holds(conn, club.id, TODAY)
        assert (held.until, held.reason, held.created_by) == (TODAY, "On a plan", "U2")
        assert await conn.scalar(select(func.count()).select_from(FamilyHold)) == 2


async def test_a_hold_is_over_after_its_last_day_and_can_be_set_again(
    database: Database, books: Books, club: Club
) -> None:
    await hold(database, club, books.parent_id, TODAY)
    tomorrow = TODAY + timedelta(days=1)
    async with database.transaction() as conn:
        assert await held_parents(conn, club.id, TODAY) == {books.parent_id}
        assert await held_parents(conn, club.id, TODAY, {books.parent_id + 1}) == frozenset()
        assert await held_parents(conn, club.id, tomorrow) == frozenset()
        later = NOW + timedelta(days=1)
        assert await set_hold(conn, club, books.parent_id, tomorrow, "Again", actor="U1", now=later)
        assert await held_parents(conn, club.id, tomorrow) == {books.parent_id}


async def test_of_two_who_lift_one_is_told_who_was_first(database: Database, books: Books, club: Club) -> None:
    with pytest.raises(AlreadyDoneError, match="not on hold"):
        await lift(database, club, books.parent_id)
    await hold(database, club, books.parent_id)
    await lift(database, club, books.parent_id, "U2")
    with pytest.raises(AlreadyDoneError, match="lifted by U2"):
        await lift(database, club, books.parent_id)
    async with database.transaction() as conn:
        assert await list_holds(conn, club.id, TODAY) == []


@pytest.mark.parametrize(
    ("until", "reason", "field"),
    [(TODAY - timedelta(days=1), "Talking", "until"), (None, "  ", "reason"), (None, "x" * 301, "reason")],
)
async def test_what_makes_no_sense_is_refused_beside_its_field(
    database: Database, books: Books, club: Club, until: date | None, reason: str, field: str
) -> None:
    with pytest.raises(WrongFieldError) as refused:
        await hold(database, club, books.parent_id, until, reason)
    assert refused.value.field == field


async def test_another_clubs_family_is_nobody(database: Database, books: Books, club: Club) -> None:
    async with database.transaction() as conn:
        others = await open_books(conn, club="Hill Town SC", email="kim@example.com")
        assert (await family_of_address(conn, club.id, "PAT@example.com")).parent_id == books.parent_id
        with pytest.raises(NotFoundError):
            await family_of_address(conn, club.id, "kim@example.com")
        with pytest.raises(NotFoundError):
            await family_of_player(conn, club.id, others.player_id)
    with pytest.raises(NotFoundError):
        await hold(database, club, others.parent_id)
    with pytest.raises(NotFoundError):
        await lift(database, club, others.parent_id)
