"""Statements whose rows somebody waits for, or that have very many, without SQLAlchemy's way to the driver.

SQLAlchemy composes them, the driver sends them. What SQLAlchemy does in between takes longer than PostgreSQL takes
to find a family by its key and, for each row, as long as reading it.
"""

from collections import namedtuple
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import AsyncRawCursor, AsyncRawServerCursor
from sqlalchemy import Connection, Select, TextualSelect, column, text
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import as_sqlalchemys, driver_of


class Prepared:
    """A statement with its named values; `Database.looking_up` has it planned once for all of them."""

    def __init__(self, statement: Select[Any] | TextualSelect) -> None:
        # Its names are the statement's; what has none gets a number.
        self._row = _row_type(statement.selected_columns.keys())
        self._sql, self._names, self._fixed = _compiled(statement)

    async def rows(self, conn: AsyncConnection, **values: object) -> list[Any]:
        """Return the rows, with the statement's column names.

        Raises:
            OperationalError: PostgreSQL refused or is away.
        """
        given = self._fixed | values
        ordered = [given[name] for name in self._names]
        try:
            cursor = AsyncRawCursor(driver_of(conn))
            await _executed(conn, cursor, self._sql, cursor.execute(self._sql, ordered, prepare=True))
            return [self._row(*row) for row in await cursor.fetchall()]
        except psycopg.Error as error:
            raise await as_sqlalchemys(conn, error) from error


def prepared(sql: str, *columns: str) -> Prepared:
    """Return a statement that is written out, whose columns have these names."""
    return Prepared(text(sql).columns(*(column(name) for name in columns)))


async def stream_rows(
    conn: AsyncConnection, statement: Select[Any], *, at_once: int = 1000
) -> AsyncGenerator[Sequence[tuple[Any, ...]]]:
    """Yield a statement's rows so many at a time, as they come, within a transaction; to be closed by its caller.

    Raises:
        OperationalError: PostgreSQL refused or is away.
    """
    sql, names, values = _compiled(statement)
    ordered = [values[name] for name in names]
    try:
        async with AsyncRawServerCursor(driver_of(conn), "streamed") as cursor:
            await _executed(conn, cursor, sql, cursor.execute(sql, ordered))
            while rows := await cursor.fetchmany(at_once):
                yield rows
    except psycopg.Error as error:
        raise await as_sqlalchemys(conn, error) from error


def _compiled(statement: Select[Any] | TextualSelect) -> tuple[str, Sequence[str], dict[str, Any]]:
    """Return the SQL, the names of its values in their order, and those that it has already."""
    # By position: the driver takes the names of a long statement apart each time.
    dialect = psycopg_dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiled = statement.compile(dialect=dialect)
    missing = (name for name, bind in compiled.binds.items() if bind.required)
    expanded = compiled.construct_expanded_state(dict.fromkeys(missing))
    return expanded.statement, expanded.positiontup or [], dict(expanded.parameters)


async def _executed(conn: AsyncConnection, cursor: object, sql: str, execution: Awaitable[object]) -> None:
    """Wait for a statement; whoever listens to SQLAlchemy's events (counts statements, say) hears of it."""
    events = conn.sync_connection.dispatch if conn.sync_connection is not None else None
    if events and events.before_cursor_execute:
        await conn.run_sync(_tell, events.before_cursor_execute, cursor, sql)
    await execution
    if events and events.after_cursor_execute:
        await conn.run_sync(_tell, events.after_cursor_execute, cursor, sql)


def _tell(connection: Connection, listeners: Iterable[Callable[..., object]], cursor: object, sql: str) -> None:
    for listener in listeners:
        listener(connection, cursor, sql, (), None, False)  # noqa: FBT003 - as SQLAlchemy calls them


def _row_type(names: Sequence[str]) -> Any:  # noqa: ANN401 - a class whose fields are known when it is made
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - the same
