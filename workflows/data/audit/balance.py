"""Checks of the classes: their number of images per split, their names, and what was left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from workflows.data.audit.findings import WHOLE_LISTS, AuditInput, Check, CheckResult, Finding
from workflows.data.version import SPLITS
from workflows.store.names import counted
from workflows.words import listed

TINY_CLASS = 10
"""Images; below this, a class can't be learnt reliably, and its metrics are not meaningful."""

LEAST_TRAINING = 2
"""A single image can't show what images of a class have in common."""

UNEVEN = 3.0
IMBALANCED = 10.0
"""Images of the largest class per image of the smallest."""

MUCH_REJECTED = 0.01
_SHOWN = 8
_USES = {"train": "training", "val": "validation", "test": "the test"}

_IGNORED_IN_NAMES = re.compile(
    r"(?<=\D)[\s_\-.,;:'\"’`´·]+|[\s_\-.,;:'\"’`´·]+(?!\d)"  # `1.5` and `15`, `-1` and `1` are different
)


def check_tiny_classes(given: AuditInput) -> CheckResult:
    """Find classes with too few images to be learnt or evaluated."""
    images = given.labelled
    totals = images["label"].value_counts()
    training = images.loc[images["split"] == "train", "label"].value_counts().reindex(totals.index, fill_value=0)
    hopeless = sorted(str(label) for label in totals.index[(training > 0) & (training < LEAST_TRAINING)])
    small = sorted(str(label) for label in totals.index[totals < TINY_CLASS])
    concerned = sorted({*hopeless, *small})
    if not concerned:
        return CheckResult()
    sizes = {label: int(totals[label]) for label in concerned}
    least = min(concerned, key=lambda label: (sizes[label], label))
    why = f" {_listed(hopeless)} with a single photo to train on." if hopeless else ""
    return CheckResult(
        (
            Finding(
                key="tiny-class",
                severity="error" if hopeless else "warning",
                title=f"{counted(len(concerned), 'class has', 'classes have')} very few photos, e.g. {least!r} "
                f"{sizes[least]}",
                explanation=f"All their photos, for training, validation and test: {_sizes(sizes)}.{why} The fewer photos, the "
                "more a class is memorised instead of learnt, and the less its metrics mean.",
                advice=f"Add photos until each class has at least {TINY_CLASS}, better 50; or remove the class.",
                image_ids=tuple(images.loc[images["label"].isin(concerned), "image_id"]),
                score=float(sizes[least]),
                threshold=float(TINY_CLASS),
                facts={"classes": sizes, "training": {label: int(training[label]) for label in concerned}},
            ),
        )
    )


def check_balance(given: AuditInput) -> CheckResult:
    """Find classes of very different sizes."""
    totals = given.labelled["label"].value_counts()
    if len(totals) < 2 or totals.iloc[0] / totals.iloc[-1] < UNEVEN:
        return CheckResult()
    ratio = float(totals.iloc[0] / totals.iloc[-1])
    most, least = str(totals.index[0]), str(totals.index[-1])
    warning = ratio >= IMBALANCED
    share = float(totals.iloc[0] / totals.sum())
    return CheckResult(
        (
            Finding(
                key="class-imbalance",
                severity="warning" if warning else "info",
                title=f"Class {most!r} has {ratio:.0f} times as many photos as {least!r}",
                explanation=f"{most!r} has {totals.iloc[0]:,} photos, {least!r} {totals.iloc[-1]:,}. A model that always predicts "
                f"{most!r} is right for {share:.0%} without having learnt anything, and rare classes count little in training.",
                advice="Add photos of the rare classes. In the workflow, under Training, set class_weighting to `sqrt` or "
                "`balanced`, so that rare classes count for more; and evaluate the model by its F1 (macro), to which all "
                "classes contribute equally, instead of its accuracy.",
                score=round(ratio, 2),
                threshold=IMBALANCED if warning else UNEVEN,
                facts={"classes": {str(label): int(count) for label, count in totals.items()}},
            ),
        )
    )


def check_absent_classes(given: AuditInput) -> CheckResult:
    """Find classes without images in a split."""
    images = given.labelled
    labels = set(images["label"])
    present = {split: set(images.loc[images["split"] == split, "label"]) for split in SPLITS}
    absent = {split: sorted(labels - found) for split, found in present.items() if found and labels - found}
    if not absent:
        return CheckResult()
    untrained = absent.get("train", [])
    without = "; for ".join(f"{_USES[split]}: {_listed(missing)}" for split, missing in absent.items())
    missing = sorted({label for labels_of in absent.values() for label in labels_of})
    return CheckResult(
        (
            Finding(
                key="absent-class",
                severity="error" if untrained else "warning",
                title=f"{counted(len(missing), 'class has', 'classes have')} no photos for {' or '.join(map(_USES.__getitem__, absent))}",
                explanation=f"Without photos for {without}. "
                + ("A class without training photos can never be recognised. " if untrained else "")
                + "A class without validation or test photos is never evaluated.",
                advice="Move photos of these classes there, or re-split the photos.",
                image_ids=tuple(images.loc[images["label"].isin(missing), "image_id"]),
                facts={"absent": absent},
            ),
        )
    )


