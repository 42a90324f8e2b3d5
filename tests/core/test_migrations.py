import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine

from core.database import Database
from core.errors import SchemaOutdatedError
from core.schema_version import alembic_config, head_revision, migrate

LEFT_BY_OTHERS = text("""
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S')
    union all select proname from pg_proc where pronamespace = 'public'::regnamespace
    union all select typname from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e'
""")


def contents(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(LEFT_BY_OTHERS))


def test_every_migration_goes_down_and_up_again(database_url: URL) -> None:
    engine = create_engine(database_url)
    before = contents(engine)
    revisions = [s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    for _ in revisions:
        migrate(database_url, "-1")
    assert contents(engine) == {"alembic_version"}
    for revision in reversed(revisions):
        migrate(database_url, revision)
    assert contents(engine) == before
    engine.dispose()


async def test_an_older_schema_is_refused_with_what_to_run(database_url: URL, database: Database) -> None:
    await database.check_schema()
    migrate(database_url, "-1")
    with pytest.raises(SchemaOutdatedError, match="sideline migrate"):
        await database.check_schema()
    assert head_revision() not in (await database._revision() or "")
