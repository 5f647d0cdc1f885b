"""A source of images, understood by its names alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workflows.data.folders import FoundFile
from workflows.data.version import Split
from workflows.errors import SourceError

Layout = Literal[
    "class-folders", "split-folders", "labels-csv", "imagefolder", "label-studio", "cvat", "datumaro", "unlabelled"
]


@dataclass(frozen=True)
class SourceEntry:
    """One image of a source.

    Attributes:
        path: the file.
        relative: its place in the source, with `/`, in Unicode's composed form.
        label: its class; None if it has none (yet).
        split: the split that came with it, if any.
        attributes: further columns of the label file.
    """

    path: Path
    relative: str
    label: str | None
    split: Split | None
    attributes: dict[str, str]
    size: int
    mtime_ns: int


@dataclass
class Scan:
    """A source, understood but not opened yet. Each of its files stands in one of the three lists.

    Attributes:
        source: the folder or archive.
        ignored: (relative path, reason) of what is left out.
        rejected: (name, reason) of images that were announced but can't be used, before opening any.
        fingerprint: SHA-256 over names, sizes, times, labels and splits: equal means nothing changed.
        columns: column names of the label file.
        notes: remarks for the person, in words.
    """

    source: Path
    layout: Layout
    entries: list[SourceEntry]
    ignored: list[tuple[str, str]]
    rejected: list[tuple[str, str]] = field(default_factory=list)
    fingerprint: str = ""
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """All labels."""
        return {entry.label for entry in self.entries if entry.label is not None}

    @property
    def splits(self) -> set[Split]:
        """All splits that came with the images."""
        return {entry.split for entry in self.entries if entry.split}


def entry_of(
    file: FoundFile, label: str | None = None, split: Split | None = None, attributes: dict[str, str] | None = None
) -> SourceEntry:
    """Return the entry of a found file."""
    return SourceEntry(file.path, file.relative, label, split, attributes or {}, file.size, file.mtime_ns)


def named(labels: Iterable[str]) -> str:
    """Return classes as the beginning of a sentence in the singular."""
    ordered = sorted(labels)
    shown = ", ".join(repr(label) for label in ordered[:5])
    return f"{'Class' if len(ordered) == 1 else 'Each of the classes'} {shown}{', …' if len(ordered) > 5 else ''}"


def check(found: Scan) -> None:
    """Check that a classifier could be taught by a source.

    Raises:
        SourceError: no labelled image, one class only, or splits that are given in part or teach not every class.
    """
    if not found.entries:
        raise SourceError(
            f"There are no labelled images in {found.source}.",
            "Expected: one folder of images for each class, or a label file: a CSV with filename,label."
            + (f" For example {found.rejected[0][0]!r}: {found.rejected[0][1]}." if found.rejected else ""),
        )
    if len(found.classes) == 1:
        raise _only_one_class(found, next(iter(found.classes)))
    given = Counter(entry.split for entry in found.entries if entry.label is not None)
    if 0 < given[None] < given.total():
        raise SourceError(
            f"{given[None]} of {given.total()} rows of the label file have no split.", "Fill all of them, or none."
        )
    if found.splits and "train" not in found.splits:
        raise SourceError(
            f"No image is in the split `train`, only in {' and '.join(sorted(found.splits))}.",
            "Call the part to learn from `train`, or leave the splits out: then the import makes them.",
        )
    untaught = found.classes - {entry.label for entry in found.entries if entry.split == "train"}
    if found.splits and untaught:
        raise SourceError(
            f"{named(untaught)} has images for validation or test, but none for training.",
            "Add training images of it, or remove the class.",
        )


def _only_one_class(found: Scan, label: str) -> SourceError:
    below = [entry.relative.partition("/")[2] for entry in found.entries]
    nested = (
        found.layout == "class-folders"
        and all("/" in place for place in below)
        and len({place.partition("/")[0] for place in below}) > 1
    )
    return SourceError(
        f"There is only one class, {label!r}, in {found.source}: nothing to tell apart.",
        f"Did you mean {found.source / label}?" if nested else "Add a folder of images for at least one more class.",
    )


def case_notes(classes: set[str]) -> list[str]:
    """Return a remark on classes that differ only in case."""
    folded = Counter(label.casefold() for label in classes)
    alike = sorted(label for label in classes if folded[label.casefold()] > 1)
    return [f"Classes that differ only in upper and lower case are kept apart: {', '.join(alike)}."] if alike else []


def fingerprint(entries: Iterable[SourceEntry], *more: str) -> str:
    """Return a SHA-256 over what is known of images without opening one, and over `more`."""
    digest = hashlib.sha256("\0".join(more).encode("utf-8", "surrogateescape"))
    for entry in entries:
        line = (entry.relative, str(entry.size), str(entry.mtime_ns), entry.label or "", entry.split or "")
        digest.update(("\0".join(line) + "\n").encode())
    return digest.hexdigest()
