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
_WORDS = {"train": "training", "val": "validation", "test": "test"}


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
        title=f"{counted(surplus, 'photo is an exact copy', 'photos are exact copies')} of another",
        explanation=f"{counted(families.exact[bad].nunique(), 'photo is', 'photos are')} there more than once, as the "
        f"very same file: {share:.1%} of the data set is surplus. From {MANY:.0%} on, that counts as a warning.",
        advice="Copies only make training longer, and their photo counts for more than the others. Remove them.",
        repair="Keeps one of each photo.",
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
        title=f"{counted(int(bad.sum()), 'photo looks', 'photos look')} nearly the same as another, in "
        f"{counted(families.near[bad].nunique(), 'group')}",
        explanation="Made small, they can hardly be told apart: a photo that was saved again, resized, cut a little or "
        f"recoloured, or several shots of one moment. Without them the data set would be {share:.1%} smaller; from "
        f"{MANY:.0%} on, that counts as a warning.",
        advice="They do little harm as long as all of a group are used for training, or all for the test. To be sure "
        "of that, have the photos divided anew: photos that are nearly the same then stay together.",
        repair="Keeps one photo of each group whose labels agree.",
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
            title=f"{counted(number, 'photo stands', 'photos stand')} under more than one label",
            explanation="The very same photo is in several classes; at most one of its labels can be right. "
            f"E.g. {_example(images, families.exact, torn['exact'])}.",
            advice="Look at each, and relabel or remove the wrong one.",
            repair="Removes these photos from all their classes.",
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
            title=f"{counted(number, 'group')} of photos that look nearly the same under more than one label",
            explanation="Photos that look nearly the same are in several classes. "
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
        title=f"{counted(int(bad.sum()), 'photo')} that the model is judged by {'is' if bad.sum() == 1 else 'are'} also used to make it",
        explanation=f"A model is judged by the validation and test photos, which it must not know. Of these, {share:.1%} are "
        f"there as the very same file in what it sees before ({_routes(images, families.exact, bad)}): it knows the "
        f"answers by heart, and its accuracy flatters. E.g. {_example(images, families.exact, bad)}.",
        advice="Remove the copies that are seen first, or have the photos divided anew, which keeps copies together.",
        repair="Removes the copies from training (and from validation, where they are in the test); the test stays whole.",
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
        title=f"{counted(int(bad.sum()), 'photo')} that the model is judged by {'looks' if bad.sum() == 1 else 'look'} nearly like one "
        "used to make it",
        explanation=f"A model is judged by the validation and test photos, which it must not know. Of these, "
        f"{bad.sum() / held_out:.1%} look nearly like a photo that it sees before ({_routes(images, families.near, bad)}); "
        f"{copied:,} of them are that very photo, saved again: they make its accuracy flatter. Where the division came "
        f"with the photos, {LEAK_SHARE:.0%} of such copies is an error. E.g. {_example(images, families.near, bad)}.",
        advice="Remove those that are seen first, or have the photos divided anew: photos that are nearly the same then "
        "stay together.",
        repair="Removes them from training (and from validation, where they are in the test); the test stays whole.",
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
                routes.append(f"{number:,} of {_WORDS[split]} in {_WORDS[before]}")
    return ", ".join(routes)


def _example(images: pd.DataFrame, family: pd.Series, bad: pd.Series) -> str:
    first = family[bad].iloc[0]
    return " and ".join(images.loc[family == first, "path"].iloc[:3])


CHECKS: tuple[Check, ...] = (check_duplicates,)
