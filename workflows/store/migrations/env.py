"""Alembic's entry: run on the connection that the store hands over."""

from alembic import context

from workflows.store import store  # noqa: F401 - declares all tables
from workflows.store.tables import Record

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Record.metadata,
    render_as_batch=True,  # SQLite can't alter most columns in place
)
with context.begin_transaction():
    context.run_migrations()
