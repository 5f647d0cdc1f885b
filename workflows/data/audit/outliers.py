"""Checks for images that differ from the rest in size, shape, pixel mode or file format.

Size and shape are compared on a logarithmic scale by the distance from the median in robust standard deviations
(median absolute deviation x 1.4826; Iglewicz & Hoaglin, "How to detect and handle outliers", 1993). Sets in which
nearly all images are alike have a deviation near 0, so a lower bound is used, so that only a
difference that matters counts: 4 times the pixels, twice the elongation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflows.data.audit.findings import WHOLE_LISTS, AuditInput, Check, CheckResult, Finding
from workflows.store.names import counted
from workflows.words import listed

FAR = 5.0
"""Robust standard deviations."""

MATTERS_PIXELS = 4.0
MATTERS_SHAPE = 2.0
RARE = 0.02
"""A value of fewer than this share of the images is odd if it is not the usual one."""

CAMP = 0.1
"""From this share of the images on, those far from the median are not outliers but a second kind."""

LEAST_IMAGES = 20
"""In a smaller set, every value is rare."""

_LOOK = "Look at them: previews, screenshots and scans are often included by mistake. Remove what does not belong."

_MODE_WORDS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "I;16": "fine grey",
    "F": "fine grey",
    "P": "few colours",
    "PA": "few colours with transparency",
    "RGB": "colour",
    "RGB;16": "fine colour",
    "RGBA": "colour with transparency",
    "CMYK": "colours for print",
    "LAB": "colours for print",
}


def check_sizes(given: AuditInput) -> CheckResult:
    """Find images that are much larger or smaller than the others."""
    pixels = given.images["width"].astype(float) * given.images["height"].astype(float)
    typical = float(np.sqrt(np.median(pixels))) if len(pixels) else 0.0
    return _far(given, "odd_size", pd.Series(np.log(pixels)), np.log(MATTERS_PIXELS), "an unusual size",
                f"Most are around {typical:.0f} x {typical:.0f} pixels.")  # fmt: skip


def check_shapes(given: AuditInput) -> CheckResult:
    """Find images that are much longer or wider than the others."""
    width, height = given.images["width"].astype(float), given.images["height"].astype(float)
    elongation = np.maximum(width, height) / np.minimum(width, height)
    typical = float(np.median(elongation)) if len(elongation) else 1.0
    return _far(given, "odd_aspect", pd.Series(np.log(elongation)), np.log(MATTERS_SHAPE), "an unusual shape",
                f"The long side of most is {typical:.2f} times the short one. The model's input is square: long ones are cropped or squeezed.")  # fmt: skip


def check_modes(given: AuditInput) -> CheckResult:
    """Find images that are stored in another pixel mode than the others (grey, CMYK, with transparency)."""
    return _rare(given, "odd_mode", given.images["mode"], "other colours than usual")


def check_formats(given: AuditInput) -> CheckResult:
    """Find images that are stored in another file format than the others."""
    return _rare(given, "odd_format", given.images["format"], "an unusual file format")


def robust_distance(values: pd.Series, least: float) -> pd.Series:
    """Return the distance from the median in robust standard deviations, which are at least `least`."""
    away = (values - values.median()).abs()
    return away / max(1.4826 * float(away.median()), least)


def _far(given: AuditInput, name: str, values: pd.Series, matters: float, words: str, usual: str) -> CheckResult:
    distance = robust_distance(values, matters / FAR) if len(values) else values
    odd = (distance > FAR) & (len(values) >= LEAST_IMAGES)
    odd &= odd.mean() < CAMP
    scores = pd.DataFrame({f"{name}_score": distance, f"is_{name}": odd})
    order = distance[odd].sort_values(ascending=False, kind="stable").index
    facts = {"median": float(np.exp(values.median()))} if len(values) else {}
    return CheckResult(_finding(given, name, order, words, usual, facts, float(distance.max()), FAR), scores)


def _rare(given: AuditInput, name: str, values: pd.Series, words: str) -> CheckResult:
    counts = values.value_counts()
    share = values.map(counts / max(1, len(values))).astype(float)
    odd = ((share < RARE) | (values.map(counts) == 1)) & (values != (counts.index[0] if len(counts) else ""))
    odd &= len(values) >= LEAST_IMAGES
    scores = pd.DataFrame({f"{name}_score": share, f"is_{name}": odd})
    kinds = {str(kind): int(count) for kind, count in values[odd].value_counts().items()}
    listed = ", ".join(f"{_MODE_WORDS.get(kind, kind)} ({count})" for kind, count in kinds.items())
    common = _MODE_WORDS.get(str(counts.index[0]), counts.index[0]) if kinds else ""
    usual = f"Found: {listed}; usual here: {common}. All of them are converted to ordinary RGB for the model."
    order = share[odd].sort_values(kind="stable").index
    return CheckResult(_finding(given, name, order, words, usual, {"kinds": kinds}, float(share.min()), RARE), scores)


def _finding(
    given: AuditInput, name: str, order: pd.Index, words: str, usual: str, facts: Mapping[str, object], score: float,
    threshold: float,
) -> tuple[Finding, ...]:  # fmt: skip
    if order.empty:
        return ()
    return (
        Finding(
            key=name.replace("_", "-"),
            severity="info",
            title=f"{counted(len(order), 'photo has', 'photos have')} {words}",
            explanation=f"{usual} The most unusual: {listed(given.images.loc[order, 'path'], full=WHOLE_LISTS, most=3)}.",
            advice=_LOOK,
            image_ids=tuple(given.images.loc[order, "image_id"]),
            score=round(score, 4),
            threshold=threshold,
            facts=facts,
        ),
    )


CHECKS: tuple[Check, ...] = (check_sizes, check_shapes, check_modes, check_formats)
