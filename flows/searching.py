"""Runs a tuning in this process: what `fieldguide tune` calls."""

from __future__ import annotations

from typing import Any

from flows.here import run_here
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.tuning.study import Tuning


def tune_now(store: Store, tuning: Tuning, progress: Progress = silent, worker: int = 0) -> dict[str, Any]:
    """Work on a tuning as a Prefect flow until its budget is spent, and return its result.

    Raises FieldguideError; its subclass shows what went wrong.
    """

    def as_flow() -> dict[str, Any]:
        from flows.tuning import tune

        result: dict[str, Any] = tune(study_id=tuning.study_id, worker=worker)
        return result

    def without_prefect() -> dict[str, Any]:
        from workflows.tuning.tune import refit, work

        work(tuning, progress, worker)
        return refit(tuning, progress)

    return tuning.result() or run_here(store, progress, "flows.tuning", as_flow, without_prefect)
