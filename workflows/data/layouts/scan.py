"""A source of images, read by its file names only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workflows.data.folders import FoundFile
from workflows.data.layouts.beside import TableBeside
from workflows.data.version import Split
from workflows.errors import SourceError
from workflows.words import SHOWN

Layout = Literal[
    "class-folders",
    "split-folders",
    "labels-csv",
    "imagefolder",
    "label-studio",
    "cvat",
    "datumaro",
    "coco",
    "fiftyone",
    "imagenet-txt",
    "open-images",
    "unlabelled",
]
WAITING = "waiting"
"""The folder of our own exports whose images have a label, but no split yet."""


@dataclass(frozen=True)
class SourceEntry:
    """One image of a source.

    Attributes:
        path: the file.
        relative: its path in the source, with `/`, in Unicode's composed form.
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
    """A source, recognised but with no image opened yet. Each of its files is in one of the three lists.

    Attributes:
        source: the folder or archive.
        ignored: (relative path, reason) of what is left out.
        rejected: (name, reason) of images that are listed but can't be used, before opening any.
        fingerprint: SHA-256 over names, sizes, times, labels and splits: equal means unchanged.
        columns: column names of the label file.
        notes: remarks for the user.
        nested: folder inside a class folder -> number of its images; they belong to the class above it.
    """

    source: Path
    layout: Layout
    entries: list[SourceEntry]
    ignored: list[tuple[str, str]]
    rejected: list[tuple[str, str]] = field(default_factory=list)
    fingerprint: str = ""
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nested: dict[str, int] = field(default_factory=dict)

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
    """Return classes as the singular subject of a sentence."""
    ordered = sorted(labels)
    if len(ordered) > SHOWN:
        return f"Each of {len(ordered)} classes"
    return f"{'Class' if len(ordered) == 1 else 'Each of the classes'} {', '.join(map(repr, ordered))}"


def too_many_to_name(labels: Iterable[str]) -> list[str]:
    """Return the classes that :func:`named` only counts, as problems of their error."""
    ordered = sorted(labels)
    return ordered if len(ordered) > SHOWN else []


def check(found: Scan, beside: TableBeside | None = None) -> None:
    """Check that a classifier can be trained on a source.

    Args:
        beside: a table that may be the label file, if there is one.

    Raises:
        SourceError: no labelled image, one class only, or splits that are incomplete or lack training images of a class.
    """
    if not found.entries:
        raise SourceError(
            f"{found.source} contains no labelled images.",
            beside.advice
            if beside
            else "Expected: one folder of images per class, or a label file: a CSV with filename,label.",
            problems=[f"{name}: {reason}" for name, reason in found.rejected],
            details=offered(beside),
        )
    if len(found.classes) == 1:
        raise _only_one_class(found, next(iter(found.classes)), beside)
    given = Counter(entry.split for entry in found.entries if entry.label is not None and not _waits(entry, found))
    if 0 < given[None] < given.total():
        raise SourceError(
            f"{given[None]} of {given.total()} rows of the label file have no split:",
            "Fill in all of them, or none.",
            problems=[
                e.relative for e in found.entries if e.label is not None and e.split is None and not _waits(e, found)
            ],
        )
    if found.splits and "train" not in found.splits:
        raise SourceError(
            f"No image is in the split `train`, only in {' and '.join(sorted(found.splits))}.",
            "Name the training part `train`, or leave out the splits: the import then creates them.",
        )
    placed = {entry.label for entry in found.entries if entry.label is not None and not _waits(entry, found)}
    untrained = placed - {entry.label for entry in found.entries if entry.split == "train"}
    if found.splits and untrained:
        raise SourceError(
            f"{named(untrained)} has images for validation or test, but none for training.",
            "Add training images of it, or remove the class.",
            problems=too_many_to_name(untrained),
        )


def _waits(entry: SourceEntry, found: Scan) -> bool:
    """Return whether an image has no split on purpose: our own export marks that by its folder."""
    return found.layout == "imagefolder" and entry.split is None and entry.relative.startswith(f"{WAITING}/")


def offered(beside: TableBeside | None) -> dict[str, str]:
    """Return the advised label file for an error's details."""
    return {"label_file": beside.labels} if beside else {}


def _only_one_class(found: Scan, label: str, beside: TableBeside | None) -> SourceError:
    below = [entry.relative.partition("/")[2] for entry in found.entries]
    nested = (
        found.layout == "class-folders"
        and all("/" in place for place in below)
        and len({place.partition("/")[0] for place in below}) > 1
    )
    hint = f"Did you mean {found.source / label}?" if nested else "Add a folder of images for at least one more class."
    return SourceError(
        f"There is only one class, {label!r}, in {found.source}; training needs at least two.",
        beside.advice if beside else hint,
        details=offered(beside),
    )


def case_notes(classes: set[str]) -> list[str]:
    """Return a note on classes that differ only in case."""
    folded = Counter(label.casefold() for label in classes)
    alike = sorted(label for label in classes if folded[label.casefold()] > 1)
    return [f"Classes that differ only in case are separate classes: {', '.join(alike)}."] if alike else []


def fingerprint(entries: Iterable[SourceEntry], *more: str) -> str:
    """Return a SHA-256 over what is known of images without opening them, and over `more`."""
    digest = hashlib.sha256("\0".join(more).encode("utf-8", "surrogateescape"))
    for entry in entries:
        line = (entry.relative, str(entry.size), str(entry.mtime_ns), entry.label or "", entry.split or "")
        digest.update(("\0".join(line) + "\n").encode())
    return digest.hexdigest()
