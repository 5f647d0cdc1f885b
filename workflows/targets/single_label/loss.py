"""Cross-entropy for images with one label each. The one module of the targets that needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from workflows.targets.base import Weighting


class CrossEntropy:
    """Cross-entropy with class weights and label smoothing."""

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        self.class_weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.label_smoothing = label_smoothing

    def __call__(self, logits: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean cross-entropy of `logits` (float32 [n, classes]) against labels [n]."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return functional.cross_entropy(logits, encoded, weight=weights, label_smoothing=self.label_smoothing)


def class_weights(counts: Sequence[int], weighting: Weighting) -> list[float] | None:
    """Return a weight per class from the number of training images per class, or None for equal weights.

    `balanced` is scikit-learn's n / (classes × count); `sqrt` its square root. Both are scaled so that the mean
    weight over the images is 1, which leaves the size of the loss, and so the learning rate, alone.
    """
    if weighting == "none":
        return None
    sizes = np.maximum(np.asarray(counts, np.float64), 1.0)
    raw = sizes.sum() / (len(sizes) * sizes)
    weights = np.sqrt(raw) if weighting == "sqrt" else raw
    return (weights / np.average(weights, weights=sizes)).tolist()
