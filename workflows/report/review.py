"""Setting the review threshold of a classifier: saved, and drawn into its report."""

from __future__ import annotations

from workflows.data.publishing import resolve_author
from workflows.errors import RunError, UsageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.registry.thresholds import judged_on, threshold_of
from workflows.report.html import build_report
from workflows.store.store import Store


def set_threshold(
    store: Store,
    run_id: str,
    value: float | None,
    *,
    reason: str,
    author: str | None = None,
    wanted: float | None = None,
    chosen_on: str = "",
) -> ReviewThreshold:
    """Save the review threshold of a run's classifier, and draw it into its report.

    From now on its predictions are judged by it.

    Args:
        value: confidence in [0, 1]; None returns to the default.
        reason: why, for the log.
        author: who; by default the user.
        wanted: accuracy that it was chosen for.
        chosen_on: split that it was chosen on.

    Raises:
        UsageError: out of range, or no reason.
        RunError: there is no such run, or it has not finished.
    """
    record = store.runs.get(run_id)
    if record.final is None:
        raise RunError(f"Run {record.run_id} is {record.state}: only a finished run has a threshold.")
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"The threshold is {value:g}, but must be a confidence between 0 and 1.")
    if not reason.strip():
        raise UsageError("A reason is needed: it goes into the log.", "Write a few words.")
    judged = () if value is None else judged_on(store, record.run_id, value)
    store.thresholds.add(
        run_id=record.run_id,
        value=value,
        wanted=wanted,
        chosen_on=chosen_on,
        judged={each.split: each.document() for each in judged},
        author=author or resolve_author(),
        reason=reason.strip(),
    )
    saved = threshold_of(store, record.run_id)
    folder = store.run_folder(record.run_id)
    if folder.report.exists():
        build_report(folder, record.final, store.runs.steps(record.run_id), saved)
    return saved
