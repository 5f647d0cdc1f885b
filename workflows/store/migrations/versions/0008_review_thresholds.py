"""Review thresholds are saved with the classifiers that they are of."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "review_thresholds",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String(80), nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("wanted", sa.Float),
        sa.Column("chosen_on", sa.String(16), nullable=False),
        sa.Column("judged", sa.JSON, nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_review_thresholds"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_review_thresholds_run_id"),
    )
    op.create_index("ix_review_thresholds_run_id", "review_thresholds", ["run_id"])


def downgrade() -> None:
    """Remove it; only for development."""
    op.drop_table("review_thresholds")
