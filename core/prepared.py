"""Statements that somebody waits for, without SQLAlchemy's way to the driver.

SQLAlchemy composes them, once; the driver sends them. What SQLAlchemy does in between for each execution takes
longer than PostgreSQL takes to find a family by its key.
"""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncRawCursor
from sqlalchemy import Select, TextualSelect
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import driver_of


class Prepared:
    """A statement with its named values, to be executed in `Database.looking_up`."""

    def __init__(self, statement: Select[Any] | TextualSelect) -> None:
        # Its names are the statement's; what has none gets a number.
        self._row = _row_type(statement.selected_columns.keys())
        # Values have positions: the driver takes the names of a long statement apart each time.
        dialect = psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        missing = (name for name, bind in compiled.binds.items() if bind.required)
        expanded = compiled.construct_expanded_state(dict.fromkeys(missing))
        self._sql = expanded.statement
        self._names = expanded.positiontup or []
        self._fixed = dict(expanded.parameters)

    async def rows(self, conn: AsyncConnection, **values: object) -> list[Any]:
        """Return the rows, with the statement's column names.

        Raises:
            OperationalError: PostgreSQL refused or is away.
        """
        given = self._fixed | values
        async with driver_of(conn) as driver, AsyncRawCursor(driver) as cursor:
            _announce(conn, cursor, self._sql)
            await cursor.execute(self._sql, [given[name] for name in self._names], prepare=True)
            return [self._row(*row) for row in await cursor.fetchall()]


def _announce(conn: AsyncConnection, cursor: object, sql: str) -> None:
    """Tell whoever counts or times the statements that go through SQLAlchemy."""
    if conn.sync_connection is not None:
        for listener in conn.sync_connection.dispatch.before_cursor_execute:
            listener(conn.sync_connection, cursor, sql, (), None, executemany=False)


def _row_type(names: Sequence[str]) -> Any:  # noqa: ANN401 - a class whose fields are known when it is made
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - the same
