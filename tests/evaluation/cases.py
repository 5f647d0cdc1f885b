"""Made-up predictions for the tests of this folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from numpy.typing import NDArray

from workflows.targets.single_label.tables import predictions_table


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def class_names(count: int) -> tuple[str, ...]:
    return tuple(f"class {index:03d}" for index in range(count))


def answers(
    images: int, classes: int, *, seed: int = 0, skill: float = 2.0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels int[n] and probabilities float32[n, c] of a model that is right more often with more `skill`."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(0.0, 1.5, (images, classes))
    logits[np.arange(images), labels] += skill
    return labels, softmax(logits)


def predictions(
    images: int, classes: int, *, seed: int = 0, skill: float = 2.0
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Make a predictions table whose images lie in val and test by turns."""
    labels, probabilities = answers(images, classes, seed=seed, skill=skill)
    names = class_names(classes)
    frame = predictions_table(
        [f"{index:016x}" for index in range(images)],
        [f"{names[label]}/{index}.jpg" for index, label in enumerate(labels)],
        ["val" if index % 2 else "test" for index in range(images)],
        labels,
        probabilities,
        names,
    )
    return frame, names


@st.composite
def any_answers(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Draw labels and probabilities: 1-60 images, 2-12 classes, classes that never occur, sure and unsure models."""
    images, classes = draw(st.integers(1, 60)), draw(st.integers(2, 12))
    sharpness = draw(st.sampled_from([0.1, 1.0, 5.0, 40.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = random.permutation(classes)[: draw(st.integers(1, classes))]
    labels = random.choice(used, images)
    return labels.astype(np.int64), softmax(random.normal(0.0, sharpness, (images, classes)))
