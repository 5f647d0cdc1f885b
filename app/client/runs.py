"""Runs, as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflows.registry.deletion import delete_run
from workflows.state import State
from workflows.store.run_list import RunBrief, count_runs, curves, newest_ids, newest_runs
from workflows.store.store import RunRecord, Store
from workflows.targets.metrics import TOP1

__all__ = ["RunBrief", "Runs"]


class Runs:
    """Reads the records of runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ids(self, states: Sequence[State] = (), besides: str | None = None, limit: int = 200) -> list[str]:
        """Return the ids of the newest runs, newest first.

        Args:
            states: only runs in these states; all if empty.
            besides: a run that is always included if it exists, however old.
            limit: how many at most.
        """
        return newest_ids(self._store.database, limit, states, besides)

    def get(self, run_id: str) -> RunRecord:
        """Return the record of a run. Raises RunError."""
        return self._store.runs.get(run_id)

    def newest(
        self,
        limit: int = 20,
        states: Sequence[State] = (),
        *,
        dataset: str | None = None,
        text: str = "",
        tags: Sequence[str] = (),
        starred: bool = False,
        skip: int = 0,
    ) -> list[RunBrief]:
        """Return the newest runs as lines of a list, newest first.

        Args:
            limit: how many at most.
            states: only runs in these states; all if empty.
            dataset: only runs on this data set.
            text: only runs whose id, title, note or tags contain this, in any case.
            tags: only runs with all these tags.
            starred: only runs with a star.
            skip: how many to skip, for paging.
        """
        return newest_runs(
            self._store.database, limit, states, dataset=dataset, text=text, tags=tags, starred=starred, skip=skip
        )

    def counts(
        self, *, dataset: str | None = None, text: str = "", tags: Sequence[str] = (), starred: bool = False
    ) -> dict[State, int]:
        """Return how many runs are in each state, narrowed as in `newest`."""
        return count_runs(self._store.database, dataset=dataset, text=text, tags=tags, starred=starred)

    def curves(self, run_ids: Sequence[str], name: str = TOP1.on("val")) -> dict[str, list[float]]:
        """Return a metric over the epochs of each run."""
        return curves(self._store.database, run_ids, name)

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a file that a finished run made for people, e.g. `report`; None if it is missing. Raises RunError."""
        result = self.get(run_id).result
        found = result.artifacts.get(name) if result else None
        if not found:
            return None
        # relative to the run's folder: the state folder may have been moved since
        parts = Path(found).parts
        inside = parts[parts.index(run_id) + 1 :] if run_id in parts else parts[-1:]
        path = self._store.run_folder(run_id).path.joinpath(*inside)
        return path if path.is_file() else None

    def delete(self, run_id: str) -> None:
        """Delete a run with its files. Raises RunError (not ended), ModelError (a model uses it) or StorageError."""
        delete_run(self._store, run_id)
