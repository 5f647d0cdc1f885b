"""Drift: whether what a classifier sees in use still resembles what it was trained on.

Two tests, neither of which needs true labels: the mix of the classes that it answers against the mix of its training
labels, and its confidences against those on the validation images. With many answers every small difference is
"significant"; so each test requires a small p-value *and* a relevant difference.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEAST_ANSWERS = 100
"""With fewer answers there is no result."""
LEVEL = 0.001
LEAST_MIX = 0.15
"""Share of answers that would have to be of another class for the mixes to agree."""
LEAST_CONFIDENCE = 0.15
"""Largest distance between the two distribution functions of the confidence."""


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        answers: number of recent answers.
        mix_distance: total variation distance of the class mixes, in [0, 1].
        mix_p: p-value of the chi-square test of homogeneity.
        confidence_distance: Kolmogorov-Smirnov statistic, in [0, 1].
        confidence_p: its p-value (two-sided).
        classes: the classes whose share has changed most: name, share in training, share of the answers.
        mean_confidence: of the validation images and of the recent answers; NaN where there are none.
        reasons: what has drifted, as text; empty if nothing has, or too little is known.
    """

    answers: int
    mix_distance: float
    mix_p: float
    confidence_distance: float
    confidence_p: float
    classes: tuple[tuple[str, float, float], ...]
    mean_confidence: tuple[float, float]
    reasons: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether drift was found."""
        return bool(self.reasons)


def find_drift(
    trained: Sequence[str], answered: Sequence[str], validated: Sequence[float], confidences: Sequence[float]
) -> Drift:
    """Compare recent answers with training and validation.

    Args:
        trained: labels of the training images.
        answered: the classes of the recent answers.
        validated: confidences (of the predicted class) on the validation images, in [0, 1].
        confidences: confidences of the recent answers.
    """
    mix_distance, mix_p, classes = _mixes(Counter(trained), Counter(answered))
    if len(validated) and len(confidences):
        found = stats.ks_2samp(validated, confidences)
        distance, p_value = float(found.statistic), float(found.pvalue)
    else:
        distance, p_value = 0.0, 1.0
    means = (
        float(np.mean(validated)) if len(validated) else math.nan,
        float(np.mean(confidences)) if len(confidences) else math.nan,
    )
    reasons = []
    if len(answered) >= LEAST_ANSWERS:
        if mix_p < LEVEL and mix_distance >= LEAST_MIX:
            name, before, now = classes[0]
            reasons.append(
                f"the mix of classes has changed by {mix_distance:.0%}, most of all {name}: {before:.0%} of the training "
                f"images, {now:.0%} of the last {len(answered)} answers"
            )
        if p_value < LEVEL and distance >= LEAST_CONFIDENCE:
            reasons.append(
                f"the confidence has changed: {means[0]:.0%} on average on the validation images, {means[1]:.0%} lately"
            )
    return Drift(len(answered), mix_distance, mix_p, distance, p_value, classes, means, tuple(reasons))


def _mixes(before: Counter[str], now: Counter[str]) -> tuple[float, float, tuple[tuple[str, float, float], ...]]:
    """Return the total variation distance, the p-value, and the classes by how much their share has changed."""
    names = sorted(set(before) | set(now))
    counts = np.array([[before[name] for name in names], [now[name] for name in names]], dtype=float)
    if not counts.sum(axis=1).all() or len(names) < 2:
        return 0.0, 1.0, ()
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    p_value = float(stats.chi2_contingency(counts, correction=False).pvalue)
    order = np.argsort(-np.abs(shares[0] - shares[1]), kind="stable")
    return distance, p_value, tuple((names[i], float(shares[0, i]), float(shares[1, i])) for i in order)
