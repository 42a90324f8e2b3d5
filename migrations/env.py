"""How Alembic runs: one connection, under an advisory lock, with timeouts."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, text

from core.models import Base
from migrations.names import include_name

# Any constant will do, as long as nobody else's lock has it.
LOCK = 5_150_402
TIMEOUTS = ("set lock_timeout = '10s'", "set statement_timeout = '10min'")


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_online() -> None:
    attributes: dict[str, Any] = context.config.attributes
    engine = create_engine(attributes["url"])
    try:
        with engine.connect() as connection:
            # Two machines starting at once: the second waits, then finds nothing left to do.
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
            for statement in TIMEOUTS:
                connection.execute(text(statement))
            connection.commit()
            try:
                _run(connection)
            finally:
                connection.rollback()
                connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})
    finally:
        engine.dispose()


_run_online()
