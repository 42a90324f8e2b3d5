"""The check of migrations: what would stop a busy club is refused, what wouldn't is let through."""

import shutil
from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy import URL

import migrations
from core.schema_version import alembic_config, head_revision
from scripts.check_migrations import check

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None

def upgrade():
{upgrade}
"""

NEW_TABLE = """
op.create_table("notes", sa.Column("id", sa.BigInteger(), primary_key=True))
op.create_index("ix_notes_id", "notes", ["id"])
"""
CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("ix_orders_paid_at", "orders", ["paid_at"], postgresql_concurrently=True)
"""


def written(url: URL, folder: Path, upgrade: str) -> Config:
    """Return the configuration of this project's migrations with one more."""
    copied = folder / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    indented = "\n".join(f"    {line}" for line in upgrade.strip().splitlines())
    migration = MIGRATION.format(head=head_revision(), upgrade=indented)
    (copied / "versions" / "9999_next.py").write_text(migration)
    config = alembic_config(url)
    config.set_main_option("script_location", str(copied))
    return config


@pytest.mark.parametrize(
    ("upgrade", "rule"),
    [
        ('op.create_index("ix_orders_paid_at", "orders", ["paid_at"])', "require-concurrent-index-creation"),
        ('op.add_column("orders", sa.Column("note", sa.Text(), nullable=False))', "adding-required-field"),
        ('op.alter_column("orders", "amount_cents", type_=sa.Numeric())', "changing-column-type"),
        ('op.create_check_constraint("few", "orders", "amount_cents < 9")', "constraint-missing-not-valid"),
        ('op.alter_column("orders", "description", new_column_name="words")', "renaming-column"),
        ('op.drop_column("orders", "paid_at")', "ban-drop-column"),
        ('op.execute("create index ix_x on orders (paid_at)")', "require-concurrent-index-creation"),
    ],
)
def test_what_would_stop_a_club_is_refused(database_url: URL, tmp_path: Path, upgrade: str, rule: str) -> None:
    findings = check(written(database_url, tmp_path, upgrade), after=head_revision())
    assert any(finding.startswith(f"migration 9999: {rule}: ") for finding in findings), findings


@pytest.mark.parametrize(
    "upgrade",
    [
        'op.add_column("orders", sa.Column("note", sa.Text(), nullable=True))',
        'op.add_column("orders", sa.Column("note", sa.Text(), server_default="", nullable=False))',
        NEW_TABLE,
        CONCURRENTLY,
        'op.create_check_constraint("few", "orders", "amount_cents < 900000000", postgresql_not_valid=True)',
    ],
)
def test_what_would_not_is_let_through(database_url: URL, tmp_path: Path, upgrade: str) -> None:
    assert check(written(database_url, tmp_path, upgrade), after=head_revision()) == []
