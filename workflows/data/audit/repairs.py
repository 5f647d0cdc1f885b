"""Fixing what an audit found: each repair makes a new version, so `dataset undo` reverts it.

Only repairs that are right in nearly every case are offered. Anything else (relabelling, taking new photos)
is the user's decision; the finding's advice says what.

Models are evaluated on held-out images, so a repair removes images where they matter least: first from
train, then from val, and from test only what can't be right (a blank image, a copy within test itself, an image with
two labels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from workflows.data.audit.findings import Finding
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.edits import edit
from workflows.data.version import SPLIT_WORDS, DatasetVersion
from workflows.errors import DatasetError
from workflows.progress import Progress, silent
from workflows.store.names import counted
from workflows.store.store import Store

_KEPT_FIRST = {"test": 0, "val": 1, "train": 2}
LEAST_LEFT = 0.5
"""A repair that would remove more than this share of a class's training images is left to the user."""


@dataclass(frozen=True)
class RepairPlan:
    """What a repair would change.

    Attributes:
        version: the version that it was planned for, the data set's newest.
        key: the finding's.
        what: what it does and why, in the present tense.
        remove: ids of images to remove.
        merge: class that disappears -> class that gets its images.
        left: images of the finding that are left to the user.
    """

    version: DatasetVersion
    key: str
    what: str
    remove: tuple[str, ...] = ()
    merge: tuple[tuple[str, str], ...] = ()
    left: int = 0

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the next version's rows."""
        remaining = table[~table["image_id"].isin(self.remove)].reset_index(drop=True)
        return remaining.assign(label=remaining["label"].astype(object).replace(dict(self.merge)))


_Planner = Callable[[Finding, pd.DataFrame], tuple[str, Sequence[str]]]


def plan_repair(store: Store, name: str, key: str, progress: Progress = silent) -> RepairPlan:
    """Return what :func:`fix` would do to the newest version of a data set.

    Raises:
        DatasetError: unknown data set; no such finding in its newest version; nothing that can be fixed safely.
        StorageError: the store is damaged, or its disk is full.
    """
    version = get_version(store, name)
    report = audit(store, version, progress)
    finding = report.find(key)
    if finding is None:
        found = ", ".join(finding.key for finding in report.findings) or "nothing"
        raise DatasetError(f"{version} has no finding {key!r}.", f"Its audit found: {found}.")
    if key == "similar-class-names" and finding.repair:
        return _merges(version, finding)
    planner = REPAIRS.get(key)
    if planner is None or not finding.repair:
        raise DatasetError(f"There is no safe repair for {key!r}: you must decide.", finding.advice)
    table = version.table()
    what, removed = planner(finding, table)
    if not removed:
        raise DatasetError(f"Nothing in {key!r} can be fixed safely: you must decide.", finding.advice)
    _refuse_emptied(name, table, removed, finding)
    concerned = {image for group in finding.facts.get("groups", []) for image in group}
    left = len(_undecided(finding, table)) if concerned else 0
    return RepairPlan(version, key, what, tuple(removed), left=left)


def fix(store: Store, name: str, key: str, *, author: str | None = None, progress: Progress = silent) -> DatasetVersion:
    """Fix a finding of the newest version of a data set, as a new version.

    Args:
        key: the finding's, e.g. `exact-duplicates`.
        author: who; by default the user.

    Raises:
        DatasetError: see :func:`plan_repair`; or the data set has changed in the meantime.
        StorageError: the store's disk is full or can't be written.
    """
    return carry_out(store, plan_repair(store, name, key, progress), author=author)


def carry_out(store: Store, plan: RepairPlan, *, author: str | None = None) -> DatasetVersion:
    """Carry out a plan; see :func:`fix`."""
    name = plan.version.name

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        if get_version(store, name).number != plan.version.number:  # we hold the lock: it can't change any more
            raise DatasetError(
                f"{name} has changed since the plan was made.", f"Look again: fieldguide dataset audit {name}"
            )
        return plan.apply(table), f"fixed {plan.key}: {plan.what}"

    return edit(store, name, change, action="fix", author=author)


