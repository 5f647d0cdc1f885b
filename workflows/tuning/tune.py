"""Tuning: search for a better workflow within a budget, then train the winner and test it once.

Any number of processes may work on one study. A killed process loses only its current trial: the next process to check
finds that its run is dead, and puts its point back into the queue.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import optuna
import pandas as pd
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from workflows.backbones.registry import backbone_named
from workflows.data.catalog import get_version
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, RunError, TrainingError
from workflows.graph.workflow import Workflow
from workflows.pipeline import RunTraining, create_run, run_pipeline
from workflows.progress import Progress, silent
from workflows.recommend.advice import recommend_for
from workflows.requests import TrainRequest, TuneRequest
from workflows.store.files import read_json, write_json
from workflows.store.locks import FileLock, hold
from workflows.store.run_result import RunResult
from workflows.store.store import Store
from workflows.training.weights import local_sizes
from workflows.tuning.space import Dimension, search_space, start_of, workflow_at
from workflows.tuning.study import FINISHED, RESULT_FILE, Tuning, new_tuning, trials_table
from workflows.tuning.trials import BEST_EPOCH, run_trial

REFIT_FILE = "refit.json"
HOST = "host"
UNMARKED_SECONDS = 120.0
"""A trial without a machine after this long belongs to a process that was killed at its start."""
SMALL_SIZES, SMALLEST_SIZES = 3, 2
"""How many sizes of a backbone, from the smallest, trials may have: with pretrained and with random first weights."""
SQUARE_ENOUGH = 1.15
FAILURES_IN_A_ROW = 3


def begin_tuning(store: Store, request: TuneRequest) -> Tuning:
    """Record a new tuning: resolve the data and the workflow to start from.

    Raises:
        DatasetError: unknown data set, or one without validation images.
        UsageError: neither trials nor a budget was given, or a value is out of range.
    """
    version = get_version(store, request.dataset, request.version)
    splits, again = set(version.labelled()["split"]), "Re-split it: fieldguide dataset resplit NAME"
    if "val" not in splits:
        raise DatasetError(f"{version} has no validation images to tune on.", again)
    if request.refit == "train+val" and "test" not in splits:
        raise DatasetError(
            f"{version} has no test images: with training on the validation images, none would be left to evaluate on.",
            again,
        )
    base = _base(store, request, version)
    return new_tuning(store, request, version.number, base, _facts(store, request, version, base))


def _base(store: Store, request: TuneRequest, version: DatasetVersion) -> Workflow:
    if request.workflow is not None:
        base = Workflow.model_validate(request.workflow).for_dataset(version.name, version.number)
    else:
        advised = recommend_for(
            store,
            version,
            request.goal,
            image_size=request.size,
            epochs=request.epochs,
            weights=request.weights or "auto",
            device=request.device or "auto",
        )
        base = advised.for_dataset(version.name, version.number)
    base = base.with_settings("split", train_on="train")  # the trials are compared on validation
    return base.with_settings("model", weights=request.weights) if request.weights else base


def _facts(store: Store, request: TuneRequest, version: DatasetVersion, base: Workflow) -> dict[str, Any]:
    table = version.labelled()
    counts = pd.Series(version.target().named(table[table["split"] == "train"])).value_counts()
    aspect = table[["width", "height"]].max(axis=1) / table[["width", "height"]].min(axis=1)
    known = base.model.weights in ("auto", "none")
    backbone = backbone_named(base.model.family)
    small = tuple(backbone.sizes)[:SMALL_SIZES]
    local = local_sizes(store.weights_folder, backbone) if known else ()
    sizes = small[:SMALLEST_SIZES] if base.model.weights == "none" else [size for size in local if size in small]
    return {
        "imbalance": float(counts.max() / max(counts.min(), 1)),
        "square_matters": bool(aspect.median() > SQUARE_ENOUGH),
        "sizes": list(sizes),
    }


def space_of(tuning: Tuning) -> tuple[Dimension, ...]:
    """Return the search space of a tuning."""
    facts = tuning.document
    return search_space(
        tuning.base, imbalance=facts["imbalance"], square_matters=facts["square_matters"], sizes=facts["sizes"]
    )


def work(tuning: Tuning, progress: Progress = silent, worker: int = 0) -> None:
    """Run trials until the budget is used up; several processes may do so at once.

    Args:
        worker: number of this worker; each searches with a different seed.

    Raises:
        TrainingError: several trials in a row failed.
        RunCancelled: it was cancelled.
    """
    space, study = space_of(tuning), tuning.study(worker)
    _enqueue_start(tuning, study, space)
    failures = 0
    while not spent(tuning, study):
        recover(tuning, study)
        trial = study.ask()
        lock = _trial_lock(tuning, trial.number)
        lock.acquire(tuning.study_id)
        trial.set_user_attr(HOST, socket.gethostname())
        try:
            failures = 0 if _do(tuning, study, trial, space, progress) else failures + 1
        finally:
            lock.release()
            lock.path.unlink(missing_ok=True)
        if failures >= FAILURES_IN_A_ROW:
            raise TrainingError(
                f"{failures} trials in a row could not be trained.",
                f"See why with `fieldguide tune --show {tuning.study_id}`; choose a smaller size to start from.",
            )


def _do(tuning: Tuning, study: Study, trial: Trial, space: tuple[Dimension, ...], progress: Progress) -> bool:
    """Run one trial and report its outcome to the study; return whether it could be trained."""
    try:
        study.tell(trial, run_trial(tuning, trial, space, progress))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except TrainingError:  # a point that can't be trained (no memory, no finite loss) is a result, too
        study.tell(trial, state=TrialState.FAIL)
        return False
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        raise
    return True


def _enqueue_start(tuning: Tuning, study: Study, space: tuple[Dimension, ...]) -> None:
    """Make the workflow that the tuning starts from the first trial."""
    with hold(tuning.store.locks_folder / f"tuning-{tuning.study_id}.lock"):
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(start_of(space), user_attrs={"start": True})


def spent(tuning: Tuning, study: Study) -> bool:
    """Return whether the budget is used up (or will be, by the running trials)."""
    request = tuning.request
    trials = study.get_trials(deepcopy=False)
    begun = [trial for trial in trials if trial.state in (*FINISHED, TrialState.RUNNING)]
    if request.trials is not None and len(begun) >= request.trials:
        return True
    seconds = sum(trial.duration.total_seconds() for trial in trials if trial.duration and trial.state in FINISHED)
    return request.budget_seconds is not None and seconds >= request.budget_seconds


def recover(tuning: Tuning, study: Study) -> int:
    """Put the points of trials whose process was killed on this machine back into the queue; return how many."""
    dead = 0
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        begun = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
        unmarked = HOST not in trial.user_attrs and time.time() - begun > UNMARKED_SECONDS
        if trial.user_attrs.get(HOST) != socket.gethostname() and not unmarked:
            continue
        lock = _trial_lock(tuning, trial.number)
        if not lock.acquire(timeout=0.1):
            continue  # its worker is alive
        try:
            if _still_running(study, trial.number):
                study.tell(trial.number, state=TrialState.FAIL)
                study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
                dead += 1
        finally:
            lock.release()
    return dead


def _trial_lock(tuning: Tuning, number: int) -> FileLock:
    """Return the lock that a worker holds from a trial's start until its outcome is recorded."""
    return FileLock(tuning.store.locks_folder / f"trial-{tuning.study_id}-{number}.lock")


