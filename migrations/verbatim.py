"""SQL that the driver must not read placeholders into."""

from alembic import op


def run_verbatim(sql: str) -> None:
    """Run a script as it stands: percent signs and colons in it are PostgreSQL's, not placeholders."""
    cursor = op.get_bind().connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()
