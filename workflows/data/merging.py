"""From an import's new images and the version before it to the next version's table, with every split set."""

from __future__ import annotations

from collections.abc import Sequence, Set

import pandas as pd

from workflows.data.splits import assign_splits
from workflows.data.version import SPLITS, Split
from workflows.errors import DatasetError


def merge(fresh: pd.DataFrame, earlier: pd.DataFrame | None, *, mirror: bool) -> pd.DataFrame:
    """Return the next version's rows; `split` is null where it must still be found.

    A new image takes over the split of an earlier one with the same id, else the same content, else the same
    place (a file that was edited must not change sides). Without `mirror`, the earlier images stay, except
    those that stand at the same place of the same source.
    """
    if earlier is None:
        return fresh
    fresh = fresh.assign(split=_kept_splits(fresh, earlier))
    if mirror:
        return fresh
    replaced = earlier["image_id"].isin(fresh["image_id"]) | _places(earlier).isin(_places(fresh))
    return pd.concat([earlier[~replaced], fresh], ignore_index=True)


def _places(table: pd.DataFrame) -> pd.Series:
    return table["source"] + "\0" + table["path"]


def _kept_splits(fresh: pd.DataFrame, earlier: pd.DataFrame) -> pd.Series:
    splits = fresh["split"].astype(object)
    for new, old in (
        (fresh["image_id"], earlier["image_id"]),
        (fresh["sha256"], earlier["sha256"]),
        (_places(fresh), _places(earlier)),
    ):
        known = dict(zip(old, earlier["split"], strict=True))
        splits = splits.where(splits.notna(), new.map(known))
    return splits


def place(
    table: pd.DataFrame, ratios: Sequence[float], seed: int, given: Set[Split], allowed: Set[Split]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each image without a split one.

    Args:
        table: the next version's rows.
        ratios: shares of train, val and test.
        given: splits that came with the source. If `val` is missing there, it is taken out of `train`.
        allowed: splits that new images may go to.

    Returns:
        The complete table, and the rows that could not be placed, because what binds them (group, content)
        is on two sides already.

    Raises:
        DatasetError: a class has too few images for the split, or groups divide images that were divided before.
    """
    if given and "val" in given:
        return table, table.iloc[:0]
    if given:
        allowed = {"train", "val"}
    movable = (
        table["split"].isin(list(allowed)) | table["split"].isna() if given else pd.Series(True, index=table.index)
    )
    shares = [ratio if split in allowed else 0.0 for split, ratio in zip(SPLITS, ratios, strict=True)]
    part = table[movable]
    _refuse_torn_groups(part)
    splits = table["split"].astype(object).copy()
    splits[movable] = assign_splits(part, shares, seed)
    table = table.assign(split=splits)
    unplaced = table["split"].isna()
    return table[~unplaced].reset_index(drop=True), table[unplaced]


def _refuse_torn_groups(table: pd.DataFrame) -> None:
    placed = table[table["split"].notna() & table["group"].notna()]
    sides = placed.groupby("group")["split"].nunique()
    torn = sorted(sides[sides > 1].index)
    if torn:
        raise DatasetError(
            f"{len(torn)} groups (e.g. {torn[0]!r}) are divided between splits in the version before.",
            "Images never change their split. To split by these groups, import under a new name.",
        )


def remarks(table: pd.DataFrame, classes: Sequence[str], given: Set[Split]) -> list[str]:
    """Return what a person should know of a version: duplicates, leaks, splits that lack something."""
    notes = []
    by_content = table.groupby("sha256")
    copies = int((by_content.size() - 1).sum())
    if copies:
        notes.append(f"{copies} images are exact copies of others; copies are kept in one split.")
    torn = int((by_content["label"].nunique() > 1).sum())
    if torn:
        example = table[table["sha256"].isin(_several(table, "label"))]["path"].iloc[0]
        notes.append(f"{torn} pictures stand under more than one label, e.g. {example}.")
    leaked = len(_several(table, "split"))
    if leaked:
        notes.append(f"{leaked} pictures are in more than one split as it was given: results will look too good.")
    if given and "val" not in given:
        count = int((table["split"] == "val").sum())
        notes.append(f"No validation split came with the images: {count} training images were set aside for it.")
    if not (table["split"] == "test").any():
        notes.append("There is no test split: the final numbers can only come from the validation images.")
    return notes + _absent_classes(table, classes)


def _several(table: pd.DataFrame, column: str) -> list[str]:
    counts = table.groupby("sha256")[column].nunique()
    return list(counts[counts > 1].index)


def _absent_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    notes = []
    for split in SPLITS:
        labels = set(table.loc[table["split"] == split, "label"])
        absent = [name for name in classes if name not in labels]
        if labels and absent:
            notes.append(f"Without images in {split}: {', '.join(absent[:5])}{', …' if len(absent) > 5 else ''}.")
    return notes
