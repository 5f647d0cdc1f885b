"""Drift: a changed mix or confidence is seen, luck and small numbers are not."""

from __future__ import annotations

import numpy as np
from scipy import stats

from workflows.evaluation.drift import LEAST_ANSWERS, find_drift

CLASSES = np.array(["ash", "birch", "cedar"])


def draw(seed: int, count: int, shares: tuple[float, ...], sure: float) -> tuple[list[str], list[float]]:
    random = np.random.default_rng(seed)
    return list(random.choice(CLASSES, count, p=shares)), list(random.beta(sure, 1.0, count))


def test_the_same_photos_hardly_ever_drift() -> None:
    trained, _ = draw(0, 600, (0.5, 0.3, 0.2), 9.0)
    _, validated = draw(1, 200, (0.5, 0.3, 0.2), 9.0)
    found = [find_drift(trained, *draw_answers(seed, validated)) for seed in range(200)]
    assert not any(one.drifted for one in found)


def draw_answers(seed: int, validated: list[float]) -> tuple[list[str], list[float], list[float]]:
    answered, confidences = draw(seed + 10, 300, (0.5, 0.3, 0.2), 9.0)
    return answered, validated, confidences


def test_another_mix_and_another_confidence_are_named() -> None:
    trained, validated = draw(0, 600, (0.5, 0.3, 0.2), 9.0)
    answered, confidences = draw(3, 300, (0.1, 0.3, 0.6), 2.0)
    found = find_drift(trained, answered, validated, confidences)
    assert found.drifted and len(found.reasons) == 2
    assert found.classes[0][0] in ("ash", "cedar") and found.mix_distance > 0.3
    expected = stats.ks_2samp(validated, confidences)
    assert found.confidence_distance == expected.statistic and found.confidence_p == expected.pvalue


def test_few_answers_and_none_say_nothing() -> None:
    trained, validated = draw(0, 600, (0.5, 0.3, 0.2), 9.0)
    answered, confidences = draw(3, LEAST_ANSWERS - 1, (0.0, 0.0, 1.0), 1.0)
    assert not find_drift(trained, answered, validated, confidences).drifted
    nothing = find_drift(trained, [], validated, [])
    assert (nothing.answers, nothing.drifted, nothing.mix_distance) == (0, False, 0.0)


def test_a_difference_that_does_not_matter_is_no_drift_however_many_answers() -> None:
    trained, validated = draw(0, 50_000, (0.5, 0.3, 0.2), 9.0)
    answered, confidences = draw(1, 50_000, (0.45, 0.33, 0.22), 9.5)
    found = find_drift(trained, answered, validated, confidences)
    assert found.mix_p < 1e-6 and not found.drifted
