"""Look-ups on connections that plan once, and statements that go to the driver as they are."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import psycopg
import pytest
from sqlalchemy import Integer, bindparam, column, func, literal_column, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database, libpq_url
from core.prepared import Prepared, stream_rows
from core.tenancy import tenant_scope

SUM = Prepared(
    select((bindparam("a", type_=Integer) + bindparam("b", type_=Integer)).label("total")).where(
        literal_column("1").in_([1, 2])
    )
)
NUMBERS = select(func.generate_series(1, 2500))


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    """One connection, so that each of its users gets what the one before it left."""
    database = Database(database_url, pool_size=1)
    yield database
    await database.close()


async def of_session(conn: AsyncConnection) -> tuple[str, str, str]:
    row = await conn.execute(
        text("select pg_backend_pid()::text, current_setting('plan_cache_mode'), current_user")
    )
    pid, plans, user = row.one()
    return pid, plans, user


async def test_only_lookups_plan_once_and_a_connection_is_set_up_anew_for_each_kind_of_work(
    database: Database,
) -> None:
    seen = []
    for scope in (None, 1):
        with tenant_scope(scope):
            async with database.looking_up() as conn:
                seen.append(await of_session(conn))
            async with database.transaction() as conn:
                seen.append(await of_session(conn))
    assert len({pid for pid, _, _ in seen}) == 1
    assert [plans for _, plans, _ in seen] == ["force_generic_plan", "auto"] * 2
    assert [user == "sideline_tenant" for _, _, user in seen] == [False, False, True, True]


async def test_what_is_opened_meanwhile_is_no_lookup(database: Database) -> None:
    async with database.looking_up(), database.reading() as other:
        assert (await of_session(other))[1] == "auto"


async def test_a_prepared_statement_has_its_names_and_takes_values_of_any_size(database: Database) -> None:
    async with database.looking_up() as conn:
        for a in (1, 40_000, 2_000_000_000):
            (row,) = await SUM.rows(conn, a=a, b=2)
            assert row.total == a + 2


async def test_what_the_driver_raises_is_what_sqlalchemy_raises_and_the_next_gets_a_living_connection(
    database: Database, database_url: URL
) -> None:
    broken = Prepared(text("select 1 / cast(:n as integer) as n").columns(column("n", Integer)))
    async with database.looking_up() as conn:
        with pytest.raises(OperationalError):
            await broken.rows(conn, n=0)
        assert (await broken.rows(conn, n=1))[0].n == 1
    async with database.looking_up() as conn:
        pid = (await of_session(conn))[0]
        with psycopg.connect(libpq_url(database_url), autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [int(pid)])
        with pytest.raises(OperationalError):
            await SUM.rows(conn, a=1, b=1)
    async with database.looking_up() as conn:
        assert (await SUM.rows(conn, a=1, b=1))[0].total == 2


async def test_a_stream_comes_in_pages_and_ends_where_its_reader_stops(database: Database) -> None:
    async with database.transaction() as conn:
        assert [len(rows) async for rows in stream_rows(conn, NUMBERS)] == [1000, 1000, 500]
        async with aclosing(stream_rows(conn, NUMBERS, at_once=10)) as pages:
            assert await anext(pages) == [(number,) for number in range(1, 11)]
        assert await conn.scalar(text("select count(*) from pg_cursors")) == 0
