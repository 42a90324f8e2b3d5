"""Compares the models with what the migrations make: run by `make check`, exits 1 where they differ."""

import shutil
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from core.embedded_postgres import start_embedded, stop_embedded
from core.models import Base
from core.schema_version import migrate
from migrations.names import include_name


def main() -> int:
    """Migrate an empty database and compare."""
    folder = Path(tempfile.mkdtemp(prefix="sideline-schema-"))
    url = make_url(start_embedded(folder)).set(drivername="postgresql+psycopg")
    migrate(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"include_name": include_name, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()
    stop_embedded(folder)
    shutil.rmtree(folder, ignore_errors=True)
    for difference in differences:
        print(f"models and migrations differ: {difference}")
    print("Schema: models and migrations agree." if not differences else "Add a migration.")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
