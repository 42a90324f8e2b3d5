"""The one door to PostgreSQL: opens transactions, starts the embedded server, checks the schema's version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.embedded_postgres import start_embedded
from core.errors import SchemaOutdatedError
from core.schema_version import head_revision
from core.settings import Settings


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
            # A restarted server must not cost the first request after it an error.
            pool_pre_ping=True,
            connect_args={"application_name": "sideline", "options": "-c timezone=UTC"},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed when the block ends, rolled back when it raises."""
        async with self.engine.begin() as connection:
            yield connection

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