def _groups(finding: Finding, table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each group of images that belong together."""
    rows = table.set_index("image_id", drop=False).rename_axis(None)
    present = set(rows.index)
    groups = [[image for image in group if image in present] for group in finding.facts.get("groups", [])]
    return [rows.loc[group] for group in groups if len(group) > 1]


def _contradicts(group: pd.DataFrame) -> bool:
    return bool(group["label"].nunique(dropna=True) > 1)


def _undecided(finding: Finding, table: pd.DataFrame) -> list[str]:
    """Return the images of groups with more than one label, which only `two-labels` removes."""
    if finding.key not in ("exact-duplicates", "near-duplicates"):
        return []
    return [image for group in _groups(finding, table) if _contradicts(group) for image in group["image_id"]]


def _drop_copies(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed: list[str] = []
    for group in _groups(finding, table):
        if _contradicts(group):
            continue
        # labelled before unlabelled, held-out before train: test images stay, and nothing leaks
        order = group.assign(rank=group["split"].map(_KEPT_FIRST).fillna(3)).sort_values(["rank", "path", "image_id"])
        removed += order["image_id"].iloc[1:].tolist()
    what = f"{counted(len(removed), 'copy is', 'copies are')} removed; one of each photo stays, preferably for test or validation"
    return what, removed


def _drop_leaks(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed: list[str] = []
    for group in _groups(finding, table):
        best = group["split"].map(_KEPT_FIRST)
        removed += group.loc[best > best.min(), "image_id"].tolist()
    splits = table.loc[table["image_id"].isin(removed), "split"].value_counts()
    counts = " and ".join(f"{counted(count, f'{SPLIT_WORDS[str(split)]} photo')}" for split, count in splits.items())
    leave = "leaves" if len(removed) == 1 else "leave"
    return f"{counts} {leave}, because the model is later evaluated on the same photo; that one stays", removed


def _drop_contradictions(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed = [image for group in _groups(finding, table) if _contradicts(group) for image in group["image_id"]]
    return f"{counted(len(removed), 'photo is', 'photos are')} removed: the same photo with several labels", removed


def _drop_all(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed = sorted(set(finding.image_ids) & set(table["image_id"]))
    return f"{counted(len(removed), 'photo is', 'photos are')} removed", removed


def _merges(version: DatasetVersion, finding: Finding) -> RepairPlan:
    merge = tuple((old, names[0]) for names in finding.facts["classes"] for old in names[1:])
    what = ", ".join(f"{old!r} becomes {new!r}" for old, new in merge)
    return RepairPlan(version, finding.key, what, merge=merge)


def _refuse_emptied(name: str, table: pd.DataFrame, removed: Sequence[str], finding: Finding) -> None:
    """Refuse a repair after which a class would have too few images to train on, or none left to evaluate on."""
    leaves = table["image_id"].isin(removed)
    for (label, split), rows in table[table["label"].notna()].groupby(["label", "split"]):
        share = float(leaves[rows.index].mean())
        if share == 1.0 or (split == "train" and share > LEAST_LEFT):
            raise DatasetError(
                f"Fixing {finding.key} would remove {int(leaves[rows.index].sum())} of {len(rows)} {split} photos of "
                f"class {str(label)!r}.",
                f"You must decide that. {finding.advice} Or re-split all photos, look-alikes together: "
                f"{resplit_command(name)}",
            )


REPAIRS: dict[str, _Planner] = {
    "exact-duplicates": _drop_copies,
    "near-duplicates": _drop_copies,
    "leak-exact": _drop_leaks,
    "leak-near": _drop_leaks,
    "two-labels": _drop_contradictions,
    "blank": _drop_all,
    "tiny": _drop_all,
}
"""The repairs that remove images, by the key of their finding."""


SETTLED_BY_RESPLIT = ("leak-exact", "leak-near", "near-duplicates", "absent-class")
"""Findings that a re-split fixes too, without removing an image; see :mod:`workflows.data.resplit`."""


def command(name: str, key: str) -> str:
    """Return the command that fixes a finding."""
    return f"fieldguide dataset fix {name} {key}"


def resplit_command(name: str) -> str:
    """Return the command that re-splits in the present shares, look-alikes together."""
    return f"fieldguide dataset resplit {name} --split as-before"


def remedies(name: str, finding: Finding) -> list[str]:
    """Return the commands that fix a finding, the better one first."""
    fixing = [command(name, finding.key)] if finding.repair else []
    dividing = [resplit_command(name)] if finding.key in SETTLED_BY_RESPLIT else []
    return dividing + fixing if finding.key == "leak-near" else fixing + dividing
