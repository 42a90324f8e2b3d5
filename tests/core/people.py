"""Clubs and players for tests, and a count of the statements that something costs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection

ADD_PLAYERS = text(
    """
    insert into players (tenant_id, parent_id, first_name, last_name)
    select :tenant_id, :parent_id, first_name, last_name
    from unnest(cast(:first_names as text[]), cast(:last_names as text[])) as names (first_name, last_name)
    returning id
    """
)


async def add_club(conn: AsyncConnection, name: str = "Riverside") -> int:
    added = await conn.scalar(text("insert into tenants (name) values (:name) returning id"), {"name": name})
    return int(added)


async def add_players(conn: AsyncConnection, tenant_id: int, *names: tuple[str, str]) -> list[int]:
    """Add players, each batch under a family of its own, in one statement as an import does."""
    parent_id = await conn.scalar(
        text("insert into parents (tenant_id, first_name, last_name) values (:id, 'Dana', 'Reed') returning id"),
        {"id": tenant_id},
    )
    values = {
        "tenant_id": tenant_id,
        "parent_id": parent_id,
        "first_names": [first for first, _ in names],
        "last_names": [last for _, last in names],
    }
    return list((await conn.execute(ADD_PLAYERS, values)).scalars())


@contextmanager
def counted(conn: AsyncConnection) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_conn: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(conn.sync_connection, "before_cursor_execute", note)
    yield statements
    event.remove(conn.sync_connection, "before_cursor_execute", note)