def _still_running(study: Study, number: int) -> bool:
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return any(trial.number == number for trial in running)


def refit(tuning: Tuning, progress: Progress = silent, run_training: RunTraining = run_pipeline) -> dict[str, Any]:
    """Train the winner from the beginning, test it once, and return what the tuning came to.

    Raises:
        RunError: no trial was completed.
    """
    with hold(tuning.store.locks_folder / f"tuning-{tuning.study_id}-refit.lock"):
        return tuning.result() or _refit(tuning, progress, run_training)


def _refit(tuning: Tuning, progress: Progress, run_training: RunTraining) -> dict[str, Any]:
    study = tuning.study()
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise RunError(f"Tuning {tuning.study_id} has no completed trial.", "Give it a larger budget.")
    best = study.best_trial
    run_id = _refit_run(tuning, best)
    run_training(tuning.store, run_id, progress)
    result = tuning.store.runs.get(run_id).result or RunResult()
    start = next((trial for trial in complete if trial.user_attrs.get("start")), None)
    table = trials_table(study)
    document = {
        "study_id": tuning.study_id,
        "run_id": run_id,
        "trials": len(table),
        "complete": len(complete),
        "pruned": int((table["state"] == "pruned").sum()),
        "seconds": float(table["seconds"].sum()),
        "best": {"trial": best.number, "val_top1": best.value, "params": best.params},
        "start": start and {"trial": start.number, "val_top1": start.value, "params": start.params},
        "refit": _refit_facts(tuning, best, result),
        "metrics": result.metrics,
    }
    write_json(tuning.folder / RESULT_FILE, document)
    return document


def _refit_facts(tuning: Tuning, best: FrozenTrial, result: RunResult) -> dict[str, Any]:
    """Return on how many images and for how many epochs the winner was trained, and how these were chosen."""
    if tuning.request.refit == "train+val":
        chosen = f"fixed in advance: validation was best after this many epochs in trial {best.number + 1}"
    else:
        chosen = f"the weights of epoch {result.training.best_step} were saved, the best on validation"
    images = result.splits.get("train")
    return {"on": tuning.request.refit, "images": images, "epochs": result.training.epochs, "chosen": chosen}


def _winner(tuning: Tuning, best: FrozenTrial) -> Workflow:
    """Return the workflow that the winner is trained with.

    With training on the validation images, none can choose the epoch: the search has chosen it, and the schedule of the
    learning rate ends there.
    """
    workflow = workflow_at(tuning.base, best.params)
    if tuning.request.refit == "train":
        return workflow
    epochs = int(best.user_attrs[BEST_EPOCH])
    return workflow.with_settings("split", train_on="train+val").with_settings("training", epochs=epochs)


def _refit_run(tuning: Tuning, best: FrozenTrial) -> str:
    """Return the run of the winner, recorded once."""
    path = tuning.folder / REFIT_FILE
    if path.exists():
        return str(read_json(path)["run_id"])
    request = TrainRequest(
        dataset=tuning.request.dataset,
        version=tuning.version,
        workflow=_winner(tuning, best).model_dump(mode="json"),
        weights=tuning.request.weights,
        device=tuning.request.device,
        allow=tuning.request.allow,
    )
    run = create_run(tuning.store, request)
    write_json(path, {"run_id": run.run_id})
    return run.run_id
