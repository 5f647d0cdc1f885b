"""Every metric by name, and the words for it; each target chooses which of them are measured.

A name means the same number wherever it stands: in documents, tables, curves (`val/top1`) and workflows (`monitor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, and how it is read."""

    name: str
    """In documents and tables."""
    title: str
    """In running text and lists of metrics."""
    heading: str
    """Over a column or curve; of a mean over classes without these words (see `long_heading`)."""
    words: str
    """What it says, in half a sentence."""
    short: str = ""
    """Over a figure in a narrow place; empty for the heading."""
    better: Literal["more", "less", ""] = "more"
    """Which values are better; empty where neither is."""
    form: Literal["share", "number", "count"] = "share"
    """A share in [0, 1], another number, or a count."""
    over_classes: bool = False
    """Whether it is a mean over the classes that have images; those without are named beside it."""
    least_classes: int = 0
    """With fewer classes it says nothing, and is left out."""

    def on(self, split: str) -> str:
        """Return what its curve is called: `val/top1`."""
        return f"{split}/{self.name}"

    @property
    def long_heading(self) -> str:
        """The heading where nothing else says that it is a mean."""
        return f"{self.heading}, mean over classes" if self.over_classes else self.heading


TOP1 = Metric("top1", "top-1 accuracy", "Top-1", "the first answer is right")
TOP5 = Metric("top5", "top-5 accuracy", "Top-5", "the right class is among the first five answers", least_classes=6)
PRECISION = Metric(
    "precision_macro",
    "precision (macro)",
    "Precision",
    "when the model says a class, it is that class",
    over_classes=True,
)
RECALL = Metric(
    "recall_macro", "recall (macro)", "Recall", "photos of a class are recognised as such", over_classes=True
)
F1 = Metric(
    "f1_macro",
    "F1 (macro)",
    "F1",
    "precision and recall in one figure; every class counts the same",
    over_classes=True,
)
AVERAGE_CONFIDENCE = Metric(
    "average_confidence",
    "average confidence",
    "Average confidence",
    "how sure the model claims to be",
    short="Confidence",
    better="",
)
ECE = Metric(
    "ece",
    "expected calibration error",
    "Calibration error",
    "average gap between confidence and success; 0 is best",
    short="ECE",
    better="less",
    form="number",
)
LOG_LOSS = Metric(
    "log_loss",
    "log loss",
    "Log loss",
    "penalty for confident mistakes; 0 is best",
    better="less",
    form="number",
)
SUPPORT = Metric("support", "images", "Images", "images these figures rest on", better="", form="count")

METRICS = {
    metric.name: metric for metric in (TOP1, TOP5, PRECISION, RECALL, F1, AVERAGE_CONFIDENCE, ECE, LOG_LOSS, SUPPORT)
}
"""By name, in the order in which they are listed."""


def meaningful(metrics: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Return a split's figures without those that say nothing of so few classes: top-5 of up to five is always 1.

    Earlier releases measured and stored it all the same.
    """
    return {
        name: value for name, value in metrics.items() if name not in METRICS or METRICS[name].least_classes <= classes
    }


def metric_of(name: str) -> Metric | None:
    """Return the metric that a name means, also of a curve such as `val/f1_macro`; None for a name of something else."""
    return METRICS.get(name.rpartition("/")[2])
