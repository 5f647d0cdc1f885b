"""What was trained, as pages show it."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.store.store import Store


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
        runs = [run for run in self._store.runs.list() if not states or run.state in states]
        ids = [run.run_id for run in runs]
        return ids[:limit] + [run_id for run_id in ids[limit:] if run_id == besides]
