"""Deleting runs, except those that somebody relies on."""

from __future__ import annotations

from workflows.errors import ModelError
from workflows.registry.models import runs_in_use
from workflows.store.runs import RunRecord
from workflows.store.store import Store


def delete_run(store: Store, run: str) -> RunRecord:
    """Delete a run with its files; return what its record was.

    Args:
        run: the run, by id, unambiguous beginning or `latest`.

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
            "A model's versions keep their runs, so that it can always be rolled back.",
        )
    store.runs.delete(record.run_id)
    return record
