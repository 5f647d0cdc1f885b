"""Keeping what people have put right: an import must not bring back what an edit has changed.

Beside each version that an import made lies what its source said of each image. The next import of the same
source compares three things: what it said then, what it says now, and what stands in the data set. Where the
source has not changed its mind, the data set's word counts; where it has, the source's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from workflows.data.version import IMPORTS, DatasetVersion
from workflows.errors import StorageError
from workflows.store.files import read_table
from workflows.store.names import counted

SAID_FILE = "source.parquet"
_COLUMNS = ["image_id", "label", "split"]


@dataclass(frozen=True)
class Corrected:
    """An import's rows with the corrections kept.

    Attributes:
        rows: what is to be taken in.
        said: what the source says of each of its images, and whether it is left out; for the next import.
        removed: paths of images that are left out, because somebody removed them here.
        notes: what was kept, in words.
    """

    rows: pd.DataFrame
    said: pd.DataFrame
    removed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def last_said(versions: Sequence[DatasetVersion], source: str) -> pd.DataFrame | None:
    """Return what a source said when the newest version's content last came from it; None if it never did.

    Columns: image_id, label, split, and `known`: whether the image was taken in then or removed before.

    Args:
        versions: all versions, oldest first.
    """
    by_number = {version.number: version for version in versions}
    version: DatasetVersion | None = versions[-1] if versions else None
    while version is not None and not (version.action in IMPORTS and version.source == source):
        if version.action == "undo":  # equals what the undone version was made from
            version = by_number.get(version.parent or 0)
        version = by_number.get(version.parent or 0) if version is not None else None
    if version is None:
        return None
    there = set(version.table()["image_id"])
    try:
        said = read_table(version.folder / SAID_FILE)
        return said.assign(known=said["image_id"].isin(there) | said["left_out"])
    except StorageError:  # made by an older programme: its rows are what the source said
        table = version.table()
        return table.loc[table["source"] == source, _COLUMNS].assign(known=True)


def keep_corrections(fresh: pd.DataFrame, base: pd.DataFrame | None, earlier: pd.DataFrame | None) -> Corrected:
    """Return an import's rows as they must be so that no edit is lost.

    Args:
        fresh: one row for each image, as the source has it now.
        base: see :func:`last_said`; None takes the source's word for everything.
        earlier: the newest version's rows.
    """
    said = fresh[_COLUMNS]
    if base is None or earlier is None:
        return Corrected(_unlabelled_follow(fresh, earlier), said.assign(left_out=False))
    then, here = base.set_index("image_id"), earlier.set_index("image_id")
    ids = fresh["image_id"]
    gone = ids.isin(then.index[then["known"].astype(bool)]) & ~ids.isin(here.index)
    rows, notes = fresh, []
    for column in ("label", "split"):
        old, now = ids.map(then[column]).astype(object), ids.map(here[column]).astype(object)
        same = ids.isin(then.index) & ids.isin(here.index) & _equal(old, fresh[column])
        kept = same & ~_equal(old, now) & fresh[column].notna()
        rows = rows.assign(**{column: rows[column].astype(object).where(~kept, now)})
        if kept.any():
            notes.append(f"Corrections made here were kept: the {column} of {counted(int(kept.sum()), 'image')}.")
    rows, renamed = _renamed(rows, then, here)
    notes += renamed
    if gone.any():
        notes.append(f"Removed here before, so not taken in again: {counted(int(gone.sum()), 'image')}.")
    removed = tuple(fresh.loc[gone, "path"])
    rows = _unlabelled_follow(rows[~gone].reset_index(drop=True), earlier)
    return Corrected(rows, said.assign(left_out=gone.to_numpy()), removed, notes)


def _equal(one: pd.Series, other: pd.Series) -> pd.Series:
    return one.astype(object).fillna("") == other.astype(object).fillna("")


def _renamed(rows: pd.DataFrame, then: pd.DataFrame, here: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give new images of a class that is called otherwise here that name."""
    both = then.index.intersection(here.index)
    new = ~rows["image_id"].isin(then.index)
    present, notes = set(here["label"].dropna()), []
    for label in sorted(set(rows.loc[new, "label"].dropna()) - present):
        names = set(here.loc[both[then.loc[both, "label"] == label], "label"])
        if len(names) == 1 and not pd.isna(name := next(iter(names))):
            mine = new & (rows["label"] == label)
            rows = rows.assign(label=rows["label"].where(~mine, name))
            notes.append(f"The source's class {label!r} is called {name!r} here: so are its new images.")
    return rows, notes


def _unlabelled_follow(rows: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    """Let images that come without a label keep the one that they have here."""
    if earlier is None or rows["label"].notna().all():
        return rows
    here = earlier.set_index("image_id")
    bare = rows["label"].isna() & rows["image_id"].isin(here.index)
    filled = {
        column: rows[column].astype(object).where(~bare, rows["image_id"].map(here[column]).astype(object))
        for column in ("label", "split")
    }
    return rows.assign(**filled)
