"""From an import's new images and the version before it to the next version's table, with every split set."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
import pandas as pd

from workflows.data.splits import assign_splits
from workflows.data.version import SPLITS, Split
from workflows.errors import DatasetError
from workflows.store.names import counted
from workflows.words import listed


def merge(fresh: pd.DataFrame, earlier: pd.DataFrame | None, given: Set[Split], *, mirror: bool) -> pd.DataFrame:
    """Return the next version's rows; `split` is null where it is still open.

    A split that came with the source is used as given; but if it has no `val`, that is taken out of
    `train`, which is therefore open. Where nothing is given, an image keeps its split, and takes
    over that of a removed image with the same content (a file was moved) or the same path (a file
    was edited). Without `mirror`, an image is removed only if another one of the same source has its path.
    """
    if "val" not in given:
        fresh = fresh.assign(split=fresh["split"].where(fresh["split"] != "train", None))
    if earlier is None:
        return fresh
    # next to a given test split, no other image may be in it, whatever its split was before
    usable = earlier[earlier["split"] != "test"] if "test" in given else earlier
    known = earlier["image_id"].isin(fresh["image_id"])
    # an image that was waiting for its label under another name has got it
    known |= earlier["label"].isna() & earlier["sha256"].isin(fresh.loc[fresh["label"].notna(), "sha256"])
    staying = ~known & (False if mirror else ~_places(earlier).isin(_places(fresh)))
    leaving = usable[~(known | staying).loc[usable.index]]
    fresh = fresh.assign(split=_kept_splits(fresh, usable, leaving))
    # nor is it added a second time without its label
    stands = earlier.loc[staying & earlier["label"].notna(), "sha256"]
    fresh = fresh[~(fresh["label"].isna() & fresh["sha256"].isin(stands))]
    return pd.concat([earlier[staying], fresh], ignore_index=True) if staying.any() else fresh


def _places(table: pd.DataFrame) -> pd.Series:
    return table["source"] + "\0" + table["path"]


def _kept_splits(fresh: pd.DataFrame, earlier: pd.DataFrame, leaving: pd.DataFrame) -> pd.Series:
    splits = fresh["split"].astype(object)  # a column of nulls only has no string type yet
    for new, old, before in (
        (fresh["image_id"], earlier["image_id"], earlier["split"]),
        (fresh["sha256"], leaving["sha256"], leaving["split"]),
        (_places(fresh), _places(leaving), leaving["split"]),
    ):
        splits = splits.where(splits.notna(), new.map(dict(zip(old, before, strict=True))))
    return splits


def place(
    table: pd.DataFrame,
    ratios: Sequence[float],
    seed: int,
    given: Set[Split],
    allowed: Set[Split],
    allow_unassigned: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each labelled image without a split one.

    Args:
        table: the next version's rows; with a column `near` (group of near duplicates, or null), those stay together.
        ratios: shares of train, val and test.
        given: splits that came with the source. If `val` is missing, it is taken out of `train`.
        allowed: splits that new images may go to.
        allow_unassigned: images of a class with too few images stay without a split, because labelling is in progress.

    Returns:
        The complete table, and the rows that could not be placed, because images bound to them (by group or content)
        are in two splits already.

    Raises:
        DatasetError: a class has too few images for the split, or groups contain images that are in several splits already.
    """
    labelled = table["label"].notna()
    if given and "val" in given:
        return table, table.iloc[:0]
    if given:
        allowed = {"train", "val"}
    movable = labelled & (table["split"].isin(list(allowed)) | table["split"].isna() if given else True)
    shares = [ratio if split in allowed else 0.0 for split, ratio in zip(SPLITS, ratios, strict=True)]
    part = table[movable]
    _refuse_torn_groups(part)
    if part["split"].notna().all():  # nothing to split, so nothing to refuse
        return table, table.iloc[:0]
    splits = table["split"].astype(object).copy()
    splits[movable] = np.array(assign_splits(part, shares, seed, allow_unassigned=allow_unassigned), dtype=object)
    table = table.assign(split=splits)
    unplaced = labelled & table["split"].isna() & (not allow_unassigned)
    return table[~unplaced].reset_index(drop=True), table[unplaced]


def _refuse_torn_groups(table: pd.DataFrame) -> None:
    torn = _several(table[table["split"].notna()], "group", "split")
    if torn:
        raise DatasetError(
            f"In the previous version, {counted(len(torn), 'group is', 'groups are')} spread over several splits:",
            "Images never change their split. To split by these groups, import under a new name.",
            problems=torn,
        )


def remarks(table: pd.DataFrame, classes: Sequence[str], given: Set[Split]) -> list[str]:
    """Return notes on a version for the user: duplicates, leaks, incomplete splits."""
    notes = []
    waiting = int(table["label"].isna().sum())
    if waiting:
        notes.append(f"Not used in training because they have no label: {counted(waiting, 'image')}.")
    by_content = table.groupby("sha256")
    copies = int((by_content.size() - 1).sum())
    if copies:
        notes.append(f"Exact copies of other images: {copies}. Copies stay in one split.")
    torn = _several(table, "sha256", "label")
    if torn:
        notes.append(f"Images with more than one label: {_pictures(table, torn, 'two-labels')}.")
    leaked = _several(table, "sha256", "split")
    if leaked:
        where = _pictures(table, leaked, "leak-exact")
        notes.append(f"Images in more than one split, as given: {where}; results will be too good.")
    divided = _several(table, "group", "split")
    if divided:
        notes.append(
            f"Groups in more than one split, as given: {len(divided)}: {listed(divided, full='column `group` of its table')}."
        )
    if given and "val" not in given:
        count = int((table["split"] == "val").sum())
        notes.append(
            f"No validation split came with the images: {count} training images were set aside for validation."
        )
    if table["split"].notna().any() and not (table["split"] == "test").any():
        notes.append("There is no test split: the final metrics can only be measured on the validation images.")
    return notes + _absent_classes(table, classes)


def _pictures(table: pd.DataFrame, contents: list[str], finding: str) -> str:
    """Return the number of these images, and the first paths."""
    paths = table.drop_duplicates("sha256").set_index("sha256")["path"]
    return f"{len(contents)}: {listed(paths[contents], full=f'finding {finding} of fieldguide dataset audit')}"


def _several(table: pd.DataFrame, by: str, column: str) -> list[str]:
    """Return the values of `by` that occur with more than one value of `column`."""
    counts = table.groupby(by)[column].nunique()
    return sorted(counts[counts > 1].index)


def _absent_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    notes = []
    for split in SPLITS:
        labels = set(table.loc[table["split"] == split, "label"])
        absent = [name for name in classes if name not in labels]
        if labels and absent:
            notes.append(f"Without images in {split}: {listed(absent, full='fieldguide dataset show')}.")
    return notes
