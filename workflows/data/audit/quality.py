"""Checks of single images: too small, too large, blank, dark, over-exposed, blurred.

Each score lies in [0, 1] and is worse the lower it is; an image is reported if its score is below the threshold.
The thresholds are set so that photos of 3,670 flowers and 397 insects are reported only for good reason, while most
photos that a filter has spoilt beyond use are reported (figures with each threshold, from 150 of the flowers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from workflows.data.audit.findings import AuditInput, Check, CheckResult, Finding, Severity
from workflows.data.images import LARGE_PIXELS
from workflows.store.names import counted

TINY_SIDE = 32
"""Pixels of the shorter side. The classic sets of small pictures (CIFAR) have exactly 32, and can be learnt."""
BLANK_CONTRAST = 0.01
"""2.5 of 255 grey values. Flowers have 0.069 and more, and 0.01-0.03 when darkened to a twelfth: dark, but not blank."""
DARK_HIGHLIGHTS = 0.25
"""The 99th percentile of the greys. Flowers have 0.29 and more; photos darkened to a quarter 0.14-0.26."""
BRIGHT_SHADOWS = 0.90
"""The 5th percentile of the greys. Flowers have 0.85 and less; photos mixed with 90 % white 0.90-0.95."""
BLURRED_SHARPNESS = 10.0
"""Variance of the Laplacian at 256 pixels. Flowers have 13 and more (`TYPICAL_SHARPNESS` in the middle); blurred by a Gaussian of
3 pixels, 95 % have less."""
TYPICAL_SHARPNESS = 1_600
_LEAST_DEVIATION = 14.0
"""Grey values. An image with less contrast has a small Laplacian however sharp it is; it is treated as if it had this."""

MANY = 0.01
"""From this share of all images on, a weakness is a warning about the set; below, an info."""

_CAN_BE_RIGHT = "If your camera will take such photos too, keep them: the model must learn them. Otherwise remove them."


@dataclass(frozen=True)
class _Quality:
    """One criterion of image quality.

    Attributes:
        name: of the columns `<name>_score` and `is_<name>`, and of the finding's key.
        score: maps the images to a score in [0, 1], lower is worse.
        threshold: images with a lower score are reported.
        title: after the number of images.
        explanation: how it was found.
        severity: None where it depends on their number.
    """

    name: str
    score: Callable[[pd.DataFrame], pd.Series]
    threshold: float
    title: str
    explanation: str
    advice: str
    repair: str | None = None
    severity: Severity | None = None


def check_quality(given: AuditInput) -> CheckResult:
    """Find images that hold little to learn from."""
    images = given.images
    scores = pd.DataFrame(index=images.index)
    findings = []
    for quality in _QUALITIES:
        score = quality.score(images).astype(float)
        bad = score < quality.threshold
        if quality.name in ("dark", "bright", "blurred"):
            bad &= ~scores["is_blank"]  # which covers it
        if quality.name == "blurred":
            bad &= ~scores["is_dark"]
        scores[f"{quality.name}_score"], scores[f"is_{quality.name}"] = score, bad
        if bad.any():
            findings.append(_finding(quality, images, score, bad))
    return CheckResult(tuple(findings), scores)


def _finding(quality: _Quality, images: pd.DataFrame, score: pd.Series, bad: pd.Series) -> Finding:
    worst = score[bad].sort_values(kind="stable").index
    share = float(bad.mean())
    return Finding(
        key=quality.name,
        severity=quality.severity or ("warning" if share >= MANY else "info"),
        title=f"{counted(len(worst), 'photo is', 'photos are')} {quality.title}",
        explanation=quality.explanation,
        advice=quality.advice,
        repair=quality.repair,
        image_ids=tuple(images.loc[worst, "image_id"]),
        score=round(float(score[worst[0]]), 4),
        threshold=quality.threshold,
        facts={"share": round(share, 5), "by_class": images.loc[worst, "label"].value_counts().to_dict()},
    )


def _shorter_side(images: pd.DataFrame) -> pd.Series:
    return (images[["width", "height"]].min(axis=1) / (2 * TINY_SIDE)).clip(upper=1.0)


def _room(images: pd.DataFrame) -> pd.Series:
    pixels = images["width"].astype(float) * images["height"].astype(float)
    return (0.5 * LARGE_PIXELS / pixels).clip(upper=1.0)


def _relief(images: pd.DataFrame) -> pd.Series:
    return (images["contrast"] / (2 * BLANK_CONTRAST)).clip(upper=1.0)


def _sharpness(images: pd.DataFrame) -> pd.Series:
    variance = (255.0 * images["contrast"]) ** 2
    faint = (_LEAST_DEVIATION**2 / variance.clip(lower=1e-6)).clip(lower=1.0)
    sharpness = images["sharpness"] * faint
    return sharpness / (sharpness + BLURRED_SHARPNESS)  # 0.5 where it is just enough


_QUALITIES = (
    _Quality(
        "tiny",
        _shorter_side,
        0.5,
        "tiny",
        f"Their shorter side has fewer than {TINY_SIDE} pixels. The model's input has 128 or 224: most of it would be interpolated.",
        "Perhaps previews were copied instead of the photos. Import the originals, or remove these.",
        repair="Removes these photos.",
        severity="warning",
    ),
    _Quality(
        "huge",
        _room,
        0.5,
        "huge",
        f"More than {LARGE_PIXELS // 1_000_000} megapixels: opening them takes much time and memory, and the model "
        "uses only a few hundred pixels per side anyway.",
        "Nothing is wrong with them. Smaller copies would import faster.",
        severity="info",
    ),
    _Quality(
        "blank",
        _relief,
        0.5,
        "blank",
        "Their brightness is nearly uniform (it varies by less than "
        f"{BLANK_CONTRAST:.0%} of the range from black to white): there is nothing to see.",
        "Look at one or two, then remove them: nothing can be learnt from an empty photo.",
        repair="Removes these photos.",
        severity="warning",
    ),
    _Quality(
        "dark",
        lambda images: images["brightest"],
        DARK_HIGHLIGHTS,
        "very dark",
        f"Even their brightest parts stay below {DARK_HIGHLIGHTS:.0%} of white; a spot of light, up to a hundredth of the "
        "photo, does not count.",
        _CAN_BE_RIGHT,
    ),
    _Quality(
        "bright",
        lambda images: 1.0 - images["darkest"],
        round(1.0 - BRIGHT_SHADOWS, 4),
        "over-exposed",
        f"Even their darkest parts are brighter than {BRIGHT_SHADOWS:.0%} of white; a dark spot, up to a twentieth of the "
        "photo, does not count.",
        _CAN_BE_RIGHT,
    ),
    _Quality(
        "blurred",
        _sharpness,
        0.5,
        "blurred",
        "Even scaled down to 256 pixels they have hardly any clear edges: their sharpness is below "
        f"{BLURRED_SHARPNESS:g}, where ordinary photos have {TYPICAL_SHARPNESS:,}. The limit is lower for pale and misty photos.",
        _CAN_BE_RIGHT,
    ),
)

CHECKS: tuple[Check, ...] = (check_quality,)
