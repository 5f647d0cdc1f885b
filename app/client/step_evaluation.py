"""The predictions of one evaluation of a run, and everything computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from workflows.evaluation.thresholds import confidence_histogram, coverage_curve
from workflows.targets.calibration import reliability_curve
from workflows.targets.single_label.confusion import confusion_counts, most_confused_pairs
from workflows.targets.single_label.labels import IntArray
from workflows.targets.single_label.metrics import metrics_from_columns, per_class_metrics


class StepEvaluation:
    """Predictions and their metrics; each part is computed at its first use, then cached.

    Attributes:
        frame: one row per image: `image_id`, `label`, `predicted` (categories), `confidence`,
            `label_confidence`, `log_loss`, `correct`, `predicted_before`, `confidence_before`, `change`.
        classes: the class names; a class's index is its place here.
        compared_with: the epoch that the changes are counted from; None if there is none.
        uncalibrated: `average_confidence`, `ece` and `log_loss` before a temperature was applied; empty if none was.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        classes: tuple[str, ...],
        compared_with: int | None,
        uncalibrated: Mapping[str, float] | None = None,
    ) -> None:
        self.frame, self.classes, self.compared_with = frame, classes, compared_with
        self.uncalibrated = dict(uncalibrated or {})

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The document of :func:`workflows.targets.single_label.metrics.metrics_from_columns`; empty without images."""
        if self.frame.empty:
            return {}
        labels, predicted = (self._codes[name].to_numpy() for name in ("label", "predicted"))
        confidence, losses = (self._codes[name].to_numpy() for name in ("confidence", "log_loss"))
        return metrics_from_columns(labels, predicted, confidence, losses, None, classes=self.classes)

    @cached_property
    def matrix(self) -> IntArray:
        """int[c, c]: images by true class (rows) and predicted class (columns)."""
        return confusion_counts(self._codes["label"], self._codes["predicted"], self.classes)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """The table of :func:`workflows.targets.single_label.metrics.per_class_metrics`."""
        codes = self._codes
        return per_class_metrics(codes["label"], codes["predicted"], codes["confidence"], self.classes)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The table of :func:`workflows.targets.single_label.confusion.most_confused_pairs`."""
        return most_confused_pairs(self.frame)

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """The table of :func:`workflows.targets.calibration.reliability_curve`."""
        return reliability_curve(self.frame["confidence"], self.frame["correct"])

    @cached_property
    def histogram(self) -> pd.DataFrame:
        """The table of :func:`workflows.evaluation.thresholds.confidence_histogram`."""
        return confidence_histogram(self.frame["confidence"], self.frame["correct"])

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """The table of :func:`workflows.evaluation.thresholds.coverage_curve`."""
        return coverage_curve(self.frame["confidence"], self.frame["correct"])

    @cached_property
    def _codes(self) -> pd.DataFrame:
        """The columns that metrics need, classes as codes: names would be looked up one by one."""
        codes = {name: self.frame[name].cat.codes.astype("int64") for name in ("label", "predicted")}
        return self.frame[["confidence", "log_loss"]].assign(**codes)
