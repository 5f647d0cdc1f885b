"""Versions know who made them, how and from which; images to look at again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("versions", sa.Column("author", sa.String(120), nullable=False, server_default=""))
    op.add_column("versions", sa.Column("action", sa.String(32), nullable=False, server_default="import"))
    op.add_column("versions", sa.Column("parent", sa.Integer))
    # until now, every version but the first was one import more
    op.execute("UPDATE versions SET action = 'add', parent = number - 1 WHERE number > 1")
    op.execute("UPDATE versions SET action = 'mirror' WHERE number > 1 AND reason LIKE 'mirrored %'")
    op.create_table(
        "reviews",
        sa.Column("dataset", sa.String(80), nullable=False),
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("added_at", _TIME, nullable=False),
        sa.Column("done_at", _TIME),
        sa.PrimaryKeyConstraint("dataset", "image_id", name="pk_reviews"),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.name"], name="fk_reviews_dataset"),
    )


def downgrade() -> None:
    """Remove them; only for development."""
    op.drop_table("reviews")
    with op.batch_alter_table("versions") as versions:
        for column in ("parent", "action", "author"):
            versions.drop_column(column)
