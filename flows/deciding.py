"""Runs a retraining in this process: what `fieldguide models retrain` and Python programs call."""

from __future__ import annotations

from flows.here import run_here
from workflows.errors import RunError
from workflows.progress import Progress, silent
from workflows.requests import RetrainSettings
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
    """Retrain a model as a Prefect flow, and return the decision.

    With the `decision_id` of an interrupted retraining, resume it.

    Raises FieldguideError; its subclass shows what went wrong.
    """
    chosen = decision_id or store.models.new_decision_id(model)

    def as_flow() -> None:
        from flows.retraining import retrain

        retrain(model, trigger, settings, chosen)

    def without_prefect() -> None:
        from workflows.retraining.retrain import retrain

        retrain(store, model, trigger, settings, decision_id=chosen, progress=progress)

    run_here(store, progress, "flows.retraining", as_flow, without_prefect)
    decision = store.models.decision(chosen)
    if decision is None:
        raise RunError(f"The retraining of {model} ended without a decision.", "Run it again; nothing was promoted.")
    return decision
