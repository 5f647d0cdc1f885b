"""The most likely classes with their probabilities, and the scale that they are judged by."""

from __future__ import annotations

import numpy as np

from workflows.evaluation.thresholds import ReviewThreshold
from workflows.inference.model import ModelCard
from workflows.serving.answers import ClassScore, Review
from workflows.targets.registry import target_named


def best_scores(probabilities: np.ndarray, card: ModelCard, top: int) -> list[ClassScore]:
    """Return the `top` most likely classes of one image, best first; `probabilities` is float [classes]."""
    answers = target_named(card.target).decode(probabilities, card.classes, top)
    return [ClassScore(label=name, confidence=min(1.0, confidence)) for name, confidence in answers]


def review_of(threshold: ReviewThreshold) -> Review:
    """Return what is said of a review threshold."""
    return Review(threshold=threshold.value, is_default=threshold.is_default)
