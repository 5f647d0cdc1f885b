"""What was trained, as pages show it."""

from __future__ import annotations

from collections.abc import Sequence

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

    def newest(self, limit: int = 20, states: Sequence[str] = ()) -> list[RunBrief]:
        """Return the newest runs as lines of a list, newest first; `states` empty means all."""
        return newest_runs(self._store.database, limit, states)

    def counts(self) -> dict[str, int]:
        """Return how many runs are in each state."""
        return count_runs(self._store.database)

    def curves(self, run_ids: Sequence[str], name: str = "val/top1") -> dict[str, list[float]]:
        """Return the course of a metric over the evaluation steps of each run."""
        return curves(self._store.database, run_ids, name)
