"""What changed between versions of a data set: per image, and in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import pandas as pd

from workflows.data.catalog import get_version, list_versions
from workflows.data.version import IMAGES_FILE, DatasetVersion
from workflows.store.files import read_table
from workflows.store.names import counted
from workflows.store.store import Store

_COMPARED = ["image_id", "path", "label", "split", "group", "attributes"]


@dataclass(frozen=True)
class ImageChange:
    """One image that differs: its value before and after (None: no value, or no such image)."""

    image_id: str
    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class VersionDiff:
    """What differs between two versions of a data set; images + added - removed = images after.

    Attributes:
        before: number of the first version.
        after: number of the second.
        images_before: number of its images.
        images_after: number of the second's images.
        added: images that only `after` has; with their labels there.
        removed: images that only `before` has; with their labels there.
        relabelled: images of both with another label.
        moved: images of both, labelled in both, in another split; a first label's first split is no move.
        described: ids of images of both with another group or other attributes.
        classes_added: classes that only `after` has.
        classes_removed: classes that only `before` has.
    """

    name: str
    before: int
    after: int
    images_before: int
    images_after: int
    added: tuple[ImageChange, ...]
    removed: tuple[ImageChange, ...]
    relabelled: tuple[ImageChange, ...]
    moved: tuple[ImageChange, ...]
    described: tuple[str, ...]
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether both hold the same."""
        return not any((self.added, self.removed, self.relabelled, self.moved, self.described))

    def counts(self) -> dict[str, int]:
        """Return the number of images for each kind of change."""
        kinds = ("added", "removed", "relabelled", "moved", "described")
        return {kind: len(getattr(self, kind)) for kind in kinds}


@dataclass(frozen=True)
class VersionChange:
    """One entry of a history: who made a version, when, how, why, and what it changed.

    Attributes:
        parent: the version it was made from; None for the first.
        counts: number of images for each kind of change against its parent.
    """

    number: int
    parent: int | None
    created_at: datetime
    author: str
    action: str
    reason: str
    images: int
    classes: int
    fingerprint: str
    counts: dict[str, int] = field(default_factory=dict)

    def in_words(self) -> str:
        """Return the changes as a short text, e.g. `+12 -3, 4 relabelled`."""
        counts = self.counts
        parts = [f"+{counts['added']}" if counts["added"] else "", f"-{counts['removed']}" if counts["removed"] else ""]
        words = [" ".join(filter(None, parts))]
        words += [f"{counts[kind]} {kind}" for kind in ("relabelled", "moved", "described") if counts[kind]]
        return ", ".join(filter(None, words)) or "nothing"


class _Side:
    """A version's table, as far as it is compared; read when needed."""

    def __init__(self, version: DatasetVersion | None) -> None:
        self.version = version

    @cached_property
    def table(self) -> pd.DataFrame:
        if self.version is None:
            return pd.DataFrame(columns=_COMPARED).set_index("image_id")
        table = read_table(self.version.folder / IMAGES_FILE, _COMPARED).set_index("image_id")
        return table.astype(object).where(table.notna(), None)


def history(store: Store, name: str) -> list[VersionChange]:
    """Return the history of a data set, newest version first.

    Raises:
        DatasetError: unknown data set.
        StorageError: a version's file is missing or damaged.
    """
    changes = []
    sides = {0: _Side(None)}
    for version in list_versions(store, name):
        side = sides[version.number] = _Side(version)
        parent = version.parent or 0
        changed = _compare(sides[parent].table, side.table)
        changes.append(
            VersionChange(
                number=version.number,
                parent=version.parent,
                created_at=version.created_at,
                author=version.author,
                action=version.action,
                reason=version.reason,
                images=version.images,
                classes=len(version.classes),
                fingerprint=version.fingerprint,
                counts={kind: len(index) for kind, index in changed.items()},
            )
        )
        for number in set(sides) - {0, version.number}:
            del sides[number]  # of many large versions, only two are in memory
    return changes[::-1]


def diff(store: Store, name: str, v1: int, v2: int) -> VersionDiff:
    """Return the difference between version `v1` and version `v2`.

    Raises:
        DatasetError: unknown data set or version.
        StorageError: a version's file is missing or damaged.
    """
    one, two = get_version(store, name, v1), get_version(store, name, v2)
    before, after = _Side(one).table, _Side(two).table
    changed = _compare(before, after)

    def changes(kind: str, column: str) -> tuple[ImageChange, ...]:
        return tuple(_change(image, before, after, column) for image in changed[kind])

    return VersionDiff(
        name=name,
        before=v1,
        after=v2,
        images_before=one.images,
        images_after=two.images,
        added=changes("added", "label"),
        removed=changes("removed", "label"),
        relabelled=changes("relabelled", "label"),
        moved=changes("moved", "split"),
        described=tuple(changed["described"]),
        classes_added=tuple(each for each in two.classes if each not in one.classes),
        classes_removed=tuple(each for each in one.classes if each not in two.classes),
    )


def change_words(found: VersionDiff) -> str:
    """Return what changed, as `3 labels changed, 12 images added`; `nothing changed` if both hold the same."""
    nouns = {
        "relabelled": ("label changed", "labels changed"),
        "added": ("image added", "images added"),
        "removed": ("image removed", "images removed"),
        "moved": ("image moved to another split", "images moved to another split"),
        "described": ("image in another group", "images in other groups"),
    }
    counts = found.counts()
    return (
        ", ".join(counted(counts[kind], *words) for kind, words in nouns.items() if counts[kind]) or "nothing changed"
    )


def in_words(found: VersionDiff) -> str:
    """Return a comparison as one line."""
    if found.empty:
        return f"versions {found.before} and {found.after} of {found.name} are identical"
    parts = [f"{counted(number, 'image')} {kind}" for kind, number in found.counts().items() if number]
    return f"{found.name}, version {found.before} to {found.after}: {', '.join(parts)}"


def _compare(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, list[str]]:
    """Return the ids of the images that differ, by the kind of difference, in the order of their paths."""
    both = after.index.intersection(before.index)
    old, new = before.loc[both], after.loc[both]

    def differing(column: str) -> pd.Series:
        return old[column].fillna("") != new[column].fillna("")

    return {
        "added": list(after.index[~after.index.isin(before.index)]),
        "removed": list(before.index[~before.index.isin(after.index)]),
        "relabelled": list(both[differing("label")]),
        "moved": list(both[differing("split") & old["label"].notna() & new["label"].notna()]),
        "described": list(both[differing("group") | differing("attributes")]),
    }


def _change(image: str, before: pd.DataFrame, after: pd.DataFrame, column: str) -> ImageChange:
    path = str((after if image in after.index else before).at[image, "path"])
    return ImageChange(image, path, _cell(before, image, column), _cell(after, image, column))


def _cell(table: pd.DataFrame, image: str, column: str) -> str | None:
    cell = table.at[image, column] if image in table.index else None
    return None if cell is None else str(cell)
