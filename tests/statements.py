"""Counting the statements that a piece of work costs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from core.database import Database


class Statements(list[str]):
    """The SQL that ran."""


@contextmanager
def counted(database: Database) -> Iterator[Statements]:
    seen = Statements()

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
