"""Numbers as text, the same in every picture and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflows.words import listed

if TYPE_CHECKING:
    from workflows.evaluation.thresholds import JudgedThreshold, ReviewThreshold

NBSP = "\u00a0"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in [0, 1] as `91.1 %`; a value just below 100 % or above 0 % is never rounded to it."""
    smallest = 10.0**-digits
    value = share * 100
    if 0 < value < smallest / 2:
        return f"<{NBSP}{smallest:.{digits}f}{NBSP}%"
    if 100 - smallest / 2 <= value < 100:
        return f">{NBSP}{100 - smallest:.{digits}f}{NBSP}%"
    return f"{value:.{digits}f}{NBSP}%"


def percent_range(low: float, high: float, digits: int = 1) -> str:
    """Return two shares as `between 88.4 % and 93.2 %`."""
    return f"between {percent(low, digits)} and {percent(high, digits)}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 image`, `1,234 images`."""
    return f"{number:,}{NBSP}{noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return a duration as text: `0.4 s`, `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min" + (f" {rest}{NBSP}s" if rest and minutes < 10 else "")
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours}{NBSP}h" + (f" {minutes}{NBSP}min" if minutes else "")


def size(number: float) -> str:
    """Return a number of bytes as `512 MB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB"):
        if number < 999.5:
            return f"{number:.0f}{NBSP}{unit}"
        number /= 1000
    return f"{number:.1f}{NBSP}GB"


def without(absent: Sequence[str]) -> str:
    """Return the classes excluded from a mean: `without 180`; empty if there are none."""
    return f"without {listed(absent, full='the table of classes', most=6)}" if absent else ""


def calibration_words(calibration: Mapping[str, Any] | None) -> str:
    """Return how a model's confidences were calibrated, from `calibration` of its card (None in older cards)."""
    found = calibration or {}
    if found.get("temperature", 1.0) == 1.0:
        return f"Confidences are not calibrated: {found.get('reason') or 'the model is older than calibration'}."
    before, after = (f"{100 * found[name]:.1f}" for name in ("ece_before", "ece_after"))
    return (
        f"Confidences calibrated with the temperature {found['temperature']:.3g}, fitted on "
        f"{count(found['images'], 'validation photo')}: calibration error there {before} points before, {after} after."
    )


def threshold_words(threshold: ReviewThreshold) -> str:
    """Return which predictions are to be reviewed, and who decided that."""
    rule = f"Predictions below {percent(threshold.value)} confidence are to be reviewed"
    if threshold.is_default:
        return f"{rule}: the default, as no threshold is saved with this model."
    when = f" on {threshold.created_at:%Y-%m-%d}" if threshold.created_at else ""
    return f"{rule}: saved with the model by {threshold.author}{when} ({threshold.reason})."


def judged_words(judged: JudgedThreshold) -> str:
    """Return what a threshold does to the predictions of a split, with 95 % intervals and what judged."""
    from workflows.data.version import SPLIT_WORDS  # Pandas, which the command line's start can do without

    photos = count(judged.images, f"{SPLIT_WORDS[judged.split]} photo")
    if judged.coverage is None:
        return f"Not measured: no {SPLIT_WORDS[judged.split]} photos."
    covered = f"{percent(judged.coverage)} of {photos} accepted ({_interval(judged.coverage_ci95)})"
    if judged.accuracy is None:
        return f"{covered}; their accuracy is undefined."
    return f"{covered}; of these, {percent(judged.accuracy)} right ({_interval(judged.accuracy_ci95)})."


def _interval(bounds: tuple[float, float]) -> str:
    return f"95{NBSP}% interval: {percent(bounds[0])} to {percent(bounds[1])}"


def plain(value: object) -> str:
    """Return a setting's value as text: `yes`, `0.001`, `eigen-cam, grad-cam++`, `not set`."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "none"
    return str(value)
