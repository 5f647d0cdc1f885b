"""The results of the steps of a run: stored in the run's folder, read by later steps and by the result.

An answer of an older release lacks what came later, which then has its default; what this release does not know stays.
A kind of node whose answer nobody else reads needs no class of its own: `StageAnswer(images=3)`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class StageAnswer(BaseModel):
    """What one step answered: plain data."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    key: ClassVar[str] = ""
    """Of the step whose answer others read by this class."""

    seconds: float | None = None
    """Wall-clock time that the step took."""
    cached: bool = False
    """Whether it was taken over from another run."""

    def document(self) -> dict[str, Any]:
        """Return the answer as it was read or made."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class DatasetAnswer(StageAnswer):
    """The version that the run uses."""

    key = "dataset"

    name: str
    version: int
    images: int
    classes: list[str]
    fingerprint: str = ""
    imported: dict[str, Any] = Field({}, alias="import")
    """How many files were accepted, rejected and ignored, if the run imported its images."""


class AuditAnswer(StageAnswer):
    """What the audit noted."""

    key = "audit"

    findings: list[dict[str, Any]] = []


class WorkflowAnswer(StageAnswer):
    """The graph that the run walks; it lies in a file of its own."""

    key = "workflow"

    name: str = ""
    goal: str | None = None
    device: str
    """`cpu`, or GPU numbers such as `0` or `0,1`."""
    estimate: dict[str, Any] | None = None


class SplitAnswer(StageAnswer):
    """How many images each split has."""

    key = "split"

    train: int = 0
    val: int = 0
    test: int = 0

    def counts(self) -> dict[str, int]:
        """Return the images by split."""
        return {"train": self.train, "val": self.val, "test": self.test}


class WeightsAnswer(StageAnswer):
    """The first weights."""

    key = "weights"

    path: str | None = None
    """Their file; None for random ones."""
    origin: str | None = None
    sha256: str | None = None


class EvaluationAnswer(StageAnswer):
    """What the classifier was measured at."""

    key = "evaluation"

    metrics: dict[str, dict[str, Any] | None] = {}
    suspected_labels: int = 0


class TrainingAnswer(StageAnswer):
    """What came of the training."""

    key = "training"

    epochs: int | None = None
    """Epochs trained; fewer than requested if it stopped early."""
    best_step: int | None = None
    monitor: str | None = None
    """The validation metric that chose the best step; None if all validation images taught: then it is the last."""
    best_value: float | None = None
    """The monitored metric at the best step."""
    batch: int | None = None
    """Images that went through the network at once: the batch, or as many of it as the device had memory for."""
    images_per_second: float | None = None
    train_seconds: float | None = None
    """Seconds spent in training passes (not in validation), over all attempts."""
    device: str | None = None
    memory_bytes: int | None = None
    """Peak memory of the device; None on a CPU."""

    @property
    def chosen(self) -> bool:
        """Whether validation images chose the weights; not where all of them taught."""
        return "best_value" not in self.model_fields_set or self.best_value is not None
