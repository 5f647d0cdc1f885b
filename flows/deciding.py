"""Runs a retraining in this process: what `fieldguide models retrain` and Python programs call."""

from __future__ import annotations

import importlib

from flows.caller import Caller, caller
from flows.runtime import loopback_works, prefect_api, server_is_configured
from workflows.errors import RunError
from workflows.progress import Progress, silent
from workflows.retraining.plan import RetrainSettings
from workflows.store.models import DecisionRecord
from workflows.store.store import Store


def retrain_now(
    store: Store,
    model: str,
    trigger: str = "by hand",
    settings: RetrainSettings | None = None,
    progress: Progress = silent,
    decision_id: str | None = None,
) -> DecisionRecord:
    """Retrain a model as a Prefect flow, and return what was decided.

    Where not even this machine can talk to itself, the same is done without Prefect. With the `decision_id` of a
    retraining that was cut off it goes on.

    Raises FieldguideError; its kinds say what went wrong.
    """
    if not server_is_configured() and not loopback_works():
        from workflows.retraining.retrain import retrain

        progress("prefect", 0, 1, "the loopback interface is down: this retraining is not shown in Prefect")
        return retrain(store, model, trigger, settings, decision_id=decision_id, progress=progress)
    decision_id = decision_id or store.models.new_decision_id(model)
    token = caller.set(Caller(store, progress))
    try:
        with prefect_api(meanwhile=lambda: importlib.import_module("flows.retraining")):
            from flows.retraining import retrain as retrain_flow

            retrain_flow(model, trigger, settings, decision_id)
    finally:
        caller.reset(token)
    decision = store.models.decision(decision_id)
    if decision is None:
        raise RunError(f"The retraining of {model} ended without a decision.", "Do it again; nothing was promoted.")
    return decision
