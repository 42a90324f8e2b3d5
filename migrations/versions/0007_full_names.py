"""Who is called exactly so is found by one key, however large the club."""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEX, TABLE = "ix_player_search_tenant_id_full_name", "player_search"


def upgrade() -> None:
    """Add the index. What it holds has one length, however long a name is."""
    full_name = text("hashtextextended(cast(document as text), 0)")
    with op.get_context().autocommit_block():
        op.create_index(INDEX, TABLE, ["tenant_id", full_name], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop it again."""
    op.drop_index(INDEX, TABLE)
