"""Preserving corrections: an import must not undo what an edit has changed.

Each version made by an import is stored with the labels and splits of its source. The next import of the same
source compares three things: the source's value then, its value now, and the value in the data set. Where the
source has not changed, the data set's value wins; where it has, the source's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from workflows.data.undoing import timeline
from workflows.data.version import IMPORTS, DatasetVersion
from workflows.errors import StorageError
from workflows.store.files import read_table
from workflows.store.names import counted

SAID_FILE = "source.parquet"
_COLUMNS = ["image_id", "label", "split"]


@dataclass(frozen=True)
class Corrected:
    """An import's rows with the corrections applied.

    Attributes:
        rows: the rows to import.
        said: the source's label and split of each image, and whether it is left out; for the next import.
        removed: paths of images that are left out because they were removed here before.
        notes: which corrections were preserved, as sentences.
    """

    rows: pd.DataFrame
    said: pd.DataFrame
    removed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def last_said(versions: Sequence[DatasetVersion], source: str) -> pd.DataFrame | None:
    """Return a source's labels and splits at the newest import from it; None if there was none.

    Columns: image_id, label, split, and `known`: whether the image was imported then or removed before.

    Args:
        versions: all versions, oldest first.
    """
    by_number = {version.number: version for version in versions}
    equals = timeline(versions).equals
    version: DatasetVersion | None = versions[-1] if versions else None
    while version is not None and not (version.action in IMPORTS and version.source == source):
        version = by_number.get(equals.get(version.number, version.parent or 0))
    if version is None:
        return None
    there = set(version.table()["image_id"])
    try:
        said = read_table(version.folder / SAID_FILE)
        return said.assign(known=said["image_id"].isin(there) | said["left_out"])
    except StorageError:  # written by an older version of Fieldguide: its rows are the source's values
        table = version.table()
        return table.loc[table["source"] == source, _COLUMNS].assign(known=True)


def carry_corrections(fresh: pd.DataFrame, base: pd.DataFrame | None, earlier: pd.DataFrame | None) -> Corrected:
    """Return an import's rows with all earlier edits preserved.

    Args:
        fresh: one row per image, as in the source now.
        base: see :func:`last_said`; None takes everything from the source.
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
        preserved = same & ~_equal(old, now) & fresh[column].notna()
        rows = rows.assign(**{column: rows[column].astype(object).where(~preserved, now)})
        if preserved.any():
            notes.append(
                f"Corrections made in Fieldguide were preserved: the {column} of {counted(int(preserved.sum()), 'image')}."
            )
    rows, renamed = _renamed(rows, then, here)
    notes += renamed
    if gone.any():
        notes.append(f"Not imported because they were removed before: {counted(int(gone.sum()), 'image')}.")
    removed = tuple(fresh.loc[gone, "path"])
    rows = _unlabelled_follow(rows[~gone].reset_index(drop=True), earlier)
    return Corrected(rows, said.assign(left_out=gone.to_numpy()), removed, notes)


def _equal(one: pd.Series, other: pd.Series) -> pd.Series:
    return one.astype(object).fillna("") == other.astype(object).fillna("")


def _renamed(rows: pd.DataFrame, then: pd.DataFrame, here: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give new images of a class that was renamed here its new name."""
    both = then.index.intersection(here.index)
    new = ~rows["image_id"].isin(then.index)
    present, notes = set(here["label"].dropna()), []
    for label in sorted(set(rows.loc[new, "label"].dropna()) - present):
        names = set(here.loc[both[then.loc[both, "label"] == label], "label"])
        if len(names) == 1 and not pd.isna(name := next(iter(names))):
            current = new & (rows["label"] == label)
            rows = rows.assign(label=rows["label"].where(~current, name))
            notes.append(f"The source's class {label!r} is called {name!r} here; its new images got that name.")
    return rows, notes


def _unlabelled_follow(rows: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    """Let images that come without a label keep their existing one."""
    if earlier is None or rows["label"].notna().all():
        return rows
    here = earlier.set_index("image_id")
    bare = rows["label"].isna() & rows["image_id"].isin(here.index)
    filled = {
        column: rows[column].astype(object).where(~bare, rows["image_id"].map(here[column]).astype(object))
        for column in ("label", "split")
    }
    return rows.assign(**filled)
