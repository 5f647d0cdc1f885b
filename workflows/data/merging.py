"""From an import's new images and the version before it to the next version's table, with every split set."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
import pandas as pd

from workflows.data.splits import assign_splits
from workflows.data.version import SPLITS, Split
from workflows.errors import DatasetError
from workflows.store.names import counted


def merge(fresh: pd.DataFrame, earlier: pd.DataFrame | None, given: Set[Split], *, mirror: bool) -> pd.DataFrame:
    """Return the next version's rows; `split` is null where it must still be found.

    A split that came with the source is kept as given; but if no `val` came, it is taken out of what came as
    `train`, which is open therefore. Where nothing is given, an image keeps the split that it had, and takes
    over that of an image that leaves, if it has its content (a file was moved) or stands at its place (a file
    was edited). Without `mirror`, only images leave whose place in the same source is taken.
    """
    if "val" not in given:
        fresh = fresh.assign(split=fresh["split"].where(fresh["split"] != "train", None))
    if earlier is None:
        return fresh
    # next to a given test, no other image belongs there, wherever it was before
    usable = earlier[earlier["split"] != "test"] if "test" in given else earlier
    known = earlier["image_id"].isin(fresh["image_id"])
    # a picture that waits for its label under another name has found it
    known |= earlier["label"].isna() & earlier["sha256"].isin(fresh.loc[fresh["label"].notna(), "sha256"])
    staying = ~known & (False if mirror else ~_places(earlier).isin(_places(fresh)))
    leaving = usable[~(known | staying).loc[usable.index]]
    fresh = fresh.assign(split=_kept_splits(fresh, usable, leaving))
    # nor does it come a second time without its label
    stands = earlier.loc[staying & earlier["label"].notna(), "sha256"]
    fresh = fresh[~(fresh["label"].isna() & fresh["sha256"].isin(stands))]
    return pd.concat([earlier[staying], fresh], ignore_index=True) if staying.any() else fresh


def _places(table: pd.DataFrame) -> pd.Series:
    return table["source"] + "\0" + table["path"]


def _kept_splits(fresh: pd.DataFrame, earlier: pd.DataFrame, leaving: pd.DataFrame) -> pd.Series:
    splits = fresh["split"].astype(object)  # a column of nulls alone has no text type yet
    for new, old, kept in (
        (fresh["image_id"], earlier["image_id"], earlier["split"]),
        (fresh["sha256"], leaving["sha256"], leaving["split"]),
        (_places(fresh), _places(leaving), leaving["split"]),
    ):
        splits = splits.where(splits.notna(), new.map(dict(zip(old, kept, strict=True))))
    return splits


def place(
    table: pd.DataFrame,
    ratios: Sequence[float],
    seed: int,
    given: Set[Split],
    allowed: Set[Split],
    patient: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each labelled image without a split one.

    Args:
        table: the next version's rows; with a column `near` (group of near duplicates, or null), those stay together.
        ratios: shares of train, val and test.
        given: splits that came with the source. If `val` is missing there, it is taken out of `train`.
        allowed: splits that new images may go to.
        patient: images of a class with too few images wait without a split, because somebody is labelling.

    Returns:
        The complete table, and the rows that could not be placed, because what binds them (group, content)
        is on two sides already.

    Raises:
        DatasetError: a class has too few images for the split, or groups divide images that were divided before.
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
    if part["split"].notna().all():  # nothing to divide, so nothing to refuse
        return table, table.iloc[:0]
    splits = table["split"].astype(object).copy()
    splits[movable] = np.array(assign_splits(part, shares, seed, patient=patient), dtype=object)
    table = table.assign(split=splits)
    unplaced = labelled & table["split"].isna() & (not patient)
    return table[~unplaced].reset_index(drop=True), table[unplaced]


def _refuse_torn_groups(table: pd.DataFrame) -> None:
    torn = _several(table[table["split"].notna()], "group", "split")
    if torn:
        raise DatasetError(
            f"In the version before, {counted(len(torn), 'group is', 'groups are')} divided between splits, "
            f"e.g. {torn[0]!r}.",
            "Images never change their split. To split by these groups, import under a new name.",
        )


def remarks(table: pd.DataFrame, classes: Sequence[str], given: Set[Split]) -> list[str]:
    """Return what a person should know of a version: duplicates, leaks, splits that lack something."""
    notes = []
    waiting = int(table["label"].isna().sum())
    if waiting:
        notes.append(f"Without a label, so not trained on: {counted(waiting, 'image')}.")
    by_content = table.groupby("sha256")
    copies = int((by_content.size() - 1).sum())
    if copies:
        notes.append(f"Exact copies of other images: {copies}. Copies are kept in one split.")
    torn = _several(table, "sha256", "label")
    if torn:
        example = table.loc[table["sha256"] == torn[0], "path"].iloc[0]
        notes.append(f"Pictures under more than one label: {len(torn)}, e.g. {example}.")
    leaked = _several(table, "sha256", "split")
    if leaked:
        example = table.loc[table["sha256"] == leaked[0], "path"].iloc[0]
        notes.append(f"Pictures in more than one split, as given: {len(leaked)}, e.g. {example}; results will flatter.")
    divided = _several(table, "group", "split")
    if divided:
        notes.append(f"Groups in more than one split, as given: {len(divided)}, e.g. {divided[0]}.")
    if given and "val" not in given:
        count = int((table["split"] == "val").sum())
        notes.append(f"No validation split came with the images: {count} training images were set aside for it.")
    if table["split"].notna().any() and not (table["split"] == "test").any():
        notes.append("There is no test split: the final numbers can only come from the validation images.")
    return notes + _absent_classes(table, classes)


def _several(table: pd.DataFrame, by: str, column: str) -> list[str]:
    """Return the values of `by` that meet more than one value of `column`."""
    counts = table.groupby(by)[column].nunique()
    return sorted(counts[counts > 1].index)


def _absent_classes(table: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    notes = []
    for split in SPLITS:
        labels = set(table.loc[table["split"] == split, "label"])
        absent = [name for name in classes if name not in labels]
        if labels and absent:
            notes.append(f"Without images in {split}: {', '.join(absent[:5])}{', …' if len(absent) > 5 else ''}.")
    return notes
