"""Schedules say what happens to missed and overlapping firings; every firing leaves a line."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("schedules", sa.Column("overlap", sa.String(16), nullable=False, server_default="skip"))
    op.add_column("schedules", sa.Column("missed", sa.String(16), nullable=False, server_default="run-once"))
    op.add_column("schedules", sa.Column("timezone", sa.String(64), nullable=False, server_default="UTC"))
    op.add_column("schedules", sa.Column("next_at", _TIME))
    op.create_table(
        "firings",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("schedule_id", sa.String(40), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("cause", sa.String(120), nullable=False),
        sa.Column("trigger", sa.String(120), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("decision_id", sa.String(120), nullable=False),
        sa.Column("flow_run_id", sa.String(64)),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("process", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("planned_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_firings"),
        sa.UniqueConstraint("schedule_id", "cause", name="uq_firings_schedule_id"),
    )
    op.create_index("ix_firings_state", "firings", ["state"])


def downgrade() -> None:
    """Remove them; only for development."""
    op.drop_table("firings")
    with op.batch_alter_table("schedules") as schedules:
        for column in ("overlap", "missed", "timezone", "next_at"):
            schedules.drop_column(column)
