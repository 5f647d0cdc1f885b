"""State folders with what takes long to come about: a model that was retrained, a tuning with its trials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tests.tiny import train_tiny
from workflows.data.importing import add_dataset
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.registry.models import register
from workflows.requests import RetrainSettings, TuneRequest
from workflows.retraining.retrain import retrain
from workflows.store.store import Store
from workflows.tuning.space import Dimension, start_of
from workflows.tuning.study import Tuning
from workflows.tuning.tune import begin_tuning, space_of

MODEL = "digits"
DATASET = "tiny"
TUNE_REQUEST = {"dataset": DATASET, "trials": 12, "weights": "none", "size": 32, "epochs": 3, "device": "cpu"}
TRIAL_VALUES = (0.5, 0.4, 0.7, 0.6, 0.75, 0.9, 0.55)


def copy_run(store: Store, run_id: str, wrong: int = 0, split: str = "test") -> str:
    """Record a finished run again under another id; return that. It gets `wrong` more images of a split wrong."""
    record, again = store.runs.get(run_id), store.runs.create("tiny", {"dataset": DATASET}).run_id
    shutil.copytree(store.run_folder(run_id).path, store.run_folder(again).path, dirs_exist_ok=True)
    facts: dict[str, Any] = {name: getattr(record, name) for name in ("dataset", "version", "workflow", "result")}
    store.runs.update(again, state="finished", **facts)
    path = store.run_folder(again).evaluation.predictions
    frame, classes = read_predictions(path)
    lost = frame.index[frame["correct"] & (frame["split"] == split)][:wrong]
    other = {name: classes[(place + 1) % len(classes)] for place, name in enumerate(classes)}
    frame["predicted"] = frame["predicted"].astype(str)
    frame.loc[lost, "predicted"] = frame.loc[lost, "label"].astype(str).map(other)
    frame.loc[lost, "correct"] = False
    write_predictions(path, frame, classes)
    return again


def write_model(home: Path, source: Path) -> Store:
    """Write the model `digits` with one version, of a training that was far too short."""
    run = train_tiny(home, source, epochs=1)
    register(run.store, MODEL, run.run_id, author="ada", reason="a start")
    return run.store


def write_decisions(home: Path, source: Path) -> Store:
    """Write the model, a retraining of it that made a better one, and one that found nothing new."""
    store = write_model(home, source)
    retrain(store, MODEL, "a test", RetrainSettings(min_changes=0, epochs=8, device="cpu"))
    retrain(store, MODEL, "a test")
    return store


def write_tuning(home: Path, source: Path) -> Tuning:
    """Write a tuning of seven complete trials, the first of them the start, and one that was ended early."""
    store = Store(home)
    if DATASET not in {found.name for found in store.datasets.list()}:
        add_dataset(store, DATASET, source)
    tuning = begin_tuning(store, TuneRequest.model_validate(TUNE_REQUEST))
    for number, value in enumerate(TRIAL_VALUES):
        add_trial(tuning, number, TrialState.COMPLETE, value)
    add_trial(tuning, len(TRIAL_VALUES), TrialState.PRUNED, 0.2)
    return tuning


def add_trial(tuning: Tuning, number: int, state: TrialState, value: float) -> None:
    """Add a trial to a tuning as a worker leaves it; its dropout grows with its value."""
    space = space_of(tuning)
    params: dict[str, Any] = {**start_of(space), "dropout": value / 2}
    tuning.study().add_trial(
        create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            params=params,
            distributions={dimension.name: _distribution(dimension) for dimension in space},
            user_attrs={"milliseconds": 1.0 + number % 3, **({"start": True} if number == 0 else {})},
            intermediate_values={1: value / 2, 2: value},
        )
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "choice":
        return CategoricalDistribution(dimension.choices)
    if dimension.kind == "whole":
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
