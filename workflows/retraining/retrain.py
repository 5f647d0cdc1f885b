"""Retraining a model: train a challenger on the newest data, compare it with the champion, promote it or not.

::

    plan -> (too few changes: unchanged) -> leak check -> challenger(s) -> leak check of what was trained on
         -> both models on the frozen images -> decision

Every decision is stored as a record, a document and a page, even if nothing was done. An interrupted retraining
resumes under its decision's id: the challenger's run is resumed, not trained again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.pixels import open_pixels
from workflows.errors import DatasetError, ModelError
from workflows.inference.evaluate import predict_records
from workflows.inference.predictor import Predictor
from workflows.pipeline import RunTraining, create_run, run_pipeline
from workflows.progress import Progress, silent
from workflows.registry.models import register, weights_path
from workflows.requests import RetrainSettings, TrainRequest
from workflows.retraining.decision import Decision, decide
from workflows.retraining.plan import (
    CHALLENGERS_FILE,
    RetrainPlan,
    changes_between,
    leak_reason,
    leaked,
    leaks_ahead,
    plan_retraining,
)
from workflows.retraining.recording import brief_of, record_decision
from workflows.store.files import read_json, write_json
from workflows.store.locks import hold
from workflows.store.models import DecisionRecord, ModelVersion, Outcome
from workflows.store.store import Store
from workflows.targets.metrics import TOP1
from workflows.targets.registry import target_in


@dataclass(frozen=True)
class _Call:
    """The arguments of a retraining."""

    store: Store
    model: str
    trigger: str
    settings: RetrainSettings
    decision_id: str
    run_training: RunTraining
    progress: Progress

    @property
    def folder(self) -> Path:
        return self.store.decision_folder(self.decision_id)


def retrain(
    store: Store,
    model: str,
    trigger: str = "by hand",
    settings: RetrainSettings | None = None,
    *,
    decision_id: str | None = None,
    run_training: RunTraining = run_pipeline,
    progress: Progress = silent,
) -> DecisionRecord:
    """Retrain a model on the newest version of its data set, and promote the challenger if it is better.

    One retraining of a model at a time: a second one waits.

    Args:
        trigger: who or what started it, as text.
        settings: when to retrain, how to train the challenger, when to promote it.
        decision_id: of an interrupted retraining, to resume it.
        run_training: runs the challenger's run; `flows` makes it a Prefect flow.

    Raises:
        ModelError, DatasetError: see :func:`workflows.retraining.plan.plan_retraining`.
        FieldguideError: the challenger's training failed.
    """
    decision_id = decision_id or store.models.new_decision_id(model)
    call = _Call(store, model, trigger, settings or RetrainSettings(), decision_id, run_training, progress)
    lock = store.locks_folder / f"model-{model}.lock"
    with hold(lock, waiting=lambda text: progress("retrain", 0, 1, text)):
        done = store.models.decision(decision_id)
        return done or _retrain(call)


def _retrain(call: _Call) -> DecisionRecord:
    plan = plan_retraining(call.store, call.model, call.settings)
    if not plan.enough and not _begun(call):
        needed = call.settings.min_changes
        text = f"{plan.changed} images differ from the champion's training data; a retraining needs at least {needed}."
        return _conclude(call, plan, "unchanged", text)
    try:
        if not _begun(call) and (ahead := leaks_ahead(call.store, plan)):
            return _conclude(call, plan, "stopped", leak_reason(plan, ahead))
        run_id, started_from = _train_challengers(call, plan)
    except DatasetError as error:  # the audit stops it, or the data can't be trained on
        return _conclude(call, plan, "stopped", f"The challenger could not be trained. {error.message}")
    challenger = register(
        call.store, call.model, run_id, reason=f"challenger of decision {call.decision_id}", author=call.trigger
    )
    found = leaked(plan.test_images, pd.read_parquet(call.store.run_folder(run_id).records))
    if found:
        return _conclude(call, plan, "stopped", leak_reason(plan, found), challenger, started_from)
    decision = _compare(call, plan, challenger)
    outcome: Outcome = "promoted" if decision.promote else "kept"
    try:
        return _conclude(call, plan, outcome, decision.reason, challenger, started_from, decision)
    except ModelError as error:  # somebody promoted another version while this one was trained
        text = f"{plan.champion}, which the challenger was compared with, is not the champion any more. {error.hint}"
        return _conclude(call, plan, "stopped", text, challenger, started_from, decision)


def _begun(call: _Call) -> bool:
    return (call.folder / CHALLENGERS_FILE).exists()


def _train_challengers(call: _Call, plan: RetrainPlan) -> tuple[str, str]:
    """Train one challenger for each way to start; return the run with the best validation accuracy, and its initial weights."""
    runs: dict[str, str] = read_json(call.folder / CHALLENGERS_FILE) if _begun(call) else {}
    for start in plan.starts:
        if start not in runs:
            runs[start] = create_run(call.store, _request(call, plan, start)).run_id
            write_json(call.folder / CHALLENGERS_FILE, runs)
        call.run_training(call.store, runs[start], call.progress)
    best = max(plan.starts, key=lambda start: _validation_top1(call.store, runs[start]))
    return runs[best], {"champion": "the champion's weights", "pretrained": "pretrained weights"}[best]


def _request(call: _Call, plan: RetrainPlan, start: str) -> TrainRequest:
    """Return the champion's own request for the newest data: its workflow, with the given initial weights."""
    workflow = call.store.runs.get(plan.champion.run_id).workflow
    if workflow is None:
        raise ModelError(f"The run of {plan.champion} has no recorded workflow.", "Train and register a new run.")
    return TrainRequest(
        dataset=plan.version.name,
        version=plan.version.number,
        workflow=workflow,
        weights=str(weights_path(call.store, plan.champion)) if start == "champion" else None,
        epochs=call.settings.epochs,
        device=call.settings.device,
        allow=call.settings.allow,
    )


