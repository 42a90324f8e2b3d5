"""One real PostgreSQL for the whole run; each test gets a database of its own, copied from a template."""

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine, make_url

from core.database import Database
from core.embedded_postgres import start_embedded, stop_embedded
from core.schema_version import migrate

_numbers = itertools.count(1)
ROOM_NEEDED = 4 * 1024**3


def _in_memory() -> str | None:
    """Return a folder that is kept in memory, where one has room: copying databases is most of the wait."""
    folder = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    has_room = folder.is_dir() and shutil.disk_usage(folder).free > ROOM_NEEDED
    return str(folder) if has_room else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[tuple[URL, Engine]]:
    # Not in pytest's own folder: as root the server runs as another user, and pytest keeps that folder to itself.
    data_dir = Path(tempfile.mkdtemp(prefix="sideline-tests-", dir=_in_memory()))
    url = make_url(start_embedded(data_dir)).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        # Durability is not what these tests are about, and the disk is what they would wait for.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(text(f"alter system set {setting}"))
        connection.execute(text("select pg_reload_conf()"))
        connection.execute(text("create database template_sideline"))
    migrate(url.set(database="template_sideline"))
    yield url, admin
    admin.dispose()
    stop_embedded(data_dir)
    shutil.rmtree(data_dir)


@pytest.fixture
def database_url(postgres: tuple[URL, Engine]) -> Iterator[URL]:
    url, admin = postgres
    name = f"test_{next(_numbers)}"
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template template_sideline strategy file_copy"))
    yield url.set(database=name)
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()
