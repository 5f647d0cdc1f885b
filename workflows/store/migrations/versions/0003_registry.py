"""Models and their champions, decisions, schedules, watched folders, and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables of the registry and of what runs by itself."""
    _registry()
    _by_itself()


def _registry() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String(80), nullable=False),
        sa.Column("dataset", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("card", sa.JSON, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("model", "number", name="pk_model_versions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_model_versions_model"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_model_versions_run_id"),
        sa.UniqueConstraint("model", "run_id", name="uq_model_versions_model"),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decision_id", sa.String(80)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_promotions_model"),
    )
    op.create_index("ix_promotions_model", "promotions", ["model"])
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(80), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("trigger", sa.String(120), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("champion", sa.Integer),
        sa.Column("challenger", sa.Integer),
        sa.Column("challenger_run", sa.String(80)),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name="pk_decisions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_decisions_model"),
    )
    op.create_index("ix_decisions_model", "decisions", ["model"])


def _by_itself() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("cron", sa.String(120)),
        sa.Column("every_seconds", sa.Integer),
        sa.Column("on_new_images", sa.Integer),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("deployment_id", sa.String(64)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_fired_at", _TIME),
        sa.Column("last_outcome", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_schedules_model"),
    )
    op.create_table(
        "watched_folders",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("dataset", sa.String(80), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("labels", sa.Text),
        sa.Column("unlabelled", sa.Boolean, nullable=False),
        sa.Column("every_seconds", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME),
        sa.Column("last_report", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_watched_folders"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_status", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )


def downgrade() -> None:
    """Remove them; only for development."""
    for table in ("webhooks", "watched_folders", "schedules", "decisions", "promotions", "model_versions", "models"):
        op.drop_table(table)
