"""Probabilities as a short list for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workflows.serving.answers import ClassScore


def best_scores(probabilities: np.ndarray, classes: Sequence[str], top: int) -> list[ClassScore]:
    """Return the `top` likeliest classes, best first; `probabilities` is float [classes]."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [ClassScore(label=classes[i], confidence=min(1.0, float(probabilities[i]))) for i in order]
