"""A target from another package is trained, evaluated and served: one class and its registration are enough."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from workflows.data.edits import relabel
from workflows.data.importing import dataset_for_path
from workflows.data.version import IMAGES_FILE, DatasetVersion
from workflows.errors import DatasetError, RunError
from workflows.evaluation.predictions import common_target, read_predictions, target_of, write_predictions
from workflows.evaluation.steps import read_final, read_step
from workflows.inference.predictor import Predictor
from workflows.pipeline import create_run, run_pipeline
from workflows.registry.models import export_model, register
from workflows.requests import TrainRequest
from workflows.store.files import read_metadata, read_table, write_table
from workflows.store.store import Store
from workflows.targets.base import Loss, Weighting
from workflows.targets.registry import KEY, TARGETS
from workflows.targets.single_label.tables import probability_matrix
from workflows.targets.single_label.target import SingleLabel
from workflows.training.network import logits_of


class Doubled(SingleLabel):
    """Logits count twice, in probabilities and in the loss."""

    name = "doubled"
    batches: ClassVar[list[int]] = []

    def probabilities(self, logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Return the softmax of the doubled logits."""
        return super().probabilities(2 * logits, temperature)

    def activation_words(self, temperature: float) -> str:
        """Return the formula."""
        return f"softmax(2 * logits / {temperature!r})"

    def loss(self, encoded: NDArray, class_count: int, weighting: Weighting, label_smoothing: float) -> Loss:
        """Return the loss of the doubled logits; how large its batches are is noted."""
        plain = super().loss(encoded, class_count, weighting, label_smoothing)

        def doubled(logits: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
            self.batches.append(len(encoded))
            return plain(2 * logits, encoded)

        return doubled


def declared(version: DatasetVersion, target: str) -> None:
    """Have the table of a version say what its labels are."""
    path = version.folder / IMAGES_FILE
    write_table(path, read_table(path), {**read_metadata(path), KEY: target})


def test_a_target_from_outside_is_trained_evaluated_and_answers(tmp_path: Path, tiny_source: Path) -> None:
    store = Store(tmp_path / "home")
    version = dataset_for_path(store, tiny_source).version
    assert KEY not in read_metadata(version.folder / IMAGES_FILE)
    assert version.target().name == "single-label"
    declared(version, "doubled")
    with pytest.raises(DatasetError, match="doubled"):
        version.target()
    with TARGETS.registered(Doubled()):
        request = TrainRequest(dataset=version.name, weights="none", size=32, epochs=1, device="cpu", seed=0)
        run = create_run(store, request)
        run_pipeline(store, run.run_id)
        folder = store.run_folder(run.run_id)
        answers = folder.evaluation.predictions
        assert len(Doubled.batches) > 1
        for table in (folder.records, answers, folder.training.steps.table(1)):
            assert target_of(table).name == "doubled"
        assert len(read_step(folder.training.steps, 1)[0]) == len(read_final(answers, "val")[0]) > 0

        predictor = Predictor.load(store, run.run_id, "cpu")
        frame, _ = read_predictions(answers)
        files = read_table(folder.records).set_index("image_id")["sha256"].loc[frame["image_id"]]
        squares = np.stack([predictor.card.transform.read(store.blobs.path(sha256)) for sha256 in files])
        logits = logits_of(predictor.model, squares, torch.device("cpu"))
        expected = (2 * logits / predictor.card.calibration.temperature).softmax(1).numpy()
        assert probability_matrix(frame) == pytest.approx(expected, abs=1e-4)

        assert relabel(store, version.name, {version.table()["image_id"][0]: "4"}).target().name == "doubled"
        export_model(store, register(store, "twice", run.run_id).model, tmp_path / "out")
        assert "softmax(2 * logits /" in (tmp_path / "out" / "README.txt").read_text()
        other = tmp_path / "other.parquet"
        write_predictions(other, frame, predictor.card.classes)
        with pytest.raises(RunError, match="doubled, single-label"):
            common_target(answers, other)
        assert common_target(answers, answers).name == "doubled"
    with pytest.raises(DatasetError, match="doubled"):
        Predictor.load(store, run.run_id, "cpu")
