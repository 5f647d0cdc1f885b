"""The review threshold of a classifier: choosing it on held-out images, and the one in force.

A model's version is a run, and the threshold is the run's: under whatever name a classifier is used, its predictions
are judged on one scale. A new champion has its own, as its confidences are its own.
"""

from __future__ import annotations

import pandas as pd

from workflows.data.version import HELD_OUT
from workflows.errors import UsageError
from workflows.evaluation.steps import read_final
from workflows.evaluation.thresholds import (
    DEFAULT_THRESHOLD,
    JudgedThreshold,
    ReviewThreshold,
    judge_threshold,
    threshold_for,
)
from workflows.store.store import Store
from workflows.store.thresholds import SavedThreshold


def threshold_of(store: Store, run_id: str) -> ReviewThreshold:
    """Return the review threshold of a run's classifier: the saved one, else the default."""
    saved = store.thresholds.newest(run_id)
    return ReviewThreshold() if saved is None else as_threshold(saved)


def as_threshold(saved: SavedThreshold) -> ReviewThreshold:
    """Return what a line of the log means."""
    judged = tuple(JudgedThreshold.of(document) for document in saved.judged.values())
    return ReviewThreshold(
        value=DEFAULT_THRESHOLD if saved.value is None else saved.value,
        is_default=saved.value is None,
        wanted=saved.wanted,
        chosen_on=saved.chosen_on,
        judged=judged,
        author=saved.author,
        reason=saved.reason,
        created_at=saved.created_at,
    )


def choose_threshold(store: Store, run_id: str, accuracy: float, split: str) -> float:
    """Return the lowest threshold at which the accepted predictions for a split are right often enough.

    Raises:
        UsageError: no threshold reaches this, or the split was not evaluated.
        RunError: the run has no predictions.
    """
    part = _answers(store, run_id, split)
    if part.empty:
        raise UsageError(f"Run {run_id} has no predictions for its {split} images.", "Choose another split.")
    found = threshold_for(part["confidence"], part["correct"], accuracy)
    if found is None:
        raise UsageError(
            f"No threshold reaches an accuracy of {100 * accuracy:g} % on the {len(part):,} {split} images.",
            "Ask for less, or give a threshold.",
        )
    return found


def judged_on(store: Store, run_id: str, value: float) -> tuple[JudgedThreshold, ...]:
    """Return what a threshold does on each held-out split that has predictions.

    Raises:
        RunError: the predictions are damaged.
    """
    if not store.run_folder(run_id).evaluation.predictions.exists():
        return ()
    parts = {split: _answers(store, run_id, split) for split in HELD_OUT}
    return tuple(
        judge_threshold(value, split, part["confidence"], part["correct"]) for split, part in parts.items() if len(part)
    )


def _answers(store: Store, run_id: str, split: str) -> pd.DataFrame:
    """Return the calibrated predictions of the final evaluation on a split; no rows where it was not evaluated."""
    return read_final(store.run_folder(run_id).evaluation.predictions, split)[0]
