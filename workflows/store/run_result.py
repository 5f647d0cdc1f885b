"""The result of a run: the document that `train --json` prints, also in `result.json` and in the run's record.

It is defined here alone. Fields that a result of an older release lacks have their default; what
this release does not know stays in it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workflows.store.answers import TrainingAnswer
from workflows.targets.metrics import meaningful

Facts = Annotated[dict[str, Any], BeforeValidator(lambda found: found or {})]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_the_default(cls, found: Any) -> Any:
        """Read what is null, and may not be, as absent: one odd document must not end the listing of all runs."""
        if not isinstance(found, dict):
            return found
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        needed = {name for name, field in fields.items() if field.default is not None}
        return {name: value for name, value in found.items() if value is not None or name not in needed}


class DatasetUsed(_Part):
    """The version that the run trained on."""

    name: str = ""
    version: int | None = None
    images: int | None = None
    classes: list[str] = []


class RunResult(_Part):
    """The whole document, in the order in which it is written."""

    run_id: str = ""
    state: str = ""
    workflow: Facts = {}
    dataset: DatasetUsed = DatasetUsed()
    splits: dict[str, int] = {}
    """Images by split."""
    imported: Facts = Field({}, alias="import")
    """How many files were accepted, rejected and ignored, if the run imported its images."""
    findings: list[dict[str, Any]] = []
    """What the audit noted."""
    metrics: Annotated[dict[str, dict[str, Any] | None], BeforeValidator(lambda found: found or {})] = {}
    """By split; None for one that was not evaluated."""
    judged: Facts | None = None
    """The accuracy that stands for the run, on which images, and whether these also chose the checkpoint; None if it was
    not evaluated. See `workflows.targets.judged`."""
    suspected_labels: int = 0
    training: TrainingAnswer = TrainingAnswer()
    calibration: Facts = {}
    further: Facts = {}
    """The results of steps that have no other field, by their keys."""
    weights: Facts = {}
    """`origin` and `sha256` of the first weights."""
    seconds: dict[str, float] = {}
    """Wall-clock time by step."""
    images_per_second: float | None = None
    device: str | None = None
    hardware: str | None = None
    estimate: Facts | None = None
    """With `actual_seconds` and how well it was met."""
    versions: dict[str, str] = {}
    artifacts: dict[str, str] = {}
    """The files left for people, by name."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_says_nothing(cls, found: Any) -> Any:
        """Leave out metrics that mean nothing of so few classes, which earlier releases stored."""
        dataset = found.get("dataset") if isinstance(found, dict) else None
        classes = len(dataset.get("classes") or ()) if isinstance(dataset, dict) else 0
        metrics = found.get("metrics") if classes else None
        if not isinstance(metrics, dict):
            return found
        kept = {
            name: meaningful(values, classes) if isinstance(values, dict) else values
            for name, values in metrics.items()
        }
        return {**found, "metrics": kept}

    def metrics_of(self, split: str) -> dict[str, Any]:
        """Return the metrics of a split; empty if it was not evaluated."""
        return self.metrics.get(split) or {}

    def document(self) -> dict[str, Any]:
        """Return the document as it was read or made."""
        return self.model_dump(by_alias=True, exclude_unset=True)
