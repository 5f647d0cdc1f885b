"""Labels that somebody found right are recorded, so that they are not suspected again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "confirmed_labels",
        sa.Column("dataset", sa.String(80), nullable=False),
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "image_id", name="pk_confirmed_labels"),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.name"], name="fk_confirmed_labels_dataset"),
    )


def downgrade() -> None:
    """Remove it; only for development."""
    op.drop_table("confirmed_labels")
