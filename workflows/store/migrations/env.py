"""Alembic's entry: run on the connection that the store hands over."""

from alembic import context

from workflows.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter most columns in place
)
with context.begin_transaction():
    context.run_migrations()
