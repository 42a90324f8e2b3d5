"""The background queue's own tables (procrastinate 3.10), pinned here so that history never changes."""

from pathlib import Path

from migrations.verbatim import run_verbatim

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).parent.parent / "sql" / "procrastinate_3_10.sql"

DROP = """
do $$
declare name text;
begin
    for name in select format('table %I', relname) from pg_class
        where relname like 'procrastinate\\_%' and relkind = 'r'
            and relnamespace = current_schema()::regnamespace
    loop execute 'drop ' || name || ' cascade'; end loop;
    for name in select format('function %s', oid::regprocedure) from pg_proc
        where proname like 'procrastinate\\_%' and pronamespace = current_schema()::regnamespace
    loop execute 'drop ' || name || ' cascade'; end loop;
    for name in select format('type %I', typname) from pg_type
        where typname like 'procrastinate\\_%' and typtype in ('e', 'c')
            and typnamespace = current_schema()::regnamespace
    loop execute 'drop ' || name || ' cascade'; end loop;
end $$;
"""


def upgrade() -> None:
    run_verbatim(SCHEMA.read_text(encoding="utf-8"))


def downgrade() -> None:
    run_verbatim(DROP)
