"""Checks of pictures that occur more than once: copies, contradicting labels, and leaks between the splits.

An exact copy has the same bytes. Near duplicates show nearly the same; see :mod:`workflows.data.near`. Copies
within a class only waste time; under two labels they contradict each other; and where a picture that a model is
judged by was also taught, the result flatters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflows.data.audit.findings import AuditInput, Check, CheckResult, Finding, Severity
from workflows.data.near import MAX_DISTANCE, copies, near_groups, near_pairs
from workflows.data.version import SPLITS
from workflows.store.names import counted

MANY = 0.05
"""From this share of surplus copies on, duplicates are a warning, before that a remark."""
LEAK_SHARE, LEAK_LEAST = 0.01, 2
"""Copies that were stored anew leak seriously from this share of the held-out images on, if they are at least so many and
the split came with the images. Else it is a warning: where all pictures look alike (digits, X-rays), likeness alone is
no leak, and a split that we made has near duplicates on two sides only where keeping them together did harm."""

_HELD_OUT = ("val", "test")


@dataclass(frozen=True)
class _Families:
    """Images that belong together.

    Attributes:
        exact: the content of each image.
        near: the group of near duplicates, which exact copies are part of; the content itself where there is none.
        copies: the same of those near duplicates that are one photo, stored anew.
        distance: least bits between an image and its nearest near duplicate; infinite where there is none.
    """

    exact: pd.Series
    near: pd.Series
    copies: pd.Series
    distance: pd.Series


def check_duplicates(given: AuditInput) -> CheckResult:
    """Find exact copies, near duplicates, pictures under two labels, and pictures in two splits."""
    images = given.images
    families = _families(images)
    number = families.exact.groupby(families.exact).transform("size")
    alike = families.near.groupby(families.near).transform("size")
    leaks = {"exact": _leaks(images, families.exact), "near": _leaks(images, families.near)}
    leaks["near"] &= ~leaks["exact"]
    torn = {"exact": _torn(images, families.exact), "near": _torn(images, families.near)}
    torn["near"] &= ~torn["exact"]
    nearly = families.distance.notna() & np.isfinite(families.distance)
    scores = pd.DataFrame(
        {
            "exact_duplicate_score": 1.0 / number,
            "is_exact_duplicate": number > 1,
            # 1 where nothing is alike, 0 where the hashes are equal
            "near_duplicate_score": (families.distance / (MAX_DISTANCE + 1)).clip(upper=1.0),
            "is_near_duplicate": nearly,
            "two_labels_score": 1.0 - torn["exact"].astype(float),
            "is_two_labels": torn["exact"],
            "leak_score": 1.0 - leaks["exact"].astype(float) - 0.5 * leaks["near"].astype(float),
            "is_leak_exact": leaks["exact"],
            "is_leak_near": leaks["near"],
        },
        index=images.index,
    )
    findings = [
        *_exact_copies(images, families, number > 1),
        *_near_copies(images, families, nearly & (alike > 1)),
        *_two_labels(images, families, torn),
        *_exact_leaks(images, families, leaks["exact"]),
        *_near_leaks(images, families, leaks["near"], given.version.given_split),
    ]
    return CheckResult(tuple(findings), scores)


def _families(images: pd.DataFrame) -> _Families:
    contents = images.drop_duplicates("sha256")
    pairs = near_pairs(contents)
    ends = pd.concat([pairs.set_index(column)["distance"] for column in ("first", "second")])
    exact = images["sha256"].astype(object)
    return _Families(
        exact=exact,
        near=exact.map(near_groups(pairs)).fillna(exact),
        copies=exact.map(near_groups(copies(pairs))).fillna(exact),
        distance=exact.map(ends.groupby(level=0).min()).astype(float).fillna(np.inf),
    )


def _torn(images: pd.DataFrame, family: pd.Series) -> pd.Series:
    """Return which images stand in a family with more than one label."""
    return images["label"].groupby(family).transform("nunique") > 1


def _leaks(images: pd.DataFrame, family: pd.Series) -> pd.Series:
    """Return which held-out images have family in a split that a model learns from, or is chosen by, before."""
    rank = images["split"].map({split: number for number, split in enumerate(SPLITS)}).astype(float)
    return images["split"].isin(_HELD_OUT) & (rank.groupby(family).transform("min") < rank)


def _exact_copies(images: pd.DataFrame, families: _Families, bad: pd.Series) -> Iterable[Finding]:
    if not bad.any():
        return
    groups = _groups(images, families.exact, bad)
    surplus = int(bad.sum()) - families.exact[bad].nunique()
    share = surplus / len(images)
    yield Finding(
        key="exact-duplicates",
        severity="warning" if share >= MANY else "info",
        title=f"{counted(surplus, 'image is an exact copy', 'images are exact copies')} of another",
        explanation=f"{counted(families.exact[bad].nunique(), 'picture occurs', 'pictures occur')} more than once, "
        "with the same bytes.",
        advice="Copies only make training longer, and give their picture more weight. Remove them.",
        repair="Keeps one image of each set of copies.",
        image_ids=_ids(images, bad),
        score=round(share, 5),
        threshold=MANY,
        facts={"groups": groups, "surplus": surplus},
    )


def _near_copies(images: pd.DataFrame, families: _Families, bad: pd.Series) -> Iterable[Finding]:
    if not bad.any():
        return
    groups = _groups(images, families.near, bad)
    surplus = families.exact[bad].nunique() - families.near[bad].nunique()
    share = surplus / len(images)
    order = families.distance[bad].sort_values(kind="stable").index
    yield Finding(
        key="near-duplicates",
        severity="warning" if share >= MANY else "info",
        title=f"{counted(int(bad.sum()), 'image')} nearly the same as another, in "
        f"{counted(families.near[bad].nunique(), 'group')}",
        explanation=f"Their perceptual hashes differ in at most {MAX_DISTANCE} of 64 bits, and their thumbnails agree: "
        "copies that were stored anew, resized, cut a little or recoloured, or shots of one moment.",
        advice="Within one split they do little harm. To be sure that none is in two, divide the images by this "
        "programme, which keeps near duplicates together.",
        repair="Keeps one image of each group whose labels agree.",
        image_ids=tuple(images.loc[order, "image_id"]),
        score=round(share, 5),
        threshold=MANY,
        facts={"groups": groups, "surplus": surplus},
    )


def _two_labels(images: pd.DataFrame, families: _Families, torn: dict[str, pd.Series]) -> Iterable[Finding]:
    if torn["exact"].any():
        number = families.exact[torn["exact"]].nunique()
        yield Finding(
            key="two-labels",
            severity="warning",
            title=f"{counted(number, 'picture stands', 'pictures stand')} under more than one label",
            explanation="The same bytes occur in several classes; at most one label can be right. "
            f"E.g. {_example(images, families.exact, torn['exact'])}.",
            advice="Look at each, and relabel or remove the wrong one.",
            repair="Removes these pictures from all their classes.",
            image_ids=_ids(images, torn["exact"]),
            score=float(number),
            threshold=1.0,
            facts={"groups": _groups(images, families.exact, torn["exact"])},
        )
    if torn["near"].any():
        number = families.near[torn["near"]].nunique()
        yield Finding(
            key="near-two-labels",
            severity="warning",
            title=f"{counted(number, 'group')} of nearly equal pictures under more than one label",
            explanation="Pictures that show nearly the same occur in several classes. "
            f"E.g. {_example(images, families.near, torn['near'])}.",
            advice="Look at each group: it may be a wrong label, or two classes that really look alike.",
            image_ids=_ids(images, torn["near"]),
            score=float(number),
            threshold=1.0,
            facts={"groups": _groups(images, families.near, torn["near"])},
        )


def _exact_leaks(images: pd.DataFrame, families: _Families, bad: pd.Series) -> Iterable[Finding]:
    if not bad.any():
        return
    share = float(bad.sum() / images["split"].isin(_HELD_OUT).sum())
    yield Finding(
        key="leak-exact",
        severity="error",
        title=f"{counted(int(bad.sum()), 'held-out image stands', 'held-out images stand')} in another split too",
        explanation=f"{share:.1%} of the validation and test images occur, with the same bytes, in a split that comes "
        f"before ({_routes(images, families.exact, bad)}): what was learnt by heart is taken for skill. "
        f"E.g. {_example(images, families.exact, bad)}.",
        advice="Remove the copies from the split that comes first, or divide the images by this programme.",
        repair="Removes the copies that a held-out split holds too; test stays whole.",
        image_ids=_ids(images, bad),
        score=round(share, 5),
        threshold=0.0,
        facts={"groups": _groups(images, families.exact, _family_of(families.exact, bad))},
    )


def _near_leaks(images: pd.DataFrame, families: _Families, bad: pd.Series, given_split: bool) -> Iterable[Finding]:
    if not bad.any():
        return
    held_out = int(images["split"].isin(_HELD_OUT).sum())
    copied = int((bad & _leaks(images, families.copies)).sum())
    serious = given_split and copied >= max(LEAK_LEAST, LEAK_SHARE * held_out)
    severity: Severity = "error" if serious else "warning"
    yield Finding(
        key="leak-near",
        severity=severity,
        title=f"{counted(int(bad.sum()), 'held-out image has', 'held-out images have')} a near duplicate in another split",
        explanation=f"{bad.sum() / held_out:.1%} of the validation and test images show nearly the same as an image of "
        f"a split that comes before ({_routes(images, families.near, bad)}); {copied:,} of them are one photo, stored "
        f"anew. E.g. {_example(images, families.near, bad)}.",
        advice="Remove the near duplicates from the split that comes first, or divide the images by this programme, "
        "which keeps near duplicates together.",
        repair="Removes the images that a held-out split holds a near duplicate of; test stays whole.",
        image_ids=_ids(images, bad),
        score=round(copied / held_out, 5),
        threshold=LEAK_SHARE,
        facts={"groups": _groups(images, families.near, _family_of(families.near, bad)), "copies": copied},
    )


def _family_of(family: pd.Series, bad: pd.Series) -> pd.Series:
    return family.isin(family[bad])


def _ids(images: pd.DataFrame, chosen: pd.Series) -> tuple[str, ...]:
    return tuple(images.loc[chosen, "image_id"])


def _groups(images: pd.DataFrame, family: pd.Series, chosen: pd.Series) -> list[list[str]]:
    """Return the ids of chosen images by family, the largest families first."""
    by_family = images.loc[chosen, "image_id"].groupby(family[chosen], sort=False)
    return sorted((list(ids) for _, ids in by_family), key=len, reverse=True)


def _routes(images: pd.DataFrame, family: pd.Series, bad: pd.Series) -> str:
    """Return from where to where how many images leak, in words."""
    splits = images["split"].groupby(family).agg(set)
    routes = []
    for place, split in enumerate(SPLITS):
        for before in SPLITS[:place]:
            own = bad & (images["split"] == split)
            number = sum(before in splits[key] for key in family[own])
            if number:
                routes.append(f"{number:,} of {split} in {before}")
    return ", ".join(routes)


def _example(images: pd.DataFrame, family: pd.Series, bad: pd.Series) -> str:
    first = family[bad].iloc[0]
    return " and ".join(images.loc[family == first, "path"].iloc[:3])


CHECKS: tuple[Check, ...] = (check_duplicates,)
