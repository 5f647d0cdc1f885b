"""Runs a tuning in this process: what `fieldguide tune` calls."""

from __future__ import annotations

import importlib
from typing import Any

from flows.caller import Caller, caller
from flows.runtime import loopback_works, prefect_api, server_is_configured
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.tuning.study import Tuning


def tune_now(store: Store, tuning: Tuning, progress: Progress = silent, worker: int = 0) -> dict[str, Any]:
    """Work on a tuning as a Prefect flow until its budget is spent, and return what came of it.

    Where not even this machine can talk to itself, the same is done without Prefect.

    Raises FieldguideError; its kinds say what went wrong.
    """
    done = tuning.result()
    if done is not None:
        return done
    if not server_is_configured() and not loopback_works():
        from workflows.tuning.tune import refit, work

        progress("prefect", 0, 1, "the loopback interface is down: this tuning is not shown in Prefect")
        work(tuning, progress, worker)
        return refit(tuning, progress)
    token = caller.set(Caller(store, progress))
    try:
        with prefect_api(meanwhile=lambda: importlib.import_module("flows.tuning")):
            from flows.tuning import tune

            result: dict[str, Any] = tune(study_id=tuning.study_id, worker=worker)
            return result
    finally:
        caller.reset(token)
