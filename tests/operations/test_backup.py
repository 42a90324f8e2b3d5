"""A backup that was never restored is none: dumped while it is used, restored, compared to the cent."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from core.database import Database, libpq_url
from core.errors import SettingsError
from core.models import Payment
from scripts import backup_drill
from tests.books import add, open_books


@pytest.fixture
def empty(postgres: tuple[URL, Engine], database_url: URL) -> Iterator[URL]:
    url, admin = postgres
    name = f"{database_url.database}_restored"
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    yield url.set(database=name)
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture(autouse=True)
def _has_programs(postgres: tuple[URL, Engine]) -> None:
    with postgres[1].connect() as connection:
        server = int(str(connection.scalar(text("show server_version_num")))) // 10000
    try:
        backup_drill._program("pg_dump", server, None)
    except SettingsError as error:
        pytest.skip(str(error))


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction() as conn:
        books = await open_books(conn)
        await add(conn, Payment, order_id=books.order_id, amount_cents=9000, method="cash", recorded_by="U0ADMIN")
    return database


async def test_what_is_restored_is_what_was_there(
    filled: Database, empty: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup_drill.drill(libpq_url(filled.url), libpq_url(empty)) == []
    shown = capsys.readouterr().out
    assert "cash 9000" in shown
    assert "pending 15000" in shown
    restored = Database(empty)
    await restored.check_schema()
    async with restored.transaction() as conn:
        assert await conn.scalar(text("select count(*) from pg_policies")) > 0
    await restored.close()


def test_a_payment_that_is_missing_is_noticed(filled: Database) -> None:
    with psycopg.connect(libpq_url(filled.url)) as connection:
        before = backup_drill.figures(connection)
        connection.execute("delete from payments")
        after = backup_drill.figures(connection)
    assert backup_drill.compare(before, after) == [
        "payments: 1 became 0",
        "payments, cents by method: cash 9000 became ",
    ]


async def test_a_database_with_something_in_it_is_left_alone(filled: Database) -> None:
    with pytest.raises(SettingsError, match="should be an empty database"):
        backup_drill.drill(libpq_url(filled.url), libpq_url(filled.url))
