"""Whether a training has begun to memorise its photos, judged from its curves so far.

Two signs, each with the noise it has to exceed: training images are answered better than validation images (the gap),
and validation loss rises although training loss falls (the trend). Training curves are measured on augmented images
while the weights still move, so the gap shown is rather too small than too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workflows.statistics import wilson_interval
from workflows.targets.metrics import TOP1

Curve = Sequence[tuple[float, float]]
"""(step, value), steps ascending."""
Verdict = Literal["none", "memorised", "worsening"]

LEAST_EVALUATIONS = 4
"""With fewer there is no trend to speak of."""
RECENT = 3
"""Evaluations whose median stands for "now": a single one is noisy."""
CERTAIN_GAP = 0.02
"""Of accuracy: the lower bound of a gap that counts. Validation images are others than those that taught, so a gap near
0 is normal."""
LOSS_RATIO, LOSS_GAP = 2.0, 0.1
"""Validation loss over training loss, and the least difference, from which the loss alone shows memorising."""
RISE, RISE_STEPS = 0.05, 2
"""Share by which validation loss exceeds its lowest, so many evaluations later, when it counts as rising."""
NOISE = 1.5
"""A rise counts if it exceeds so many median changes from one evaluation to the next."""


@dataclass(frozen=True)
class Overfitting:
    """The diagnosis of learning curves.

    Attributes:
        verdict: `none`: validation follows training; `memorised`: training images are answered clearly better, but
            validation loss isn't rising; `worsening`: validation loss rises while training loss falls.
        best_step: the step with the lowest validation loss.
        rise: how far validation loss lies above that lowest now, as a share of it, at least 0.
        evaluations: how many evaluations ago the lowest was.
        train_loss, val_loss: medians of the last :data:`RECENT` evaluations.
        gap: top-1 accuracy on training minus validation images, of such medians; None if one of the two is unknown.
        gap_interval: its 95 % interval; None if the numbers of images are unknown.
    """

    verdict: Verdict
    best_step: int
    rise: float
    evaluations: int
    train_loss: float
    val_loss: float
    gap: float | None
    gap_interval: tuple[float, float] | None


def overfitting(curves: Mapping[str, Curve], images: Mapping[str, int] | None = None) -> Overfitting | None:
    """Judge a training by its curves; None before :data:`LEAST_EVALUATIONS` evaluations, or without a training loss.

    Args:
        curves: `train/loss`, `val/loss`, and `train/top1`, `val/top1` where known.
        images: the number of images in `train` and `val`.
    """
    train, val = curves["train/loss"], curves["val/loss"]
    if len(val) < LEAST_EVALUATIONS or not train:
        return None
    best_step, lowest = min(val, key=lambda point: point[1])
    evaluations = sum(step > best_step for step, _ in val)
    rise = max(0.0, val[-1][1] - lowest) / max(abs(lowest), 1e-12)
    train_loss, val_loss = _recent(train), _recent(val)
    gap, interval = _gap(curves, images or {})
    certain = interval is not None and interval[0] > CERTAIN_GAP
    apart = val_loss - train_loss >= LOSS_GAP and val_loss >= LOSS_RATIO * train_loss
    verdict: Verdict = "memorised" if certain or apart else "none"
    if evaluations >= RISE_STEPS and rise >= RISE and _rises(train, val, best_step):
        verdict = "worsening"
    return Overfitting(verdict, int(best_step), rise, evaluations, train_loss, val_loss, gap, interval)


def _recent(curve: Curve) -> float:
    return float(np.median([value for _, value in curve[-RECENT:]]))


def _rises(train: Curve, val: Curve, best_step: float) -> bool:
    """Return whether validation loss went up by more than its noise since `best_step`, while training loss fell."""
    since = [value for step, value in val if step >= best_step]
    noise = float(np.median(np.abs(np.diff(since))))
    then = next((loss for step, loss in train if step >= best_step), train[-1][1])
    return since[-1] - since[0] > NOISE * noise and train[-1][1] < then


def _gap(curves: Mapping[str, Curve], images: Mapping[str, int]) -> tuple[float | None, tuple[float, float] | None]:
    """Return the gap of accuracy and its 95 % interval (Newcombe 1998, method 10: from the two Wilson intervals)."""
    train, val = curves.get(TOP1.on("train"), ()), curves.get(TOP1.on("val"), ())
    if not train or not val:
        return None, None
    taught, judged = _recent(train), _recent(val)
    if not images.get("train") or not images.get("val"):
        return taught - judged, None
    taught_low, taught_high = wilson_interval(round(taught * images["train"]), images["train"])
    judged_low, judged_high = wilson_interval(round(judged * images["val"]), images["val"])
    gap = taught - judged
    low = gap - float(np.hypot(taught - taught_low, judged_high - judged))
    high = gap + float(np.hypot(taught_high - taught, judged - judged_low))
    return gap, (low, high)
