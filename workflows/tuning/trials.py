"""One trial of a tuning: a training at one point of the search space, pruned early if it is hopeless.

A trial is a run of kind `trial` that ends with its training: the test split is never used. What is needed to
repeat it (its workflow) and its metrics stay; weights and checkpoints are deleted.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from typing import Any

import optuna
from optuna.trial import Trial

from workflows.backbones.registry import backbone_named
from workflows.errors import RunCancelled
from workflows.graph.workflow import Workflow
from workflows.pipeline import RunContext, create_run, do_step, recorded_end, walk
from workflows.progress import Progress
from workflows.requests import TrainRequest
from workflows.state import State
from workflows.store.answers import TrainingAnswer
from workflows.store.store import Store
from workflows.targets.metrics import TOP1
from workflows.throttle import Throttle
from workflows.tuning.space import Dimension, workflow_at
from workflows.tuning.study import Tuning

LAST_STEP = "training"
METRIC = TOP1.on("val")
BEST_EPOCH = "best_epoch"
"""A trial's attribute: the epoch at which validation was best."""
LOOK_SECONDS = 0.5
TIMED_PASSES, WARM_UP = 9, 3


def suggest(trial: Trial, space: tuple[Dimension, ...]) -> dict[str, Any]:
    """Return the sampler's next point."""
    return {dimension.name: _suggest(trial, dimension) for dimension in space}


def _suggest(trial: Trial, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.name, dimension.choices)
    if dimension.kind == "whole":
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log)


def run_trial(tuning: Tuning, trial: Trial, space: tuple[Dimension, ...], progress: Progress) -> float:
    """Train at the trial's point and return the best validation top-1 accuracy.

    Raises:
        optuna.TrialPruned: it was hopeless compared with the others.
        RunCancelled: it was cancelled.
        FieldguideError: the training failed.
    """
    store, request = tuning.store, tuning.request
    workflow = workflow_at(tuning.base, suggest(trial, space))
    train_request = TrainRequest(
        dataset=request.dataset,
        version=tuning.version,
        workflow=workflow.model_dump(mode="json"),
        weights=request.weights,
        device=request.device,
        allow=request.allow,
    )
    run = create_run(store, train_request, "trial")
    trial.set_user_attr("run_id", run.run_id)
    try:
        outcome = _train(RunContext(store, run.run_id, _Watch(store, trial, run.run_id, progress)))
    except _Pruned as hopeless:
        raise optuna.TrialPruned(hopeless.message) from hopeless
    else:
        trial.set_user_attr(BEST_EPOCH, outcome.best_step)
        trial.set_user_attr("milliseconds", inference_milliseconds(workflow, tuning))
        return _best(store, run.run_id)
    finally:
        _tidy(store, run.run_id)


def _train(context: RunContext) -> TrainingAnswer:
    """Do the steps of the run up to its training, and return the training's result."""
    store, run_id = context.store, context.run_id
    with store.runs.alive(run_id), recorded_end(store, run_id):
        for step in walk(context):
            do_step(context, step)
            if step.key == LAST_STEP:
                break
        store.runs.update(run_id, state=State.FINISHED)
    return context.need(TrainingAnswer)


class _Pruned(RunCancelled):
    """The trial is pruned: others were better at this point."""


class _Watch:
    """The `Progress` of a trial: reports each new evaluation to the study, and prunes the training if it is hopeless."""

    def __init__(self, store: Store, trial: Trial, run_id: str, progress: Progress) -> None:
        self._store, self._trial, self._run_id, self._progress = store, trial, run_id, progress
        self._looks, self._seen = Throttle(LOOK_SECONDS), 0

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        self._progress(stage, done, total, f"trial {self._trial.number + 1}: {text}")
        if stage != "train" or not self._looks.take():
            return
        for step, value in self._news():
            self._trial.report(value, step)
            self._seen = step
            if self._trial.should_prune():
                raise _Pruned(f"Pruned after step {step}: others were better at this point.")

    def _news(self) -> list[tuple[int, float]]:
        table = self._store.runs.steps(self._run_id)
        fresh = table[(table["name"] == METRIC) & (table["step"] > self._seen) & table["value"].notna()]
        return [(int(step), float(value)) for step, value in zip(fresh["step"], fresh["value"], strict=True)]


def _best(store: Store, run_id: str) -> float:
    table = store.runs.steps(run_id)
    return float(table.loc[table["name"] == METRIC, "value"].max())


def _tidy(store: Store, run_id: str) -> None:
    """Remove a trial's large files that are no longer needed."""
    folder = store.run_folder(run_id)
    training = folder.training
    for path in (training.checkpoint, training.best):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    for path in (folder.model.path, training.dynamics.path, training.preview, training.steps.path):
        shutil.rmtree(path, ignore_errors=True)


def inference_milliseconds(workflow: Workflow, tuning: Tuning) -> float:
    """Measure the inference time of the workflow's network for one image on this device (median, without decoding)."""
    import torch

    from workflows.training.devices import torch_device

    device = torch_device(tuning.request.device or workflow.training.device)
    model = backbone_named(workflow.model.family).build(workflow.model.size, 2, workflow.model.image_size)
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    side = workflow.model.image_size
    photo = torch.zeros(1, 3, side, side, device=device).to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(WARM_UP + TIMED_PASSES):
            started = time.perf_counter()
            model(photo)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
    return round(1000 * statistics.median(seconds[WARM_UP:]), 3)
