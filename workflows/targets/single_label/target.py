"""The target of images that have one label each: the answer is one of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.progress import Progress, silent
from workflows.targets import metrics as names
from workflows.targets.base import Loss, Target, Weighting
from workflows.targets.calibration import DEFAULT_BINS, Calibration
from workflows.targets.single_label import tables
from workflows.targets.single_label.label_errors import suspected_labels
from workflows.targets.single_label.labels import IntArray, class_codes, predicted_codes, ranked_codes
from workflows.targets.single_label.metrics import COMPARED, LabelledProbabilities, classification_metrics
from workflows.targets.single_label.suspects import LabelCheck, check_labels
from workflows.targets.single_label.temperature import fit_temperature

if TYPE_CHECKING:
    import torch


class SingleLabel(Target):
    """Softmax and cross-entropy over the classes."""

    name = "single-label"
    title = "one label for each image"
    metrics = (
        names.TOP1,
        names.TOP5,
        names.PRECISION,
        names.RECALL,
        names.F1,
        names.AVERAGE_CONFIDENCE,
        names.ECE,
        names.LOG_LOSS,
    )
    headline = names.TOP1
    compared = COMPARED
    record_columns = ("image_id", "path", "sha256", "split", "label")
    answer_columns = ("image_id", "path", "split", "label", "predicted", "confidence", "correct", "log_loss")

    def encode(self, records: pd.DataFrame, classes: Sequence[str]) -> IntArray:
        """Return the place of each `label` in `classes`, int64 [n]."""
        return class_codes(records["label"], classes)

    def named(self, records: pd.DataFrame) -> list[str]:
        """Return the label of each image."""
        return [str(label) for label in records["label"]]

    def decode(self, probabilities: NDArray[np.floating], classes: Sequence[str], top: int) -> list[tuple[str, float]]:
        """Return the most probable classes; of equally probable ones the first in `classes` comes first."""
        return [(classes[i], float(probabilities[i])) for i in ranked_codes(probabilities[None], top)[0]]

    def first_codes(self, outputs: NDArray[np.floating]) -> IntArray:
        """Return the class answered for each row."""
        return predicted_codes(outputs)

    def loss(self, encoded: IntArray, class_count: int, weighting: Weighting, label_smoothing: float) -> Loss:
        """Return cross-entropy, weighted by how often each class stands in `encoded`."""
        from workflows.targets.single_label.loss import CrossEntropy, class_weights  # it needs PyTorch

        counts = np.bincount(encoded, minlength=class_count).tolist()
        return CrossEntropy(class_weights(counts, weighting), label_smoothing)

    def right(self, logits: NDArray[np.floating], encoded: IntArray) -> NDArray[np.bool_]:
        """Return for which images the class answered is the label."""
        return predicted_codes(logits) == encoded

    def judge(
        self, encoded: IntArray, probabilities: ArrayLike, classes: Sequence[str], *, bins: int = DEFAULT_BINS
    ) -> dict[str, Any]:
        """Return the document of :func:`.metrics.classification_metrics`."""
        return classification_metrics(encoded, probabilities, classes, bins=bins)

    def probabilities(self, logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Return the softmax over the classes."""
        return (logits / temperature).softmax(1)

    def activation_words(self, temperature: float) -> str:
        """Return `softmax`, or the formula with a temperature."""
        return "softmax" if temperature == 1 else f"softmax(logits / {temperature!r})"

    def fit_temperature(self, logits: ArrayLike, encoded: IntArray, *, bins: int = DEFAULT_BINS) -> Calibration:
        """Return the fit of :func:`.temperature.fit_temperature`."""
        return fit_temperature(logits, encoded, bins=bins)

    def predictions_table(
        self,
        image_ids: Sequence[str],
        paths: Sequence[str],
        splits: Sequence[str],
        encoded: IntArray,
        probabilities: ArrayLike,
        classes: Sequence[str],
    ) -> pd.DataFrame:
        """Lay out the final answers; see :func:`.tables.predictions_table`."""
        return tables.predictions_table(image_ids, paths, splits, encoded, probabilities, classes)

    def step_table(
        self, image_ids: Sequence[str], encoded: IntArray, probabilities: ArrayLike, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Lay out the answers of a step; see :func:`.tables.step_table`."""
        return tables.step_table(image_ids, encoded, probabilities, classes)

    def dynamics_table(
        self, image_ids: Sequence[str], encoded: IntArray, logits: ArrayLike, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Lay out one epoch of training images; see :func:`.tables.dynamics_table`."""
        return tables.dynamics_table(image_ids, encoded, logits, classes)

    def read_step(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Add `correct`; the classes are the categories of the labels."""
        return tables.judged(frame), tuple(frame["label"].cat.categories.astype(str))

    def read_answers(self, frame: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Make categories of labels and answers, and add `label_confidence`."""
        return tables.answers_as_step(frame, classes)

    def metrics_of(
        self, frame: pd.DataFrame, classes: Sequence[str], split: str | None = None, *, bins: int = DEFAULT_BINS
    ) -> dict[str, Any] | None:
        """Judge stored answers; see :func:`.tables.metrics_of`."""
        return tables.metrics_of(frame, classes, split, bins=bins)

    def uncalibrated_metrics(
        self, frame: pd.DataFrame, classes: Sequence[str], split: str, temperature: float, *, bins: int = DEFAULT_BINS
    ) -> dict[str, float]:
        """Take the temperature back; see :func:`.tables.uncalibrated_metrics`."""
        return tables.uncalibrated_metrics(frame, classes, split, temperature, bins=bins)

    def split_tables(
        self, part: pd.DataFrame, classes: Sequence[str], *, bins: int = DEFAULT_BINS
    ) -> Mapping[str, pd.DataFrame]:
        """Make the tables of :func:`.tables.split_tables`: per class, confusion, mistakes, reliability."""
        return tables.split_tables(part, classes, bins=bins)

    def paired_answers(self, frame: pd.DataFrame, classes: Sequence[str]) -> LabelledProbabilities:
        """Return labels and answers as arrays."""
        return LabelledProbabilities.of(frame, classes)

    def suspected_labels(self, dynamics: pd.DataFrame | None, predictions: pd.DataFrame | None) -> pd.DataFrame:
        """Doubt labels by how they were learnt and answered; see :mod:`.label_errors`."""
        return suspected_labels(dynamics, predictions)

    def check_labels(
        self, images: pd.DataFrame, features: NDArray[np.float32], *, progress: Progress = silent
    ) -> LabelCheck:
        """Doubt labels by answers of classifiers that never saw them; see :mod:`.suspects`."""
        return check_labels(images, features, progress=progress)


SINGLE_LABEL = SingleLabel()
