"""Deleting runs, except those that a model uses."""

from __future__ import annotations

from workflows.errors import ModelError
from workflows.registry.models import runs_in_use
from workflows.store.run_record import RunRecord
from workflows.store.store import Store


def delete_run(store: Store, run: str) -> RunRecord:
    """Delete a run with its files; return its former record.

    Args:
        run: the run, by id, unambiguous id prefix or `latest`.

    Raises:
        RunError: unknown run, or it has not ended.
        ModelError: a model uses it.
        StorageError: the files can't be removed.
    """
    record = store.runs.get(run)
    users = runs_in_use(store).get(record.run_id)
    if users:
        raise ModelError(
            f"Run {record.run_id} can't be deleted: it is {users}.",
            "The runs of a model's versions are needed for a rollback.",
        )
    store.runs.delete(record.run_id)
    return record
