"""How Alembic runs: one connection, under an advisory lock, with timeouts."""

import time
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, text

from core.models import Base
from migrations.names import include_name

# Any constant will do, as long as nobody else's lock has it.
LOCK = 5_150_402
TURN_SECONDS = 0.2
TIMEOUTS = ("set lock_timeout = '10s'", "set statement_timeout = '10min'")


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        compare_server_default=True,
        # Locks are held for as short as one migration takes.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _take_turn(connection: Connection) -> None:
    """Wait for the lock. Two machines starting at once: the second then finds nothing left to do.

    It is asked for again and again: who waits inside PostgreSQL is itself waited for by CREATE INDEX CONCURRENTLY.
    """
    while not connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        connection.commit()
        time.sleep(TURN_SECONDS)
    connection.commit()


def _run_online() -> None:
    attributes: dict[str, Any] = context.config.attributes
    engine = create_engine(attributes["url"])
    try:
        with engine.connect() as connection:
            _take_turn(connection)
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