def _validation_top1(store: Store, run_id: str) -> float:
    result = store.runs.get(run_id).result
    return float(result.metrics_of("val").get(TOP1.name) or 0.0) if result else 0.0


def _compare(call: _Call, plan: RetrainPlan, challenger: ModelVersion) -> Decision:
    names = (f"the champion (v{plan.champion.number})", f"the challenger (v{challenger.number})")
    champion, contender = (_answers(call, version, plan.test_images) for version in (plan.champion, challenger))
    known = {*plan.champion.card["classes"], *challenger.card["classes"]}
    target = target_in(plan.champion.card)
    rules = call.settings.rules
    return decide(champion, contender, rules, names=names, known=known, target=target, split=plan.judged_on)


def _answers(call: _Call, version: ModelVersion, test_images: pd.DataFrame) -> pd.DataFrame:
    predictor = Predictor.load(call.store, version.run_id, call.settings.device or "auto")
    blobs, cache = call.store.blobs.path, call.store.cache_folder
    pixels = open_pixels(test_images, blobs, predictor.card.transform, cache, call.progress)
    return predict_records(predictor, test_images, pixels.squares(test_images["image_id"].tolist()))


def _conclude(
    call: _Call,
    plan: RetrainPlan,
    outcome: Outcome,
    reason: str,
    challenger: ModelVersion | None = None,
    started_from: str = "",
    decision: Decision | None = None,
) -> DecisionRecord:
    """Record what the retraining came to, and promote the challenger if that is the outcome."""
    data, changes = plan.version, plan.changes
    if challenger is not None and challenger.version != data.number:  # an interrupted one, resumed after an edit
        data = get_version(call.store, challenger.dataset, challenger.version)
        changes = changes_between(call.store, plan.champion, data)
    facts: dict[str, Any] = {
        "decision_id": call.decision_id,
        "model": call.model,
        "trigger": call.trigger,
        "outcome": outcome,
        "reason": reason,
        "champion": brief_of(plan.champion),
        "challenger": challenger and {**brief_of(challenger), "started_from": started_from},
        "data": {"name": data.name, "version": data.number},
        "changes": changes,
        "notes": list(plan.notes),
        "rules": call.settings.rules.model_dump(),
        "settings": call.settings.model_dump(mode="json"),
        "decision": decision and decision.document(),
    }
    promoted = {"author": call.trigger, "reason": reason} if outcome == "promoted" else None
    return record_decision(call.store, facts, plan.test_images, plan.version.rendering(), promoted)
