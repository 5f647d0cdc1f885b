"""Changing a data set: every change makes a new version, and the previous one stays as it was.

Images are not touched, only the table of their labels and splits. An edit that
changes nothing makes no version: the newest one is returned.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.facts import version_near
from workflows.data.publishing import locked, next_record, publish_record, reason_or
from workflows.data.splits import DEFAULT_RATIOS, assign_splits
from workflows.data.version import SPLITS, Action, DatasetVersion, Split
from workflows.errors import DatasetError, UsageError
from workflows.store.names import counted
from workflows.store.store import Store
from workflows.words import listed

MAX_LABEL = 255

Change = Callable[[pd.DataFrame], tuple[pd.DataFrame, str]]
"""From the newest version's table to the next one's, and a description of the change."""


def relabel(
    store: Store, name: str, labels: Mapping[str, str | None], *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Give images another label, or none.

    An image that gets its first label gets a split too, by the rule of the import; in a class with too few
    images for that, they wait without a split until there are more. An image without a label has no split.

    Args:
        labels: image id to new label; None removes the label.
        author: who made the change; by default the user.
        reason: why; by default a description of the change.

    Raises:
        DatasetError: unknown data set or image.
        UsageError: an invalid label.
        StorageError: the store's disk is full or can't be written.
    """
    wanted = {image: None if label is None else clean_label(label) for image, label in labels.items()}

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        _check_known(table, wanted)
        named = table["image_id"].isin(list(wanted))
        new = table["image_id"].map(wanted).astype(object)
        after = table.assign(label=table["label"].astype(object).where(~named, new))
        after = after.assign(split=after["split"].astype(object).where(after["label"].notna(), None))
        changed = int((table["label"].fillna("") != after["label"].fillna("")).sum())
        return after, f"relabelled {counted(changed, 'image')}{_vanished(table, after)}"

    return edit(store, name, change, action="relabel", author=author, reason=reason)


