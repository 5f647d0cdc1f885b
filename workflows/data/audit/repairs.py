"""Mending what an audit found: each repair makes a new version, so that `dataset undo` takes it back.

Only what is right in nearly every case is offered. Whatever else a finding calls for (relabelling, taking new photos)
is a person's decision; its advice says which.

Held-out photos are the measure of a model, so a repair takes photos away from where they matter least: first from
train, then from val, and from test only what can't be right (a blank picture, a copy within test itself, a picture under
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
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError
from workflows.progress import Progress, silent
from workflows.store.names import counted
from workflows.store.store import Store

_WORDS = {"train": "training", "val": "validation"}
_KEPT_FIRST = {"test": 0, "val": 1, "train": 2}
LEAST_LEFT = 0.5
"""A repair that would take more than this share of a class's training photos is left to a person."""


@dataclass(frozen=True)
class RepairPlan:
    """What a repair would change.

    Attributes:
        version: the version that it was planned for, the data set's newest.
        key: the finding's.
        what: what it does and why so, in the present tense.
        remove: ids of images that leave.
        merge: class that vanishes -> class that takes its images.
        left: images of the finding that only a person can decide about.
    """

    version: DatasetVersion
    key: str
    what: str
    remove: tuple[str, ...] = ()
    merge: tuple[tuple[str, str], ...] = ()
    left: int = 0

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the next version's rows."""
        kept = table[~table["image_id"].isin(self.remove)].reset_index(drop=True)
        return kept.assign(label=kept["label"].astype(object).replace(dict(self.merge)))


_Planner = Callable[[Finding, pd.DataFrame], tuple[str, Sequence[str]]]


def plan_repair(store: Store, name: str, key: str, progress: Progress = silent) -> RepairPlan:
    """Return what :func:`fix` would do to the newest version of a data set.

    Raises:
        DatasetError: unknown data set; no such finding in its newest version; nothing that can be mended safely.
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
        raise DatasetError(f"There is no safe repair for {key!r}: a person must decide.", finding.advice)
    table = version.table()
    what, removed = planner(finding, table)
    if not removed:
        raise DatasetError(f"There is nothing to mend safely in {key!r}: a person must decide.", finding.advice)
    _refuse_emptied(name, table, removed, finding)
    concerned = {image for group in finding.facts.get("groups", []) for image in group}
    left = len(_undecided(finding, table)) if concerned else 0
    return RepairPlan(version, key, what, tuple(removed), left=left)


def fix(store: Store, name: str, key: str, *, author: str | None = None, progress: Progress = silent) -> DatasetVersion:
    """Mend a finding of the newest version of a data set, as a new version.

    Args:
        key: the finding's, e.g. `exact-duplicates`.
        author: who; by default the user.

    Raises:
        DatasetError: see :func:`plan_repair`; or somebody changed the data set meanwhile.
        StorageError: the store's disk is full or can't be written.
    """
    return carry_out(store, plan_repair(store, name, key, progress), author=author)


def carry_out(store: Store, plan: RepairPlan, *, author: str | None = None) -> DatasetVersion:
    """Do what was planned; see :func:`fix`."""
    name = plan.version.name

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        if get_version(store, name).number != plan.version.number:  # we hold the lock: nobody moves it any more
            raise DatasetError(
                f"{name} has changed since it was looked at.", f"Look again: fieldguide dataset audit {name}"
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
    """Return the images of groups under more than one label, which only `two-labels` takes away."""
    if finding.key not in ("exact-duplicates", "near-duplicates"):
        return []
    return [image for group in _groups(finding, table) if _contradicts(group) for image in group["image_id"]]


def _drop_copies(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed: list[str] = []
    for group in _groups(finding, table):
        if _contradicts(group):
            continue
        # labelled before not, held out before train: what a model is judged by stays, and nothing leaks
        order = group.assign(rank=group["split"].map(_KEPT_FIRST).fillna(3)).sort_values(["rank", "path", "image_id"])
        removed += order["image_id"].iloc[1:].tolist()
    what = f"{counted(len(removed), 'copy leaves', 'copies leave')}; one of each photo stays, rather for test or validation than for training"
    return what, removed


def _drop_leaks(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed: list[str] = []
    for group in _groups(finding, table):
        best = group["split"].map(_KEPT_FIRST)
        removed += group.loc[best > best.min(), "image_id"].tolist()
    splits = table.loc[table["image_id"].isin(removed), "split"].value_counts()
    counts = " and ".join(f"{counted(count, f'{_WORDS[str(split)]} photo')}" for split, count in splits.items())
    leave = "leaves" if len(removed) == 1 else "leave"
    return f"{counts} {leave}, because the model is later judged by the same photo; that one stays", removed


def _drop_contradictions(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed = [image for group in _groups(finding, table) if _contradicts(group) for image in group["image_id"]]
    return f"{counted(len(removed), 'photo leaves', 'photos leave')}: the same photo under several labels", removed


def _drop_all(finding: Finding, table: pd.DataFrame) -> tuple[str, list[str]]:
    removed = sorted(set(finding.image_ids) & set(table["image_id"]))
    return f"{counted(len(removed), 'photo leaves', 'photos leave')}", removed


def _merges(version: DatasetVersion, finding: Finding) -> RepairPlan:
    merge = tuple((old, names[0]) for names in finding.facts["classes"] for old in names[1:])
    what = ", ".join(f"{old!r} becomes {new!r}" for old, new in merge)
    return RepairPlan(version, finding.key, what, merge=merge)


def _refuse_emptied(name: str, table: pd.DataFrame, removed: Sequence[str], finding: Finding) -> None:
    """Refuse a repair after which a class could no longer be taught, or judged in a split where it was."""
    leaves = table["image_id"].isin(removed)
    for (label, split), rows in table[table["label"].notna()].groupby(["label", "split"]):
        share = float(leaves[rows.index].mean())
        if share == 1.0 or (split == "train" and share > LEAST_LEFT):
            raise DatasetError(
                f"Fixing {finding.key} would take {int(leaves[rows.index].sum())} of {len(rows)} {split} photos of "
                f"class {str(label)!r}.",
                f"That is for a person to decide. {finding.advice} Or divide all photos anew, copies together: "
                f"fieldguide dataset resplit {name}",
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
"""The repairs that take images away, by the key of their finding."""


def command(name: str, key: str) -> str:
    """Return the command that mends a finding."""
    return f"fieldguide dataset fix {name} {key}"
