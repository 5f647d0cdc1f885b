"""Checks of images that occur more than once: copies, contradicting labels, and leaks between the splits.

An exact copy has the same bytes. Near duplicates show nearly the same; see :mod:`workflows.data.look_alikes`. Copies
within a class only waste time; under two labels they contradict each other; and where an image that a model is
tested on was also a training image, the result is too good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflows.data.audit.findings import AuditInput, Check, CheckResult, Finding, Severity
from workflows.data.look_alikes import look_alikes
from workflows.data.version import HELD_OUT, SPLIT_WORDS, SPLITS
from workflows.store.names import counted

MANY = 0.05
"""From this share of surplus copies on, duplicates are a warning; below, an info."""
LEAK_SHARE, LEAK_LEAST = 0.01, 2
"""Copies that were saved again are a serious leak from this share of the held-out images on, if they are at least this many and
the split came with the images. Else they are a warning: where all images look alike (digits, X-rays), likeness alone is
not a leak, and our own split has near duplicates in two splits only where keeping them together would do harm."""


@dataclass(frozen=True)
class _Families:
    """Images that belong together.

    Attributes:
        exact: the content of each image.
        near: the group of near duplicates, including exact copies; the content itself where there is none.
        copies: the same for those near duplicates that are one photo, saved again.
        apart: how far its nearest near duplicate is, in [0, 1]; infinite where there is none.
    """

    exact: pd.Series
    near: pd.Series
    copies: pd.Series
    apart: pd.Series


def check_duplicates(given: AuditInput) -> CheckResult:
    """Find exact copies, near duplicates, images with two labels, and images in two splits."""
    images = given.images
    families = _families(images)
    number = families.exact.groupby(families.exact).transform("size")
    alike = families.near.groupby(families.near).transform("size")
    leaks = {"exact": _leaks(images, families.exact), "near": _leaks(images, families.near)}
    leaks["near"] &= ~leaks["exact"]
    torn = {"exact": _torn(images, families.exact), "near": _torn(images, families.near)}
    torn["near"] &= ~torn["exact"]
    nearly = np.isfinite(families.apart)
    scores = pd.DataFrame(
        {
            "exact_duplicate_score": 1.0 / number,
            "is_exact_duplicate": number > 1,
            # 1 where nothing is similar, 0 where another is the same in all that is compared
            "near_duplicate_score": families.apart.clip(upper=1.0),
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
    found = look_alikes(contents)
    ends = pd.concat([found.pairs.set_index(column)["apart"] for column in ("first", "second")])
    exact = images["sha256"].astype(object)
    return _Families(
        exact=exact,
        near=exact.map(found.groups).fillna(exact),
        copies=exact.map(found.copies).fillna(exact),
        apart=exact.map(ends.groupby(level=0).min()).astype(float).fillna(np.inf),
    )


def _torn(images: pd.DataFrame, family: pd.Series) -> pd.Series:
    """Return which images are in a family with more than one label."""
    return images["label"].groupby(family).transform("nunique") > 1


def _leaks(images: pd.DataFrame, family: pd.Series) -> pd.Series:
    """Return which held-out images have family in an earlier split (trained on, or used to choose the model)."""
    rank = images["split"].map({split: number for number, split in enumerate(SPLITS)}).astype(float)
    return images["split"].isin(HELD_OUT) & (rank.groupby(family).transform("min") < rank)


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
        explanation=f"{counted(families.exact[bad].nunique(), 'photo is', 'photos are')} in the data set more than once, as the "
        f"same file: {share:.1%} of the data set is surplus. From {MANY:.0%} on, that counts as a warning.",
        advice="Copies only make training longer, and give their photo more weight than the others. Remove them.",
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
    order = families.apart[bad].sort_values(kind="stable").index
    yield Finding(
        key="near-duplicates",
        severity="warning" if share >= MANY else "info",
        title=f"{counted(int(bad.sum()), 'photo looks', 'photos look')} nearly the same as another, in "
        f"{counted(families.near[bad].nunique(), 'group')}",
        explanation="They are far more alike than is usual in this data set: a photo that was saved again, resized, cropped a little "
        f"or recoloured, or several shots of one object. Without them the data set would be {share:.1%} smaller; from "
        f"{MANY:.0%} on, that counts as a warning.",
        advice="They do little harm as long as all of a group are used for training, or all for the test. To be sure "
        "of that, re-split the photos: look-alikes then stay together, and no photo is removed.",
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
            title=f"{counted(number, 'photo has', 'photos have')} more than one label",
            explanation="The same photo is in several classes; at most one of its labels can be right. "
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
            title=f"{counted(number, 'group')} of photos that look nearly the same, with different labels",
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
    share = float(bad.sum() / images["split"].isin(HELD_OUT).sum())
    serious = bool((bad & _leaks(images, _of_one_label(images, families.exact))).any())
    yield Finding(
        key="leak-exact",
        severity="error" if serious else "warning",
        title=f"{counted(int(bad.sum()), 'photo')} for validation or test {'is' if bad.sum() == 1 else 'are'} also used earlier",
        explanation=f"A model is evaluated on the validation and test photos, which it must not have seen. Of these, {share:.1%} are "
        f"the same file as one that it sees before ({_routes(images, families.exact, bad)}): it has memorised the "
        f"answers, and its accuracy is too good. E.g. {_example(images, families.exact, bad)}.",
        advice="Remove the copies that are seen first, or re-split the photos, which keeps copies together."
        + ("" if serious else " They have other labels there, so first check which one is right."),
        repair="Removes the copies from training (and from validation, where they are also in the test); the test split is unchanged.",
        image_ids=_ids(images, bad),
        score=round(share, 5),
        threshold=0.0,
        facts={"groups": _groups(images, families.exact, _family_of(families.exact, bad))},
    )


def _near_leaks(images: pd.DataFrame, families: _Families, bad: pd.Series, given_split: bool) -> Iterable[Finding]:
    if not bad.any():
        return
    held_out = int(images["split"].isin(HELD_OUT).sum())
    # a copy under another label is learnt wrongly, which does not inflate the result
    copied = int((bad & _leaks(images, _of_one_label(images, families.copies))).sum())
    serious = given_split and copied >= max(LEAK_LEAST, LEAK_SHARE * held_out)
    severity: Severity = "error" if serious else "warning"
    yield Finding(
        key="leak-near",
        severity=severity,
        title=f"{counted(int(bad.sum()), 'photo')} for validation or test {'looks' if bad.sum() == 1 else 'look'} nearly like one "
        "used earlier",
        explanation=f"A model is evaluated on the validation and test photos, which it must not have seen. Of these, "
        f"{bad.sum() / held_out:.1%} look nearly like a photo that it sees before ({_routes(images, families.near, bad)}); "
        f"{copied:,} of them are the same photo, saved again: they make its accuracy too good. Where the split came "
        f"with the photos, {LEAK_SHARE:.0%} of such copies is an error. E.g. {_example(images, families.near, bad)}.",
        advice="Re-split the photos: look-alikes then stay together, and no photo is removed. Or remove those that are "
        "seen first.",
        repair="Removes them from training (and from validation, where they are also in the test); the test split is unchanged.",
        image_ids=_ids(images, bad),
        score=round(copied / held_out, 5),
        threshold=LEAK_SHARE,
        facts={"groups": _groups(images, families.near, _family_of(families.near, bad)), "copies": copied},
    )


def _of_one_label(images: pd.DataFrame, family: pd.Series) -> pd.Series:
    """Return the families, divided by label."""
    return family.astype(str) + "\0" + images["label"].astype(object).fillna("").astype(str)


def _family_of(family: pd.Series, bad: pd.Series) -> pd.Series:
    return family.isin(family[bad])


def _ids(images: pd.DataFrame, chosen: pd.Series) -> tuple[str, ...]:
    return tuple(images.loc[chosen, "image_id"])


def _groups(images: pd.DataFrame, family: pd.Series, chosen: pd.Series) -> list[list[str]]:
    """Return the ids of chosen images by family, the largest families first."""
    by_family = images.loc[chosen, "image_id"].groupby(family[chosen], sort=False)
    return sorted((list(ids) for _, ids in by_family), key=len, reverse=True)


def _routes(images: pd.DataFrame, family: pd.Series, bad: pd.Series) -> str:
    """Return how many images leak between which splits, as text."""
    splits = images["split"].groupby(family).agg(set)
    routes = []
    for place, split in enumerate(SPLITS):
        for before in SPLITS[:place]:
            own = bad & (images["split"] == split)
            number = sum(before in splits[key] for key in family[own])
            if number:
                routes.append(f"{number:,} of {SPLIT_WORDS[split]} in {SPLIT_WORDS[before]}")
    return ", ".join(routes)


def _example(images: pd.DataFrame, family: pd.Series, bad: pd.Series) -> str:
    first = family[bad].iloc[0]
    return " and ".join(images.loc[family == first, "path"].iloc[:3])


CHECKS: tuple[Check, ...] = (check_duplicates,)
