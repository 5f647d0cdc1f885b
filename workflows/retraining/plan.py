"""What a retraining would work with: the champion, the newest data, what is new, and which images judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from workflows.data.catalog import get_version
from workflows.data.history import diff
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError
from workflows.graph.workflow import Workflow
from workflows.registry.models import champion, frozen_images
from workflows.retraining.decision import PromotionRules
from workflows.store.models import ModelVersion
from workflows.store.store import Store

CHALLENGERS_FILE = "challengers.json"
"""In the folder of a decision: the runs of its challengers, by how they start."""

Start = Literal["champion", "pretrained"]
StartFrom = Literal["champion", "pretrained", "both"]


class RetrainSettings(BaseModel):
    """When a retraining is worth it, how the challenger is made, and what it must show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_changes: int = Field(20, ge=0, description="Images added, removed or relabelled that make it worth training.")
    start_from: StartFrom = Field(
        "pretrained",
        description="First weights: the `champion`'s, `pretrained` (those that the champion's workflow names, usually "
        "ImageNet's), or `both`: two challengers, of which the better on the validation images stands.",
    )
    epochs: int | None = Field(None, ge=1, description="Epochs instead of the champion's.")
    device: str | None = Field(None, description="Device instead of the champion's.")
    allow: tuple[str, ...] = Field((), description="Audit findings that don't stop the training.")
    rules: PromotionRules = PromotionRules()


@dataclass(frozen=True)
class RetrainPlan:
    """What a retraining would work with.

    Attributes:
        version: the newest version of the champion's data set.
        changes: images `added`, `removed` and `relabelled` since the champion's version, labelled ones only.
        enough: whether that is worth a training.
        judges: the frozen test images on which both models are judged, with their newest labels: columns image_id,
            path, sha256, split (always `test`), label.
        starts: what challengers start from, one for each.
        notes: what a person should know: classes that only one of the two knows, test images that are gone.
    """

    champion: ModelVersion
    version: DatasetVersion
    changes: dict[str, int]
    enough: bool
    judges: pd.DataFrame
    starts: tuple[Start, ...]
    notes: tuple[str, ...]

    @property
    def changed(self) -> int:
        """Number of images that differ from the champion's data."""
        return sum(self.changes.values())


def plan_retraining(store: Store, model: str, settings: RetrainSettings) -> RetrainPlan:
    """Find out what a retraining of `model` would work with.

    Raises:
        ModelError: unknown model, or one without a champion.
        DatasetError: the champion's data set is gone, or none of its test images is left to judge by.
    """
    current = champion(store, model)
    newest = get_version(store, current.dataset)
    changes = _changes(store, current, newest)
    judges, notes = _judges(store, current, newest)
    starts, said = _starts(store, current, settings)
    enough = sum(changes.values()) >= settings.min_changes
    return RetrainPlan(current, newest, changes, enough, judges, starts, (*notes, *said))


def _starts(store: Store, current: ModelVersion, settings: RetrainSettings) -> tuple[tuple[Start, ...], list[str]]:
    """Return what challengers start from, and what is to be said about it."""
    if settings.start_from != "both":
        return (settings.start_from,), []
    workflow = store.runs.get(current.run_id).workflow
    if workflow is None or Workflow.model_validate(workflow).split.train_on == "train":
        return ("champion", "pretrained"), []
    said = "The champion's workflow leaves no validation images to choose between two challengers by: one was trained."
    return ("pretrained",), [said]


def _changes(store: Store, current: ModelVersion, newest: DatasetVersion) -> dict[str, int]:
    if newest.number == current.version:
        return {"added": 0, "removed": 0, "relabelled": 0}
    found = diff(store, current.dataset, current.version, newest.number)
    # an image that is still to be labelled teaches nothing
    return {
        "added": sum(change.after is not None for change in found.added),
        "removed": sum(change.before is not None for change in found.removed),
        "relabelled": len(found.relabelled),
    }


def _judges(store: Store, current: ModelVersion, newest: DatasetVersion) -> tuple[pd.DataFrame, list[str]]:
    """Return the frozen test images with their newest labels, of the classes that both versions know."""
    frozen = frozen_images(store, current)
    table = newest.labelled()
    labels = table.set_index("image_id")["label"].astype(object)
    present = frozen["image_id"].isin(labels.index)
    judges = frozen[present].assign(split="test", label=frozen.loc[present, "image_id"].map(labels))
    old, new = set(current.card["classes"]), set(newest.classes)
    common = judges["label"].isin(old & new)
    notes = []
    if not present.all():
        notes.append(f"{int((~present).sum())} of {len(frozen)} frozen test images are no longer in the data set.")
    if new - old:
        notes.append(f"Classes that the champion does not know, left out of the comparison: {_named(new - old)}.")
    if old - new:
        notes.append(f"Classes that are gone from the data, left out of the comparison: {_named(old - new)}.")
    if not common.any():
        raise DatasetError(
            f"None of the test images that {current} was registered with can be used to judge: they are no longer in "
            f"{newest}, or their classes are not known to both.",
            "Train on the data set by hand, and register the run as a new model.",
        )
    return judges[common].reset_index(drop=True), notes


def leaked(plan: RetrainPlan, trained_on: pd.DataFrame) -> list[str]:
    """Return the paths of judging images whose very content was trained on; there must be none.

    Args:
        trained_on: records of a run (columns split, sha256).
    """
    taught = set(trained_on.loc[trained_on["split"] == "train", "sha256"])
    return sorted(plan.judges.loc[plan.judges["sha256"].isin(taught), "path"])


def _named(classes: set[str]) -> str:
    shown = sorted(classes)
    return ", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")
