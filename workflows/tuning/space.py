"""The search space of a tuning: only settings that affect a classification run.

Every dimension has a name and a range around the value of the workflow that the tuning starts from, and is left out where it
can't matter (class weights on balanced classes, the square transform if all images are square).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflows.graph.workflow import Workflow
from workflows.nodes.augmentation import AugmentationSettings

STEP = 32
RATE_RANGE = 6.0
"""The learning rate is searched from this many times below to this many times above the start."""
SGD_FACTOR = 10.0
"""SGD takes steps in proportion to the gradient; it needs about this many times AdamW's rate."""
SIZE_FACTORS = (0.75, 1.0, 1.25, 1.5)
STRENGTH = (0.0, 2.0)
LARGEST_PIXELS = 640

# Augmentations that scale with the strength: each is multiplied by it and clipped to its range.
_SCALED = (
    "rotate",
    "translate",
    "zoom",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grayscale",
    "blur",
    "noise",
    "erase",
)


@dataclass(frozen=True)
class Dimension:
    """One dimension of the search.

    Attributes:
        kind: `number` (from `low` to `high`, evenly on a logarithmic scale if `log`), `whole` (the same for integers),
            or `choice` (one of `choices`).
        start: the value of the workflow that the tuning starts from.
    """

    name: str
    kind: Literal["number", "whole", "choice"]
    start: Any
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


def search_space(
    workflow: Workflow, *, imbalance: float, square_matters: bool, sizes: Sequence[str] = ()
) -> tuple[Dimension, ...]:
    """Return the search space around `workflow`.

    Args:
        workflow: where the tuning starts.
        imbalance: images of the largest class over those of the smallest, in the training split.
        square_matters: whether images are far enough from square for the square transform to matter.
        sizes: model sizes whose initial weights are available; always including the workflow's own.
    """
    model, training = workflow.model, workflow.training
    base = training.learning_rate / (SGD_FACTOR if training.optimizer == "SGD" else 1.0)
    space = [
        Dimension("optimizer", "choice", training.optimizer, choices=("AdamW", "SGD")),
        Dimension("learning_rate", "number", base, base / RATE_RANGE, base * RATE_RANGE, log=True),
        Dimension("image_size", "choice", model.image_size, choices=_sizes_around(model.image_size)),
        Dimension("epochs", "whole", training.epochs, max(2, training.epochs // 2), 2 * training.epochs, log=True),
        *([Dimension("augmentation", "number", 1.0, *STRENGTH)] if workflow.nodes_of("augmentation") else []),
        Dimension("dropout", "number", model.dropout, 0.0, max(0.5, model.dropout)),
        Dimension("label_smoothing", "number", training.label_smoothing, 0.0, max(0.2, training.label_smoothing)),
    ]
    models = tuple(dict.fromkeys((model.size, *sizes)))
    if len(models) > 1:
        space.append(Dimension("model_size", "choice", model.size, choices=models))
    if imbalance > 1.5:
        weightings = ("none", "sqrt", "balanced")
        space.append(Dimension("class_weighting", "choice", training.class_weighting, choices=weightings))
    if square_matters:
        space.append(Dimension("square", "choice", model.square, choices=("crop", "pad", "stretch")))
    return tuple(space)


def _sizes_around(size: int) -> tuple[int, ...]:
    near = {max(STEP, round(size * factor / STEP) * STEP) for factor in SIZE_FACTORS}
    return tuple(sorted({min(side, max(size, LARGEST_PIXELS)) for side in near} | {size}))


def start_of(space: Sequence[Dimension]) -> dict[str, Any]:
    """Return the point of the space that is the workflow itself."""
    return {dimension.name: dimension.start for dimension in space}


def workflow_at(base: Workflow, point: dict[str, Any]) -> Workflow:
    """Return `base` changed to a point of its search space.

    Raises:
        WorkflowError: a value is out of the settings' range.
    """
    rate = point["learning_rate"] * (SGD_FACTOR if point["optimizer"] == "SGD" else 1.0)
    training = {
        "optimizer": point["optimizer"],
        "learning_rate": float(f"{rate:.4g}"),
        "epochs": point["epochs"],
        "label_smoothing": round(point["label_smoothing"], 3),
        "patience": 0,  # hopeless trials are pruned by comparison with the others
    }
    model = {"image_size": point["image_size"], "dropout": round(point["dropout"], 3)}
    if "class_weighting" in point:
        training["class_weighting"] = point["class_weighting"]
    for name, field in (("model_size", "size"), ("square", "square")):
        if name in point:
            model[field] = point[name]
    changed = base.with_settings("model", **model).with_settings("training", **training)
    if "augmentation" not in point:
        return changed
    return changed.with_settings("augmentation", **strengthened(base.augmentation, point["augmentation"]))


def strengthened(settings: AugmentationSettings, strength: float) -> dict[str, float]:
    """Return the augmentations that grow with `strength` (1 = unchanged, 0 = none), within their ranges."""
    limits = {"rotate": 180.0, "translate": 0.5, "zoom": 0.9, "hue": 0.5}
    changed = {
        name: round(min(getattr(settings, name) * strength, limits.get(name, 1.0)), 4)
        for name in _SCALED
        if getattr(settings, name)
    }
    cut = min((1.0 - settings.crop_min) * strength, 0.92)
    return {**changed, "crop_min": round(1.0 - cut, 4)}
