"""The one door to PostgreSQL: opens transactions, starts the embedded server, checks the schema's version."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Literal

import psycopg
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from core.embedded_postgres import start_embedded
from core.errors import SchemaOutdatedError
from core.schema_version import head_revision, is_behind
from core.settings import Settings
from core.tenancy import current_tenant, enter_tenant, scope_statements

PING_AFTER_SECONDS = 1.0
# What a connection was set to when it was last in use: a club, or none, and how PostgreSQL plans.
_SET_TO = "set_to"
Plans = Literal["auto", "force_generic_plan"]
_plans: ContextVar[Plans] = ContextVar("plans", default="auto")


# A machine that is gone answers nothing, not even that it is gone. By default Linux notices after a quarter of an
# hour, and on a connection that only listens after two hours; with these within half a minute (libpq's “Connection
# Strings”; `tcp_user_timeout` is in milliseconds).
_NOTICE_A_LOST_SERVER = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


def database_url(settings: Settings) -> URL:
    """Return the database's URL; where none is set, start the embedded server and return that one's.

    What the setting itself says of the connection holds.
    """
    given = make_url(settings.database_url or start_embedded(settings.sideline_data_dir))
    return given.set(drivername="postgresql+psycopg", query={**_NOTICE_A_LOST_SERVER, **given.query})


class Database:
    """A pool of connections. A unit of work is one connection in one transaction."""

    def __init__(self, url: URL, *, pool_size: int = 20) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=10,
            # The one that was used last: PostgreSQL has prepared there what comes next.
            pool_use_lifo=True,
            # Whoever uses the engine itself opens transactions in words of its own, as `transaction` does.
            isolation_level="AUTOCOMMIT",
            # What a failed statement was given is people's data, and its error ends up in the log.
            hide_parameters=True,
            # Whatever is streamed is read to its end; planned for its first rows, it would take ten times as long.
            connect_args={
                "application_name": "sideline",
                "options": "-c timezone=UTC -c cursor_tuple_fraction=1",
            },
        )
        event.listen(self.engine.sync_engine.pool, "checkin", _note_use)
        event.listen(self.engine.sync_engine.pool, "checkout", _make_ready)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection to look things up with, in a club's scope (`core.tenancy`) that club's rows alone.

        Each statement is on its own, with no transaction around them: what one sees of the others' changes is the
        same, and two round trips are saved.
        """
        async with self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[AsyncConnection]:
        """Give the same for a few rows that somebody waits for: a player, a family's page.

        PostgreSQL plans each of its statements once, and not for every family anew, which takes it four times as
        long as reading the rows. Statements whose best way depends on what they are asked are not for here.
        """
        before = _plans.set("force_generic_plan")
        try:
            connection = await self.engine.connect()
        finally:
            _plans.reset(before)
        try:
            yield connection
        finally:
            # As SQLAlchemy does it: whoever is canceled still gives the connection back.
            await asyncio.shield(connection.close())

    @asynccontextmanager
    async def transaction(
        self, *, keep: bool = True, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Without `keep` it is rolled back in any case: what a dry run or a preview did is only looked at. In a
        club's scope (`core.tenancy`) it sees and writes that club's rows alone. `settings` are PostgreSQL's, and
        hold for this transaction.
        """
        given = "".join(f"; set local {name} = '{value}'" for name, value in (settings or {}).items())
        async with self.engine.begin() as connection:
            await _send(connection, f"begin{given}")
            yield connection
            if not keep:
                await connection.rollback()

    async def check_schema(self) -> None:
        """Make sure that the schema has what this program was written for; a newer one has.

        Raises:
            SchemaOutdatedError: otherwise, saying what to run.
        """
        found = await self._revision()
        if is_behind(found):
            raise SchemaOutdatedError(
                f"The database's schema is at {found or 'nothing yet'}, this version needs {head_revision()}: "
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


async def bind_to_tenant(connection: AsyncConnection, tenant_id: int) -> None:
    """Bind an open transaction to the club that it turned out to be for, and the work around it as well."""
    enter_tenant(tenant_id)
    await _send(connection, scope_statements(tenant_id, until_the_end_of="transaction"))


def driver_of(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """Return the driver's own connection; what it raises is to be raised as `as_sqlalchemys` has it."""
    wrapped = connection.sync_connection
    raw = wrapped.connection.driver_connection if wrapped is not None else None
    if not isinstance(raw, psycopg.AsyncConnection):  # pragma: no cover - an open connection has both
        raise TypeError("the connection is closed")
    return raw


async def as_sqlalchemys(connection: AsyncConnection, error: psycopg.Error) -> OperationalError:
    """Return what SQLAlchemy would raise for the driver's error; a dead connection is not used again."""
    if driver_of(connection).closed:
        await connection.invalidate(error)
    return OperationalError(None, None, error)


async def _send(connection: AsyncConnection, statements: str) -> None:
    """Send statements as they are: the driver would prepare them."""
    try:
        await driver_of(connection).execute(statements, prepare=False)
    except psycopg.Error as error:
        raise await as_sqlalchemys(connection, error) from error


def libpq_url(url: URL) -> str:
    """Return a URL as libpq and psycopg read it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _make_ready(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Set a connection up for the work that it is wanted for, unless its last work was of the same kind.

    That is, bind it to the club whose work this is, or to none, and say how PostgreSQL is to plan. It stays like
    that when it goes back to the pool, so a single club costs no round trip. Every way to a connection leads
    through here.

    Raises:
        DisconnectionError: it is dead; the pool then opens another one.
    """
    _ping_after_rest(connection, record)
    wanted = current_tenant(), _plans.get()
    if record.info.get(_SET_TO) == wanted:
        return
    # Not known, should it fail half way.
    record.info[_SET_TO] = None
    tenant_id, plans = wanted
    scope = scope_statements(tenant_id, until_the_end_of="session")
    _run(connection, f"set plan_cache_mode = {plans}; {scope}")
    record.info[_SET_TO] = wanted


def _ping_after_rest(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """See whether a connection that rested still lives, so that a restarted server costs nobody an error.

    One that was used a moment ago is not asked: under load that would be one round trip more for each request.

    Raises:
        DisconnectionError: it is dead; the pool then opens another one.
    """
    rested = time.monotonic() - record.info.get("used_at", time.monotonic())
    if rested < PING_AFTER_SECONDS:
        return
    _run(connection, "select 1")


def _run(connection: DBAPIConnection, statements: str) -> None:
    try:
        cursor = connection.cursor()
        cursor.execute(statements)
        cursor.close()
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error