def check_class_names(given: AuditInput) -> CheckResult:
    """Find class names that differ only in case, spacing or punctuation."""
    sizes = Counter(str(label) for label in given.labelled["label"])
    alike = similar_names(sizes)
    if not alike:
        return CheckResult()
    # single letters are often separate classes, as in handwriting
    letters = all(len(folded_name(names[0])) == 1 for names in alike)
    merges = ", ".join(f"{old!r} becomes {names[0]!r}" for names in alike for old in names[1:])
    fewer = {name for names in alike for name in names[1:]}
    return CheckResult(
        (
            Finding(
                key="similar-class-names",
                severity="info" if letters else "warning",
                title=f"Class names that are nearly the same: {', '.join(map(repr, alike[0]))}",
                explanation=f"{counted(len(alike), 'class seems', 'classes seem')} to be spelled in several ways: "
                f"{'; '.join(_listed(names) for names in alike)}. The model would have to distinguish them.",
                advice="If they are one class, merge them; if not, rename one so that people can distinguish them.",
                repair=None if letters else f"{merges}.",
                image_ids=tuple(given.labelled.loc[given.labelled["label"].isin(fewer), "image_id"]),
                facts={"classes": alike, "sizes": {name: sizes[name] for names in alike for name in names}},
            ),
        )
    )


def folded_name(name: str) -> str:
    """Return a class name without differences made by mistake: case, spaces, punctuation, Unicode forms.

    >>> folded_name("Oxeye_Daisy ") == folded_name("oxeye-daisy"), folded_name("C++") == folded_name("C")
    (True, False)
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join("-" if unicodedata.category(c) == "Pd" else c for c in text if unicodedata.category(c) != "Cf")
    return _IGNORED_IN_NAMES.sub("", unicodedata.normalize("NFKC", visible)) or text


def similar_names(sizes: Mapping[str, int]) -> list[list[str]]:
    """Return the groups of names that fold to the same; in each, the name with most images comes first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        groups[folded_name(name)].append(name)
    return [names for _, names in sorted(groups.items()) if len(names) > 1]


def check_left_out(given: AuditInput) -> CheckResult:
    """Report what is not used: files that the import rejected, images without a label."""
    findings = []
    if given.rejected:
        share = len(given.rejected) / (len(given.rejected) + len(given.images))
        reasons = Counter(reason.partition(":")[0].partition("(")[0].strip() for _, reason in given.rejected)
        path, why = given.rejected[0]
        findings.append(
            Finding(
                key="rejected-files",
                severity="warning" if share >= MUCH_REJECTED else "info",
                title=f"{counted(len(given.rejected), 'file')} could not be used",
                explanation=f"The import rejected {share:.1%} of the photos, e.g. {path}: {why}.",
                advice="Repair or replace these files and import again; they are not part of this version.",
                score=round(share, 4),
                threshold=MUCH_REJECTED,
                facts={
                    "reasons": dict(reasons.most_common()),
                    "files": [list(entry) for entry in given.rejected],
                },
            )
        )
    unlabelled = given.images.loc[given.images["label"].isna(), "image_id"]
    if len(unlabelled):
        findings.append(
            Finding(
                key="unlabelled",
                severity="info",
                title=f"{counted(len(unlabelled), 'photo has', 'photos have')} no label yet",
                explanation="Training ignores photos without a label.",
                advice="Label them, or leave them for later.",
                image_ids=tuple(unlabelled),
            )
        )
    return CheckResult(tuple(findings))


def _listed(names: Iterable[str]) -> str:
    return listed(map(repr, names), full=WHOLE_LISTS, most=_SHOWN)


def _sizes(sizes: Mapping[str, int]) -> str:
    ordered = sorted(sizes, key=lambda label: (sizes[label], label))
    return listed((f"{label!r} {sizes[label]}" for label in ordered), full=WHOLE_LISTS, most=_SHOWN)


CHECKS: tuple[Check, ...] = (
    check_tiny_classes,
    check_balance,
    check_absent_classes,
    check_class_names,
    check_left_out,
)
