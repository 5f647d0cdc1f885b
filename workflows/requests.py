"""Requests: the fields of a training, a tuning, a retraining and a schedule, each with its bounds and its description.

Options of the command line and forms of the studio are made from these fields. Cheap to import: pydantic is all it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflows.errors import UsageError
from workflows.goals import DEFAULT_GOAL, Goal

IMAGE_SIZE: dict[str, Any] = {"ge": 32, "le": 1280, "multiple_of": 32}
"""Bounds of the network's input in pixels: it is halved five times."""
SHORTEST_SECONDS = 10
"""The shortest interval of a schedule."""

Start = Literal["champion", "pretrained"]
StartFrom = Literal["champion", "pretrained", "both"]
Requirement = Literal["better", "not-worse"]
RefitOn = Literal["train", "train+val"]
Overlap = Literal["skip", "queue"]
Missed = Literal["run-once", "skip"]
Request = TypeVar("Request", bound=BaseModel)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainRequest(_Request):
    """All options of `train`, so that it can be repeated."""

    dataset: str | None = Field(None, description="Name of a data set in the store.")
    version: int | None = Field(None, ge=1, description="Its version; by default the newest.")
    source: str | None = Field(None, description="A folder or archive to import first, instead of a data set.")
    goal: Goal = Field(DEFAULT_GOAL, description="What the recommended workflow aims at.")
    workflow: dict[str, Any] | None = Field(None, description="Run this workflow instead of the recommended one.")
    epochs: int | None = Field(None, ge=1, description="Passes over the training images.")
    size: int | None = Field(
        None, **IMAGE_SIZE, description="Side of the network's square input in pixels, a multiple of 32."
    )
    seed: int | None = Field(None, ge=0, description="Seed of everything random; the same seed gives the same result.")
    weights: str | None = Field(
        None, description="Initial weights: auto (official ImageNet weights), none (random), or a file."
    )
    device: str | None = Field(None, description="Where to compute: auto, cpu, a GPU number, or several: 0,1.")
    minutes: float | None = Field(None, ge=0.1, description="Time limit of the training, in minutes.")
    labels: str | None = Field(None, description="A CSV file with the columns filename and label.")
    filename_column: str | None = Field(
        None, description="The label file's column of file names; found by its name by default."
    )
    label_column: str | None = Field(
        None, description="The label file's column of labels; found by its name by default."
    )
    split: tuple[float, float, float] = Field(
        (0.70, 0.15, 0.15), description="Shares of train/val/test when a folder is imported."
    )
    group_by: str | None = Field(
        None, description="Images that agree in this stay in one split: a pattern on the path, or a column of labels."
    )
    allow: tuple[str, ...] = Field((), description="An error of the data set's audit to ignore, by its key.")
    trust: bool = Field(False, description="Unpickle a .pt file whose checksum is unknown: it can run any code.")


class TuneRequest(_Request):
    """All options of `tune`."""

    dataset: str = Field(description="The data set.")
    version: int | None = Field(None, ge=1, description="Its version; by default the newest.")
    budget_seconds: float | None = Field(None, gt=0, description="Total computing time of all workers.")
    trials: int | None = Field(None, ge=1, description="Total number of trials.")
    goal: Goal = Field(DEFAULT_GOAL, description="What the recommended workflow to start from aims at.")
    workflow: dict[str, Any] | None = Field(
        None, description="The workflow to start from, instead of the recommended one."
    )
    size: int | None = Field(
        None, **IMAGE_SIZE, description="Image size to start from, instead of the recommended one; a multiple of 32."
    )
    epochs: int | None = Field(None, ge=1, description="Epochs to start from, instead of the recommended ones.")
    weights: str | None = Field(
        None, description="Initial weights, instead of the workflow's: auto, none (random), or a file."
    )
    device: str | None = Field(
        None, description="Where to compute, instead of on the workflow's device: auto, cpu, a GPU number."
    )
    refit: RefitOn = Field(
        "train",
        description="What the winner is trained on before its test: train, with the epoch chosen on validation; or "
        "train+val, for as many epochs as were best in the search.",
    )
    seed: int = Field(0, ge=0, description="Seed of the search; the same seed gives the same trials.")
    allow: tuple[str, ...] = Field((), description="An error of the data set's audit to ignore, by its key.")


class PromotionRules(_Request):
    """The rules for promoting a challenger."""

    require: Requirement = Field(
        "better",
        description="better: significantly more images right; not-worse: within the margin, with confidence.",
    )
    level: float = Field(0.05, gt=0, lt=0.5, description="Significance level of McNemar's exact test (two-sided).")
    margin: float = Field(
        0.01, ge=0, lt=1, description="Non-inferiority margin: how much top-1 accuracy may be lost, with not-worse."
    )
    class_drop: float = Field(0.10, ge=0, le=1, description="Largest loss of recall allowed for any class.")
    class_support: int = Field(
        10, ge=1, description="Classes with fewer test images can't prevent a promotion; they are only reported."
    )


class RetrainSettings(_Request):
    """When a retraining is worthwhile, how the challenger is trained, and the rules for promotion."""

    min_changes: int = Field(
        20,
        ge=0,
        description="Minimum number of images added, removed or relabelled for a retraining; at most the number of new "
        "images that starts one.",
    )
    start_from: StartFrom = Field(
        "pretrained",
        description="Initial weights: the champion's, pretrained (those of the champion's workflow, usually "
        "ImageNet's), or both: two challengers, of which the better on the validation images is used.",
    )
    epochs: int | None = Field(None, ge=1, description="Epochs instead of the champion's.")
    device: str | None = Field(None, description="Where to compute, instead of on the champion's device.")
    allow: tuple[str, ...] = Field((), description="An error of the data set's audit to ignore, by its key.")
    rules: PromotionRules = PromotionRules()


class ScheduleRequest(_Request):
    """When a model is to be retrained: exactly one of `cron`, `every_seconds` and `on_new_images`."""

    cron: str | None = Field(None, description="Minute, hour, day of month, month, day of week.")
    every_seconds: int | None = Field(None, ge=SHORTEST_SECONDS, description="An interval.")
    on_new_images: int | None = Field(
        None, ge=1, description="Number of new labelled images since the last retraining that starts another."
    )
    timezone: str | None = Field(None, description="Time zone of the cron line (IANA name); this machine's by default.")
    overlap: Overlap = Field("skip", description="If the model is being retrained already: skip this time, or queue.")
    missed: Missed = Field("run-once", description="For runs missed while the studio was off: run once, or skip them.")


def validated(model: type[Request], fields: Mapping[str, Any], saying: str = "") -> Request:
    """Return the request with these fields. Raises UsageError, its message after `saying`, if one is invalid."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{saying}{problems}.", "Correct it and try again.") from error
