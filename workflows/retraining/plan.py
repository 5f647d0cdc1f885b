"""The plan of a retraining: the champion, the newest data, what has changed, and the test images for the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pydantic import ValidationError

from workflows.data.catalog import get_version
from workflows.data.history import diff
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, FieldguideError, ModelError
from workflows.graph.workflow import Workflow
from workflows.nodes.split import SplitSettings, split_records
from workflows.registry.models import champion, frozen_images, frozen_split
from workflows.requests import RetrainSettings, Start
from workflows.store.models import ModelVersion
from workflows.store.names import counted
from workflows.store.store import Store
from workflows.targets.judged import HeldOut
from workflows.words import listed

CHALLENGERS_FILE = "challengers.json"
"""In the folder of a decision: the runs of its challengers, by their initial weights."""


@dataclass(frozen=True)
class RetrainPlan:
    """The plan of a retraining.

    Attributes:
        version: the newest version of the champion's data set.
        changes: images `added`, `removed` and `relabelled` since the champion's version, labelled ones only.
        enough: whether these changes are enough for a training.
        test_images: the frozen images on which both models are compared, with their newest labels: columns image_id,
            path, sha256, split (always `judged_on`), label.
        judged_on: `test`; `val` where the champion's run had no test images, so that its validation images were frozen.
        starts: initial weights, one entry per challenger.
        split: the challenger's split settings, those of the champion's workflow.
        notes: remarks for the user: classes that only one of the two knows, test images that no longer exist.
    """

    champion: ModelVersion
    version: DatasetVersion
    changes: dict[str, int]
    enough: bool
    test_images: pd.DataFrame
    judged_on: HeldOut
    starts: tuple[Start, ...]
    split: SplitSettings
    notes: tuple[str, ...]

    @property
    def changed(self) -> int:
        """Number of images that differ from the champion's data."""
        return sum(self.changes.values())


def plan_retraining(store: Store, model: str, settings: RetrainSettings) -> RetrainPlan:
    """Plan a retraining of `model`.

    Raises:
        ModelError: unknown model, or one without a champion, or this installation can't use its workflow.
        DatasetError: the champion's data set was deleted, or none of its test images is left.
    """
    current = champion(store, model)
    newest = get_version(store, current.dataset)
    changes = changes_between(store, current, newest)
    test_images, notes = _test_images(store, current, newest)
    split = _split_of(store, current)
    starts, start_notes = _starts(split, settings)
    enough = sum(changes.values()) >= settings.min_changes
    notes = [*notes, *start_notes]
    judged_on = frozen_split(test_images)
    return RetrainPlan(current, newest, changes, enough, test_images, judged_on, starts, split, tuple(notes))


def _split_of(store: Store, current: ModelVersion) -> SplitSettings:
    document = store.runs.get(current.run_id).workflow
    try:
        return Workflow.model_validate(document).split if document else SplitSettings()
    except ValidationError as error:  # for example, the package that brought its network is gone
        raise ModelError(
            f"The workflow of {current} can't be used by this installation.", "Train and register a new run."
        ) from error


def obstacle(store: Store, model: str, settings: RetrainSettings) -> str:
    """Return why a retraining of `model` can't succeed as its data are now; an empty text if nothing is in its way."""
    try:
        plan = plan_retraining(store, model, settings)
        return leak_reason(plan, leaks_ahead(store, plan))
    except FieldguideError as error:
        return str(error)


def leaks_ahead(store: Store, plan: RetrainPlan) -> list[str]:
    """Return the paths of test images that the challenger would be trained on, before it is trained.

    Raises:
        DatasetError: the workflow makes a new split, and a class has too few images for it.
    """
    return leaked(plan.test_images, split_records(plan.version, plan.split, store.blobs))


def leak_reason(plan: RetrainPlan, paths: Sequence[str]) -> str:
    """Return why test images that are trained on stop a retraining, with advice; empty if there are none."""
    if not paths:
        return ""
    remedy = "Move them back to the test split, or train" if plan.split.source == "version" else "Train"
    return (
        f"{counted(len(paths), 'image')} that the champion is tested on would be trained on, e.g. {paths[0]}: the "
        f"comparison would flatter the challenger. {remedy} on the new split and promote that run."
    )


def _starts(split: SplitSettings, settings: RetrainSettings) -> tuple[tuple[Start, ...], list[str]]:
    """Return the initial weights of the challengers, and notes about them."""
    if settings.start_from != "both":
        return (settings.start_from,), []
    if split.train_on == "train":
        return ("champion", "pretrained"), []
    start_notes = (
        "The champion's workflow leaves no validation images to choose between two challengers: only one was trained."
    )
    return ("pretrained",), [start_notes]


def changes_between(store: Store, current: ModelVersion, newest: DatasetVersion) -> dict[str, int]:
    """Return how many labelled images were added, removed or relabelled since a model's version was trained."""
    if newest.number == current.version:
        return {"added": 0, "removed": 0, "relabelled": 0}
    found = diff(store, current.dataset, current.version, newest.number)
    # an image without a label is not trained on
    return {
        "added": sum(change.after is not None for change in found.added),
        "removed": sum(change.before is not None for change in found.removed),
        "relabelled": len(found.relabelled),
    }


def _test_images(store: Store, current: ModelVersion, newest: DatasetVersion) -> tuple[pd.DataFrame, list[str]]:
    """Return the frozen test images with their newest labels, of the classes that both versions know."""
    frozen = frozen_images(store, current)
    table = newest.labelled()
    labels = table.set_index("image_id")["label"].astype(object)
    present = frozen["image_id"].isin(labels.index)
    test_images = frozen[present].assign(label=frozen.loc[present, "image_id"].map(labels))
    old, new = set(current.card["classes"]), set(newest.classes)
    common = test_images["label"].isin(old & new)
    notes = []
    if not present.all():
        notes.append(f"{int((~present).sum())} of {len(frozen)} frozen images are no longer in the data set.")
    if new - old:
        notes.append(f"Classes that the champion does not know, left out of the comparison: {_named(new - old)}.")
    if old - new:
        notes.append(f"Classes that are no longer in the data, left out of the comparison: {_named(old - new)}.")
    if not common.any():
        raise DatasetError(
            f"None of the images that {current} was registered with can be used for the comparison: they are no longer in "
            f"{newest}, or their classes are not known to both models.",
            "Train on the data set by hand, and register the run as a new model.",
        )
    return test_images[common].reset_index(drop=True), notes


def leaked(test_images: pd.DataFrame, records: pd.DataFrame) -> list[str]:
    """Return the paths of judging images whose very content is trained on; there must be none.

    Args:
        test_images: images on which models are compared (columns path, sha256).
        records: of a run (columns split, sha256).
    """
    trained_on = set(records.loc[records["split"] == "train", "sha256"])
    return sorted(test_images.loc[test_images["sha256"].isin(trained_on), "path"])


def _named(classes: set[str]) -> str:
    return listed(sorted(classes), full="fieldguide dataset show, and the champion's model card")
