"""The node `split`: which images are for training, validation and test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from workflows.errors import DatasetError
from workflows.graph.kinds import NodeKind, Stage
from workflows.graph.settings import NodeSettings, Probability
from workflows.store.answers import SplitAnswer
from workflows.store.names import counted

if TYPE_CHECKING:
    import pandas as pd

    from workflows.data.version import DatasetVersion
    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext
    from workflows.store.blobs import Blobs
    from workflows.targets.base import Target


class SplitSettings(NodeSettings):
    """Which images are for training, validation (to choose the checkpoint) and test."""

    source: Literal["version", "new"] = Field(
        default="version",
        description="`version`: the split stored with the data set; `new`: make one for this run only.",
    )
    train_on: Literal["train", "train+val"] = Field(
        default="train",
        description="Training images. `train+val`: the validation images, too. None are then left to choose a "
        "checkpoint with, so training runs for all epochs and saves the last weights; there must be test images.",
    )
    train: Probability = Field(default=0.70, description="Share of images for training (only for `new`).")
    val: Probability = Field(default=0.15, description="Share of images for validation (only for `new`).")
    test: Probability = Field(default=0.15, description="Share of images for the final test (only for `new`).")
    seed: int = Field(default=0, ge=0, description="Seed of the split (only for `new`).")

    @model_validator(mode="after")
    def _shares_add_up(self) -> SplitSettings:
        if abs(self.train + self.val + self.test - 1.0) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but is {self.train + self.val + self.test:g}")
        return self


def split_records(version: DatasetVersion, settings: SplitSettings, blobs: Blobs) -> pd.DataFrame:
    """Return the labelled images of a version (the target's `record_columns`), each in its split of a run.

    Raises DatasetError if a new split was requested and a class has too few images.
    """
    import pandas as pd

    table = version.labelled()
    if settings.source == "new":
        from workflows.data.facts import version_near
        from workflows.data.splits import assign_splits

        table = table.assign(split=None, near=table["sha256"].map(version_near(version, blobs)))
        shares = (settings.train, settings.val, settings.test)
        table = table.assign(split=pd.Series(assign_splits(table, shares, settings.seed)))
    if settings.train_on == "train+val":
        table = table.assign(split=table["split"].astype(str).replace("val", "train"))
    return table[list(version.target().record_columns)].sort_values("image_id", ignore_index=True)


def prepare_split(context: RunContext, step: Step) -> SplitAnswer:
    """Record the split of each image for this run."""
    from workflows.data.version import SPLITS
    from workflows.store.files import write_table
    from workflows.targets.registry import metadata_of

    settings: SplitSettings = step.settings
    target = context.version.target()
    records = split_records(context.version, settings, context.store.blobs)
    needed = ("train", "test") if settings.train_on == "train+val" else ("train", "val")
    counts: dict[str, int] = {split: int((records["split"] == split).sum()) for split in SPLITS}
    missing = [split for split in needed if not counts[split]]
    if missing:
        raise DatasetError(
            f"Data set {context.version.name} has no photos in split {' and '.join(missing)}.",
            "Import it again with --split 70/15/15, or set the workflow's split node to `source: new`.",
        )
    _check_classes_trained(records, target, context.version.name)
    write_table(context.folder.records, records, metadata_of(target))
    return SplitAnswer(**counts)


def _check_classes_trained(records: pd.DataFrame, target: Target, name: str) -> None:
    untrained = target.absent(records, "train")
    if untrained:
        raise DatasetError(
            f"Data set {name} has no training photos of {counted(len(untrained), 'class', 'classes')}:",
            "Add photos of these classes to the training split, or remove the classes.",
            problems=untrained,
        )


def _summary(settings: SplitSettings) -> str | None:
    return "as stored with the data set" if settings.source == "version" else None


KIND = NodeKind(
    name="split",
    settings=SplitSettings,
    title="Split",
    inputs=("photos",),
    outputs=("split",),
    stages=(Stage("split", "split", prepare_split),),
    cost_fields=frozenset({"source", "train_on", "train", "val", "test"}),
    shown_fields=("source", "train", "val", "test"),
    summary=_summary,
)
