"""Retraining a model: train a challenger on the newest data, judge it against the champion, promote it or not.

::

    plan -> (too little new: unchanged) -> challenger(s) -> leak check -> both models on the frozen images -> decision

Every decision leaves a record, a document and a page, also where nothing was done. A retraining that was cut off
goes on under its decision's id: the challenger's run is resumed, not trained again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.data.pixels import open_pixels
from workflows.data.thumbnails import thumbnail
from workflows.errors import DatasetError, ModelError
from workflows.inference.evaluate import predict_records
from workflows.inference.predictor import Predictor
from workflows.pipeline import RunTraining, TrainRequest, create_run, run_pipeline
from workflows.progress import Progress, silent
from workflows.registry.models import promote, register, weights_path
from workflows.report.decision import write_decision_report
from workflows.retraining.decision import Decision, decide
from workflows.retraining.plan import CHALLENGERS_FILE, RetrainPlan, RetrainSettings, leaked, plan_retraining
from workflows.store.files import read_json, to_plain, write_json
from workflows.store.locks import hold
from workflows.store.models import DecisionRecord, ModelVersion, Outcome
from workflows.store.store import Store
from workflows.store.tables import now

DOCUMENT_FILE, REPORT_FILE = "decision.json", "report.html"


@dataclass(frozen=True)
class _Call:
    """What was asked of a retraining."""

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
    """Retrain a model on the newest version of its data set, and promote the challenger if it has earned it.

    One retraining of a model at a time: a second one waits.

    Args:
        trigger: who or what asked for it, in words.
        settings: when it is worth it, how the challenger is made, what it must show.
        decision_id: of a retraining that was cut off, to go on with it.
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
        asked = call.settings.min_changes
        text = f"{plan.changed} images differ from what the champion was trained on; it takes {asked} to train anew."
        return _conclude(call, plan, "unchanged", text)
    try:
        run_id, started_from = _train_challengers(call, plan)
    except DatasetError as error:  # the audit forbids it, or the data can't be trained on
        return _conclude(call, plan, "stopped", f"The challenger could not be trained. {error.message}")
    challenger = register(
        call.store, call.model, run_id, reason=f"challenger of decision {call.decision_id}", author=call.trigger
    )
    found = leaked(plan, pd.read_parquet(call.store.run_folder(run_id) / "records.parquet"))
    if found:
        text = f"{len(found)} test images were also trained on, e.g. {found[0]}: the comparison would flatter."
        return _conclude(call, plan, "stopped", text, challenger, started_from)
    decision = _judge(call, plan, challenger)
    if decision.promote:
        _promote(call, challenger, decision)
    outcome: Outcome = "promoted" if decision.promote else "kept"
    return _conclude(call, plan, outcome, decision.reason, challenger, started_from, decision)


def _begun(call: _Call) -> bool:
    return (call.folder / CHALLENGERS_FILE).exists()


def _train_challengers(call: _Call, plan: RetrainPlan) -> tuple[str, str]:
    """Train one challenger for each way to start; return the run that does best on validation, and its start."""
    runs: dict[str, str] = read_json(call.folder / CHALLENGERS_FILE) if _begun(call) else {}
    for start in plan.starts:
        if start not in runs:
            runs[start] = create_run(call.store, _request(call, plan, start)).run_id
            write_json(call.folder / CHALLENGERS_FILE, runs)
        call.run_training(call.store, runs[start], call.progress)
    best = max(plan.starts, key=lambda start: _validation_top1(call.store, runs[start]))
    return runs[best], {"champion": "the champion's weights", "pretrained": "pretrained weights"}[best]


def _request(call: _Call, plan: RetrainPlan, start: str) -> TrainRequest:
    """Return the champion's own request for the newest data: its workflow, from the weights wanted."""
    workflow = call.store.runs.get(plan.champion.run_id).workflow
    if workflow is None:
        raise ModelError(f"The run of {plan.champion} has no workflow on record.", "Train and register a new run.")
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
    metrics = (store.runs.get(run_id).result or {}).get("metrics") or {}
    return float((metrics.get("val") or {}).get("top1") or 0.0)


def _judge(call: _Call, plan: RetrainPlan, challenger: ModelVersion) -> Decision:
    names = (f"the champion (v{plan.champion.number})", f"the challenger (v{challenger.number})")
    champion, judged = (_answers(call, version, plan.judges) for version in (plan.champion, challenger))
    return decide(champion, judged, call.settings.rules, names=names)


def _answers(call: _Call, version: ModelVersion, judges: pd.DataFrame) -> pd.DataFrame:
    predictor = Predictor.load(call.store, version.run_id, call.settings.device or "auto")
    blobs, cache = call.store.blobs.path, call.store.cache_folder
    pixels = open_pixels(judges, blobs, predictor.card.transform, cache, call.progress)
    return predict_records(predictor, judges, pixels.squares(judges["image_id"].tolist()))


def _promote(call: _Call, challenger: ModelVersion, decision: Decision) -> None:
    if call.store.models.champions().get(call.model) == challenger.number:
        return  # a retraining that was cut off right here goes on
    promote(
        call.store,
        call.model,
        challenger.number,
        reason=decision.reason,
        author=call.trigger,
        decision_id=call.decision_id,
    )


def _conclude(
    call: _Call,
    plan: RetrainPlan,
    outcome: Outcome,
    reason: str,
    challenger: ModelVersion | None = None,
    started_from: str = "",
    decision: Decision | None = None,
) -> DecisionRecord:
    """Write the document and the page of a decision, then its record."""
    created = now()
    document: dict[str, Any] = {
        "decision_id": call.decision_id,
        "model": call.model,
        "trigger": call.trigger,
        "created_at": created.isoformat(),
        "outcome": outcome,
        "reason": reason,
        "champion": _brief(plan.champion),
        "challenger": challenger and {**_brief(challenger), "started_from": started_from},
        "data": {"name": plan.version.name, "version": plan.version.number},
        "changes": plan.changes,
        "notes": list(plan.notes),
        "rules": call.settings.rules.model_dump(),
        "settings": call.settings.model_dump(mode="json"),
        "decision": decision and decision.document(),
    }
    plain = to_plain(document)
    write_json(call.folder / DOCUMENT_FILE, plain)
    hashes = dict(zip(plan.judges["image_id"], plan.judges["sha256"], strict=True))
    write_decision_report(call.folder / REPORT_FILE, plain, lambda image: thumbnail(call.store, hashes[image]))
    record = DecisionRecord(
        decision_id=call.decision_id,
        model=call.model,
        trigger=call.trigger,
        outcome=outcome,
        reason=reason,
        champion=plan.champion.number,
        challenger=challenger.number if challenger else None,
        challenger_run=challenger.run_id if challenger else None,
        document=plain,
        created_at=created,
    )
    call.store.models.add_decision(record)
    return record


def _brief(version: ModelVersion) -> dict[str, Any]:
    top1 = (version.metrics.get("test") or {}).get("top1")
    found = {name: getattr(version, name) for name in ("number", "run_id", "dataset", "version")}
    return {**found, "test_top1": top1}
