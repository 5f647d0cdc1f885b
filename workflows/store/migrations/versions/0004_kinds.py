"""Runs have a kind: trainings that somebody asked for, and trials of a tuning."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there was asked for."""
    op.add_column("runs", sa.Column("kind", sa.String(16), nullable=False, server_default="train"))
    op.create_index("ix_runs_kind", "runs", ["kind"])


def downgrade() -> None:
    """Remove it; only for development."""
    with op.batch_alter_table("runs") as runs:
        runs.drop_index("ix_runs_kind")
        runs.drop_column("kind")
