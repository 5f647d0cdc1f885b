"""What judged a classifier: which held-out images, how many, how sure its accuracy is, and whether it is optimistic.

Every place that shows an accuracy gets it here, with the words for the images behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workflows.targets.metrics import TOP1

HeldOut = Literal["val", "test"]

IMAGES: dict[str, str] = {"test": "test images", "val": "validation images"}
"""What the images of a held-out split are called."""

OPTIMISTIC = "These validation images also chose the checkpoint, so the figure is optimistic."
"""To be said wherever validation images judge: the best of several checkpoints looks better than it is."""

OPTIMISTIC_COMPARISON = (
    "There were no test images: these validation images also chose the champion's checkpoint, so its accuracy is "
    "optimistic. So is that of any challenger whose checkpoint was chosen on them."
)
"""The same for a comparison on frozen validation images."""

OPTIMISTIC_RUNS = (
    "Validation images also chose the checkpoint of each run, so the accuracies are optimistic. Compare on test images "
    "where both runs have them."
)
"""The same for two runs side by side."""

NO_TEST_IMAGES = (
    "There are no test images. The model will be judged on the validation images, which also choose the "
    "checkpoint: its accuracy will look better than it is."
)
"""To be said before a training."""


@dataclass(frozen=True)
class Judged:
    """The accuracy that stands for a classifier.

    Attributes:
        split: the images that judged it: those of the test split if they were evaluated, else of validation.
        images: how many.
        top1: top-1 accuracy on them.
        interval: its 95 % interval; None where it was not stored.
    """

    split: HeldOut
    images: int
    top1: float
    interval: tuple[float, float] | None

    @property
    def optimistic(self) -> bool:
        """Whether the same images chose the checkpoint.

        Validation images always did: where they were trained on instead, none are left to judge.
        """
        return self.split == "val"

    @property
    def counted(self) -> str:
        """Return `153 validation images`."""
        return counted_images(self.images, self.split)

    @property
    def caution(self) -> str:
        """Return what a reader must know about the figure; empty if it is independent."""
        return OPTIMISTIC if self.optimistic else ""

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        interval = None if self.interval is None else list(self.interval)
        return {
            "split": self.split,
            "images": self.images,
            TOP1.name: self.top1,
            f"{TOP1.name}_ci95": interval,
            "chose_checkpoint": self.optimistic,
        }


def judged_by(metrics: Mapping[str, Mapping[str, Any] | None]) -> Judged | None:
    """Return what judged a classifier; None if it was evaluated on neither test nor validation images.

    Args:
        metrics: by split, as a run's result or a model's version has them.
    """
    for split in ("test", "val"):
        found = judged_on(metrics.get(split) or {}, split)
        if found is not None:
            return found
    return None


def judged_on(metrics: Mapping[str, Any], split: HeldOut) -> Judged | None:
    """Return the accuracy on the images of one split; None if there is none."""
    if metrics.get(TOP1.name) is None:
        return None
    low, high = metrics.get(f"{TOP1.name}_ci95") or (None, None)
    interval = None if low is None or high is None else (float(low), float(high))
    return Judged(split, int(metrics.get("support") or 0), float(metrics[TOP1.name]), interval)


def counted_images(number: int, split: str) -> str:
    """Return `1 test image`, `153 validation images`."""
    words = IMAGES.get(split, f"{split} images")
    return f"{number:,} {words.removesuffix('s') if number == 1 else words}"
