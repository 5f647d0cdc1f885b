"""Re-splitting all images, look-alikes together: first planned, then carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.edits import edit, present_shares
from workflows.data.facts import version_near
from workflows.data.frozen import release_warnings, released, test_images_of_champions
from workflows.data.splits import DEFAULT_RATIOS, assign_splits, check_ratios
from workflows.data.version import HELD_OUT, SPLITS, DatasetVersion, Split
from workflows.errors import DatasetError
from workflows.progress import Progress, silent
from workflows.store.names import counted
from workflows.store.store import Store


@dataclass(frozen=True)
class ResplitPlan:
    """What a re-split would do.

    Attributes:
        version: the version that it was planned for, the data set's newest.
        ratios: shares of train, val and test.
        seed: decides which images go where.
        splits: image id -> split, of the labelled images.
        sizes: images by class (rows) and split (columns), as they would be.
        moved: how many images would change their split.
        groups: how many groups of look-alikes or of exact copies there are.
        torn: of these, how many would still be in more than one split, because keeping them together would leave a
            class with too little to divide.
        leaking: held-out images with a look-alike in an earlier split, before and after.
        frozen: model -> how many images its champion is tested on. They stay held out, unless they are released.
        released: model -> how many of these would be trained on.
    """

    version: DatasetVersion
    ratios: tuple[float, ...]
    seed: int
    splits: Mapping[str, Split]
    sizes: pd.DataFrame
    moved: int
    groups: int
    torn: int
    leaking: tuple[int, int]
    frozen: Mapping[str, int]
    released: Mapping[str, int]

    @property
    def what(self) -> str:
        """Return a description of the change, in the past tense."""
        shares = "/".join(f"{100 * ratio / sum(self.ratios):g}" for ratio in self.ratios)
        return f"re-split all images: {shares}, seed {self.seed}"

    def totals(self) -> dict[str, int]:
        """Return the number of images in each split."""
        return {split: int(self.sizes[split].sum()) for split in SPLITS}

    def warnings(self) -> list[str]:
        """Return warnings for the user before it is carried out."""
        said = []
        if not self.moved:
            said.append("All images are in these splits already: nothing would change.")
        if self.torn:
            said.append(
                f"{self.torn:,} of {counted(self.groups, 'group')} of look-alikes can't stay in one split: "
                "a class would have too few images left to split."
            )
        said += release_warnings(self.released)
        if self.version.given_split:
            said.append("The split that came with the images is replaced.")
        return said


def plan_resplit(
    store: Store,
    name: str,
    ratios: Sequence[float] | None = None,
    seed: int = 0,
    progress: Progress = silent,
    *,
    release_test_images: bool = False,
) -> ResplitPlan:
    """Return what :func:`resplit` would do to the newest version of a data set.

    Args:
        ratios: shares of train, val and test; by default those of the version's own split, rounded to 5 %.
        release_test_images: also divide the images that champions are tested on. By default they stay where they
            are held out, since a model that was trained on them can't be compared with its champion any more.

    Raises:
        DatasetError: unknown data set, or a class with too few images.
        UsageError: invalid ratios.
        StorageError: the store is damaged, or its disk is full.
    """
    version = get_version(store, name)
    table = version.table()
    labelled = table[table["label"].notna()].reset_index(drop=True)
    shares = tuple(ratios) if ratios is not None else _own_ratios(version, labelled)
    check_ratios(shares)
    near = version_near(version, store.blobs, progress)
    frozen = test_images_of_champions(store, name)
    pinned = pd.Series(None, index=labelled.index, dtype=object)
    if not release_test_images:
        pinned = _held_out(labelled, set().union(*frozen.values()))
    fresh = labelled.assign(split=pinned, near=labelled["sha256"].map(dict(near)))
    after = pd.Series(assign_splits(fresh, shares, seed), index=labelled.index, dtype=object)
    after = after.fillna("test")  # look-alikes of frozen images that are held out on both sides
    family = fresh["near"].astype(object).fillna(fresh["sha256"])
    family = family[family.duplicated(keep=False)]
    splits = dict(zip(labelled["image_id"], after, strict=True))
    return ResplitPlan(
        version,
        shares,
        seed,
        splits,
        pd.crosstab(labelled["label"].astype(str), after).reindex(columns=list(SPLITS), fill_value=0),
        int((labelled["split"].astype(object).fillna("") != after).sum()),
        int(family.nunique()),
        int((after[family.index].groupby(family).nunique() > 1).sum()),
        (_leaking(labelled["split"], family), _leaking(after, family)),
        {model: len(images) for model, images in frozen.items()},
        released(frozen, splits),
    )


def carry_out_resplit(
    store: Store, plan: ResplitPlan, *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Carry out a plan, as a new version. A split that came with the images is replaced.

    Raises:
        DatasetError: the data set has changed in the meantime.
        StorageError: the store's disk is full or can't be written.
    """
    name = plan.version.name

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        if get_version(store, name).number != plan.version.number:  # we hold the lock: it can't change any more
            raise DatasetError(
                f"{name} has changed since the plan was made.",
                f"Look again: fieldguide dataset resplit {name} --dry-run",
            )
        return table.assign(split=table["image_id"].map(dict(plan.splits)).astype(object)), plan.what

    return edit(
        store, name, change, action="split", author=author, reason=reason, given_split=False, ratios=plan.ratios
    )


def resplit(
    store: Store,
    name: str,
    ratios: Sequence[float] | None = DEFAULT_RATIOS,
    seed: int = 0,
    *,
    author: str | None = None,
    reason: str = "",
) -> DatasetVersion:
    """Re-split all labelled images; look-alikes, copies and groups stay together.

    Raises:
        DatasetError: unknown data set, or a class with too few images.
        UsageError: invalid ratios.
        StorageError: the store's disk is full or can't be written.
    """
    return carry_out_resplit(store, plan_resplit(store, name, ratios, seed), author=author, reason=reason)


def _own_ratios(version: DatasetVersion, labelled: pd.DataFrame) -> tuple[float, ...]:
    if version.ratios():
        return tuple(version.ratios() or ())
    shares = check_ratios(present_shares(labelled))
    rounded = {split: max(5, 5 * round(20 * share)) for split, share in shares.items()}
    rest = 100 - sum(number for split, number in rounded.items() if split != "train")
    return tuple(float(rest if split == "train" else rounded.get(split, 0)) for split in SPLITS)


def _leaking(splits: pd.Series, family: pd.Series) -> int:
    """Return how many held-out images have a look-alike in an earlier split."""
    rank = splits[family.index].map({split: number for number, split in enumerate(SPLITS)}).astype(float)
    return int((splits[family.index].isin(HELD_OUT) & (rank.groupby(family).transform("min") < rank)).sum())


def _held_out(labelled: pd.DataFrame, frozen: set[str]) -> pd.Series:
    """Return the split that frozen images stay in: their own, or the test split if an earlier division took it."""
    splits = labelled["split"].astype(object)
    held_out = splits.where(splits.isin(HELD_OUT), "test")
    return held_out.where(labelled["image_id"].astype(str).isin(frozen), None)
