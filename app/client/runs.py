"""What was trained, as pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflows.registry.deletion import delete_run
from workflows.store.run_list import RunBrief, count_runs, curves, newest_ids, newest_runs
from workflows.store.store import RunRecord, Store

__all__ = ["RunBrief", "Runs"]


class Runs:
    """Reads the records of runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ids(self, states: Sequence[str] = (), besides: str | None = None, limit: int = 200) -> list[str]:
        """Return the ids of the newest runs, newest first.

        Args:
            states: only runs in these states; all if empty.
            besides: a run that is listed too, however old it is, if it exists.
            limit: how many at most.
        """
        return newest_ids(self._store.database, limit, states, besides)

    def get(self, run_id: str) -> RunRecord:
        """Return all that is recorded about a run. Raises RunError."""
        return self._store.runs.get(run_id)

    def newest(
        self,
        limit: int = 20,
        states: Sequence[str] = (),
        *,
        dataset: str | None = None,
        text: str = "",
        skip: int = 0,
    ) -> list[RunBrief]:
        """Return the newest runs as lines of a list, newest first.

        Args:
            limit: how many at most.
            states: only runs in these states; all if empty.
            dataset: only runs on this data set.
            text: only runs whose id holds this, in any case.
            skip: how many to leave out, for pages.
        """
        return newest_runs(self._store.database, limit, states, dataset=dataset, text=text, skip=skip)

    def counts(self, *, dataset: str | None = None, text: str = "") -> dict[str, int]:
        """Return how many runs are in each state, narrowed as in `newest`."""
        return count_runs(self._store.database, dataset=dataset, text=text)

    def curves(self, run_ids: Sequence[str], name: str = "val/top1") -> dict[str, list[float]]:
        """Return the course of a metric over the evaluation steps of each run."""
        return curves(self._store.database, run_ids, name)

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a file that a finished run left for people, e.g. `report`; None if it is not there. Raises RunError."""
        found = ((self.get(run_id).result or {}).get("artifacts") or {}).get(name)
        if not found:
            return None
        # by its place in the run's folder: the state folder may have been moved since
        parts = Path(found).parts
        inside = parts[parts.index(run_id) + 1 :] if run_id in parts else parts[-1:]
        path = self._store.run_folder(run_id).joinpath(*inside)
        return path if path.is_file() else None

    def delete(self, run_id: str) -> None:
        """Delete a run with its files. Raises RunError (not ended), ModelError (a model uses it) or StorageError."""
        delete_run(self._store, run_id)
