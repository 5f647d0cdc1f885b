"""The SQL tables: the small index of everything. Changes need a migration beside this file."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; SQLite itself knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a time without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

datasets = Table(
    "datasets",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("source", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(80), ForeignKey("datasets.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("images", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("listing", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_split", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("author", String(120), nullable=False, server_default=""),
    Column("action", String(32), nullable=False, server_default="import"),
    Column("parent", Integer),
    UniqueConstraint("dataset", "number"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("dataset", String(80), ForeignKey("datasets.name"), primary_key=True),
    Column("image_id", String(32), primary_key=True),
    Column("note", Text, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(80), primary_key=True),
    Column("kind", String(16), nullable=False, server_default="train", index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("dataset", String(80)),
    Column("version", Integer),
    Column("goal", String(16)),
    Column("device", String(80)),
    Column("request", JSON, nullable=False),
    Column("workflow", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    Column("pid", Integer),
    Column("host", String(255)),
    Column("flow_run_id", String(64)),
)

metrics = Table(
    "metrics",
    metadata,
    Column("run_id", String(80), ForeignKey("runs.run_id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("value", Float),  # null where the value is not a number
    Column("time", UtcDateTime, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(80), ForeignKey("models.name"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("run_id", String(80), ForeignKey("runs.run_id"), nullable=False),
    Column("dataset", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("card", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("author", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("model", "run_id"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", String(80), ForeignKey("models.name"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("action", String(16), nullable=False),
    Column("author", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision_id", String(80)),
    Column("created_at", UtcDateTime, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(80), primary_key=True),
    Column("model", String(80), ForeignKey("models.name"), nullable=False, index=True),
    Column("trigger", String(120), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("champion", Integer),
    Column("challenger", Integer),
    Column("challenger_run", String(80)),
    Column("document", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model", String(80), ForeignKey("models.name"), nullable=False),
    Column("cron", String(120)),
    Column("every_seconds", Integer),
    Column("on_new_images", Integer),
    Column("settings", JSON, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("deployment_id", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_fired_at", UtcDateTime),
    Column("last_outcome", Text),
    Column("overlap", String(16), nullable=False, server_default="skip"),
    Column("missed", String(16), nullable=False, server_default="run-once"),
    Column("timezone", String(64), nullable=False, server_default="UTC"),
    Column("next_at", UtcDateTime),
)

firings = Table(
    "firings",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("schedule_id", String(40), nullable=False),  # no foreign key: the log outlives the schedule
    Column("model", String(80), nullable=False),
    Column("cause", String(120), nullable=False),
    Column("trigger", String(120), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("note", Text, nullable=False),
    Column("decision_id", String(120), nullable=False),
    Column("flow_run_id", String(64)),
    Column("settled", Boolean, nullable=False),
    Column("process", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    UniqueConstraint("schedule_id", "cause"),
)

watched_folders = Table(
    "watched_folders",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("dataset", String(80), nullable=False),
    Column("folder", Text, nullable=False),
    Column("labels", Text),
    Column("unlabelled", Boolean, nullable=False),
    Column("every_seconds", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime),
    Column("last_report", JSON(none_as_null=True)),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_status", Text),
)
