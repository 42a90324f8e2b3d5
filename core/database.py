"""The one door to PostgreSQL: opens transactions, starts the embedded server, checks the schema's version."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from core.embedded_postgres import start_embedded
from core.errors import SchemaOutdatedError
from core.schema_version import head_revision
from core.settings import Settings

PING_AFTER_SECONDS = 1.0


def database_url(settings: Settings) -> URL:
    """Return the database's URL; where none is set, start the embedded server and return that one's."""
    given = settings.database_url or start_embedded(settings.sideline_data_dir)
    return make_url(given).set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections. A unit of work is one connection in one transaction."""

    def __init__(self, url: URL, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=10,
            connect_args={"application_name": "sideline", "options": "-c timezone=UTC"},
        )
        event.listen(self.engine.sync_engine.pool, "checkin", _note_use)
        event.listen(self.engine.sync_engine.pool, "checkout", _ping_after_rest)
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection to look things up with: each statement on its own, with no transaction around them.

        What one statement sees of the others' changes is the same as in a transaction here, and the two round
        trips of opening and closing one are saved.
        """
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, keep: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Without `keep` it is rolled back in any case: what a dry run or a preview did is only looked at.
        """
        async with self.engine.begin() as connection:
            yield connection
            if not keep:
                await connection.rollback()

    async def check_schema(self) -> None:
        """Make sure that the schema is the one this program was written for.

        Raises:
            SchemaOutdatedError: otherwise, saying what to run.
        """
        found = await self._revision()
        expected = head_revision()
        if found != expected:
            raise SchemaOutdatedError(
                f"The database's schema is at {found or 'nothing yet'}, this version needs {expected}: "
                "run `sideline migrate` first"
            )

    async def _revision(self) -> str | None:
        async with self.engine.connect() as connection:
            if await connection.scalar(text("select to_regclass('alembic_version')")) is None:
                return None
            version: str | None = await connection.scalar(text("select version_num from alembic_version"))
            return version

    async def is_reachable(self) -> bool:
        """Say whether the server answers."""
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("select 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Give the connections back."""
        await self.engine.dispose()


def libpq_url(url: URL) -> str:
    """Return a URL as libpq and psycopg read it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_after_rest(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """See whether a connection that rested still lives, so that a restarted server costs nobody an error.

    One that was used a moment ago is not asked: under load that would be one round trip more for each request.

    Raises:
        DisconnectionError: it is dead; the pool then opens another one.
    """
    rested = time.monotonic() - record.info.get("used_at", time.monotonic())
    if rested < PING_AFTER_SECONDS:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("select 1")
        cursor.close()
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error
