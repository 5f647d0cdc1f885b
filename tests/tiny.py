"""A tiny real data set (handwritten digits) and runs trained on it, made once per test session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.once import made_once
from workflows.pipeline import create_run, run_pipeline
from workflows.requests import TrainRequest
from workflows.store.run_folder import RunFolder
from workflows.store.store import Store

CLASSES = ("0", "1", "4")
PER_CLASS = 40


def write_tiny(folder: Path, classes: tuple[str, ...] = CLASSES, per_class: int = PER_CLASS, side: int = 40) -> Path:
    """Write `per_class` real digits of each class as PNG files; odd ones are wider than high, so that crops crop."""
    digits = load_digits()
    for name in classes:
        chosen = digits.images[digits.target == int(name)][:per_class]
        (folder / name).mkdir(parents=True)
        for number, strokes in enumerate(chosen):
            grey = Image.fromarray((strokes * 15.9).astype(np.uint8))
            grey.resize((side + 8 * (number % 2), side), Image.Resampling.BICUBIC).save(folder / name / f"{number}.png")
    return folder


@dataclass(frozen=True)
class TrainedRun:
    """A finished run."""

    store: Store
    run_id: str
    result: dict[str, Any]
    source: Path

    @property
    def folder(self) -> RunFolder:
        """The run's files."""
        return self.store.run_folder(self.run_id)

    def copied(self, home: Path) -> TrainedRun:
        """The same run in a store of its own, for a test that changes it."""
        shutil.copytree(self.store.home, home)
        return replace(self, store=Store(home))


def train_tiny(home: Path, source: Path, **request: Any) -> TrainedRun:
    """Train on `source` with random weights, 32 pixels and 12 epochs, unless the request says otherwise."""
    store = Store(home)
    settings = {"weights": "none", "size": 32, "epochs": 12, "device": "cpu", "seed": 0, **request}
    run = create_run(store, TrainRequest(source=str(source), **settings))
    return TrainedRun(store, run.run_id, run_pipeline(store, run.run_id).document(), source)


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sub-folder of digits for each of three classes. Nobody may change it."""
    return made_once(tmp_path_factory, "source", lambda folder: write_tiny(folder / "tiny"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Iterator[TrainedRun]:
    """A finished run on the tiny data set, alone in its store. Nobody may change it."""

    def make(folder: Path) -> tuple[Path, str, dict[str, Any]]:
        made = train_tiny(folder / "home", tiny_source)
        return made.store.home, made.run_id, made.result

    home, run_id, result = made_once(tmp_path_factory, "trained", make)
    run = TrainedRun(Store(home), run_id, result, tiny_source)
    yield run
    assert [one.run_id for one in run.store.runs.list()] == [run.run_id], "a test changed what all share, not a copy"
    assert not run.store.models.names()
