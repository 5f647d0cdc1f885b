"""A watched folder's label file may have columns of any name."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = ("filename_column", "label_column")


def upgrade() -> None:
    """Add the columns."""
    for column in _COLUMNS:
        op.add_column("watched_folders", sa.Column(column, sa.Text))


def downgrade() -> None:
    """Remove them; only for development."""
    with op.batch_alter_table("watched_folders") as watched:
        for column in _COLUMNS:
            watched.drop_column(column)
