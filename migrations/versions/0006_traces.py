"""What a mail and a notice go back to, and why a job failed in words for people."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (("email_logs", "trace"), ("notices", "trace"), ("job_failures", "words"))


def upgrade() -> None:
    """Add the columns; those before know nothing of it."""
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.Text(), nullable=True))
    # Failed jobs are looked up by the job.
    with op.get_context().autocommit_block():
        op.create_index("ix_job_failures_job_id", "job_failures", ["job_id"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop them again."""
    op.drop_index("ix_job_failures_job_id", "job_failures")
    for table, column in COLUMNS:
        op.drop_column(table, column)