def remove(
    store: Store, name: str, image_ids: Iterable[str], *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Leave images out of the next version. Older versions keep them, so `undo` restores them.

    Raises:
        DatasetError: unknown data set or image, or no image would be left.
        StorageError: the store's disk is full or can't be written.
    """
    wanted = set(image_ids)

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        _check_known(table, wanted)
        after = table[~table["image_id"].isin(wanted)].reset_index(drop=True)
        if after.empty:
            raise DatasetError(
                f"No image would be left in data set {name!r}.", f"To delete it: fieldguide dataset delete {name}"
            )
        return after, f"removed {counted(len(wanted), 'image')}{_vanished(table, after)}"

    return edit(store, name, change, action="remove", author=author, reason=reason)


def move(
    store: Store, name: str, splits: Mapping[str, Split], *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Put labelled images into another split.

    Args:
        splits: image id to split.

    Raises:
        DatasetError: unknown data set or image, an image without a label, or copies or groups would be split
            up: move all of their images.
        UsageError: no such split.
        StorageError: the store's disk is full or can't be written.
    """
    unknown = sorted({str(split) for split in splits.values()} - set(SPLITS))
    if unknown:
        raise UsageError(f"Unknown split {unknown[0]!r}.", "Use train, val or test.")

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        _check_known(table, splits)
        named = table["image_id"].isin(list(splits))
        bare = table.loc[named & table["label"].isna(), "path"]
        if len(bare):
            raise DatasetError(f"{bare.iloc[0]} has no label, so it can't be in a split.", "Label it first.")
        new = table["image_id"].map(dict(splits)).astype(object)
        after = table.assign(split=table["split"].astype(object).where(~named, new))
        _refuse_torn(table, after)
        changed = int((table["split"].fillna("") != after["split"].fillna("")).sum())
        return after, f"moved {counted(changed, 'image')} to another split"

    return edit(store, name, change, action="move", author=author, reason=reason)


def rename_class(
    store: Store, name: str, old: str, new: str, *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Give a class another name.

    Raises:
        DatasetError: unknown data set or class.
        UsageError: the new name is invalid, or another class has it.
        StorageError: the store's disk is full or can't be written.
    """
    wanted = clean_label(new)

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        _check_classes(table, [old])
        if wanted != old and (table["label"] == wanted).any():
            raise UsageError(
                f"A class {wanted!r} exists already.",
                f"To merge them: fieldguide dataset merge-classes {name} {old!r} --into {wanted!r}",
            )
        after = table.assign(label=table["label"].astype(object).where(table["label"] != old, wanted))
        return after, f"renamed class {old!r} to {wanted!r}"

    return edit(store, name, change, action="rename-class", author=author, reason=reason)


def merge_classes(
    store: Store, name: str, olds: Collection[str], into: str, *, author: str | None = None, reason: str = ""
) -> DatasetVersion:
    """Merge several classes into one; their images keep their splits.

    Args:
        olds: classes that disappear (unless `into` is one of them).
        into: an existing class, or a new name.

    Raises:
        DatasetError: unknown data set or class.
        UsageError: no class is given, or the new name is invalid.
        StorageError: the store's disk is full or can't be written.
    """
    wanted = clean_label(into)
    if not olds:
        raise UsageError("No class to merge was given.", "Give at least one besides the one to merge into.")

    def change(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        _check_classes(table, olds)
        after = table.assign(label=table["label"].astype(object).where(~table["label"].isin(list(olds)), wanted))
        merged = ", ".join(repr(old) for old in olds if old != wanted)
        return after, f"merged {merged} into {wanted!r}"

    return edit(store, name, change, action="merge-classes", author=author, reason=reason)


def edit(
    store: Store,
    name: str,
    change: Change,
    *,
    action: Action,
    author: str | None = None,
    reason: str = "",
    given_split: bool | None = None,
    ratios: Sequence[float] | None = None,
) -> DatasetVersion:
    """Make the next version by changing the newest one's table, while holding its lock.

    Labelled images without a split get one afterwards, where their class has enough images.

    Args:
        change: takes the table and returns the next one and a description of the change. It may drop rows and
            set `label` and `split`, nothing else.
        action: what kind of change this is.
        reason: why; by default the description that `change` returned.
        given_split: whether the split came with the images; by default as before.
        ratios: shares for later images; by default as before.

    Returns:
        The new version, or the newest if nothing has changed.

    Raises:
        DatasetError: unknown data set; and what `change` raises.
        StorageError: the store's disk is full or can't be written.
    """
    with locked(store, name):
        newest = get_version(store, name)
        table, done = change(newest.table())
        ratios = ratios or newest.ratios()
        table = fill_splits(table, ratios, lambda: version_near(newest, store.blobs))
        newest_record = store.datasets.versions(name)[-1]
        record = next_record(
            store,
            name,
            table,
            action=action,
            reason=reason_or(reason, done),
            author=author,
            parent=newest.number,
            given_split=newest.given_split if given_split is None else given_split,
            source=newest.source,
            listing=newest_record.listing,
        )
        if record.fingerprint == newest.fingerprint:
            return newest
        return publish_record(store, record, table, ratios=ratios, rendering=newest.rendering())


def fill_splits(
    table: pd.DataFrame, ratios: Sequence[float] | None, near: Callable[[], Mapping[str, str]] = dict
) -> pd.DataFrame:
    """Give labelled images without a split one, where their class has enough images; the others keep theirs.

    Args:
        ratios: shares of train, val and test; by default those that the labelled images have now.
        near: returns the groups of near duplicates, which should stay together; called only if needed.
    """
    labelled = table["label"].notna()
    if not (labelled & table["split"].isna()).any():
        return table
    part = table[labelled].assign(near=table["sha256"].map(near()))
    splits = table["split"].astype(object).copy()
    splits[labelled] = np.array(
        assign_splits(part, ratios or present_shares(part), allow_unassigned=True), dtype=object
    )
    return table.assign(split=splits)


def present_shares(table: pd.DataFrame) -> tuple[float, ...]:
    """Return the present shares of the splits, for further images; the default ones where these make no sense."""
    counts = [int((table["split"] == split).sum()) for split in SPLITS]
    return tuple(counts) if counts[0] and counts[1] else DEFAULT_RATIOS


def clean_label(label: str) -> str:
    """Return a label as it is stored: in Unicode's composed form, without blanks around it.

    Raises:
        UsageError: empty, longer than 255 characters, or with control characters.
    """
    text = unicodedata.normalize("NFC", label).strip()
    if not text or len(text) > MAX_LABEL or not text.isprintable():
        raise UsageError(
            f"{label[:60]!r} can't be a label.", f"Use 1 to {MAX_LABEL} characters, none of them a control character."
        )
    return text


def _check_known(table: pd.DataFrame, image_ids: Iterable[str]) -> None:
    wanted = set(image_ids)
    unknown = sorted(wanted - set(table["image_id"]))
    if not wanted:
        raise UsageError("No image was given.", "List the images: `fieldguide dataset labels NAME`.")
    if unknown:
        raise DatasetError(
            f"{counted(len(unknown), 'image is', 'images are')} not in the newest version:",
            "They may have been removed in the meantime; look at the newest version.",
            problems=unknown,
        )


def _check_classes(table: pd.DataFrame, classes: Iterable[str]) -> None:
    known = sorted(set(table["label"].dropna()))
    for name in classes:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = (
                f"Did you mean {', '.join(map(repr, near))}?"
                if near
                else f"Its classes: {listed(known, full='dataset show')}."
            )
            raise DatasetError(f"No class is called {name!r}.", hint)


def _vanished(before: pd.DataFrame, after: pd.DataFrame) -> str:
    gone = sorted(set(before["label"].dropna()) - set(after["label"].dropna()))
    return f"; no image is left in class {listed(map(repr, gone), full='fieldguide dataset diff')}" if gone else ""


def _refuse_torn(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Refuse a move that puts copies of one image, or images of one group, into two splits."""
    for column, what in (("sha256", "copies of one image"), ("group", "images of one group")):
        fresh = _divided(after, column) - _divided(before, column)
        if fresh:
            together = after[after[column].isin(fresh)].groupby(column)["path"].agg(", ".join)
            raise DatasetError(
                f"This would put {what} into two splits:",
                "Move all of them, or none.",
                problems=sorted(together),
            )


def _divided(table: pd.DataFrame, column: str) -> set[str]:
    counts = table.groupby(column)["split"].nunique()
    return set(counts[counts > 1].index)
