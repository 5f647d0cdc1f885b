"""Understanding a source of labelled images: which layout it has, and what each image is called.

Three layouts are known: a folder for each class; the same below folders for train, val and test; and any
folder of images with a label file. Only names are read here, no image is opened.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from workflows.data.folders import FoundFile, Listing, list_folder
from workflows.data.label_files import SPLIT_NAMES, LabelFile, LabelRow, read_labels
from workflows.data.version import Split
from workflows.errors import SourceError
from workflows.progress import Progress, silent
from workflows.store.files import sha256_of
from workflows.store.names import counted

Layout = Literal["class-folders", "split-folders", "labels-csv", "unlabelled"]


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
    """A source, understood but not opened yet.

    Attributes:
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


@contextmanager
def open_source(
    source: Path,
    labels: Path | None = None,
    *,
    workspace: Path,
    encoding: str | None = None,
    unlabelled: bool = False,
    progress: Progress = silent,
) -> Iterator[Scan]:
    """Understand a source and make its images readable as files for as long as the context lasts.

    Args:
        source: a folder.
        labels: see :func:`scan`.
        workspace: a folder for what has to be unpacked.
        encoding: of the label file; default UTF-8.
        unlabelled: take every image, without a label and without a split.
        progress: told how much is unpacked, as stage `unpack`.

    Raises:
        SourceError: see :func:`scan`.
    """
    yield _unlabelled(source) if unlabelled else scan(source, labels)


def listing_of(
    source: Path, labels: Path | None = None, *, encoding: str | None = None, unlabelled: bool = False
) -> str:
    """Return the fingerprint that :func:`open_source` would find, without unpacking anything.

    Raises:
        SourceError: see :func:`scan`.
    """
    return (_unlabelled(source) if unlabelled else scan(source, labels)).fingerprint


def _unlabelled(source: Path) -> Scan:
    source = source.expanduser().absolute()
    listing = list_folder(source)
    entries = [SourceEntry(f.path, f.relative, None, None, {}, f.size, f.mtime_ns) for f in listing.files]
    found = Scan(source, "unlabelled", entries, sorted(listing.ignored))
    if not entries:
        raise SourceError(f"There are no images in {source}.", "Check the path.")
    found.fingerprint = _fingerprint(found, None)
    return found


def scan(source: Path, labels: Path | None = None) -> Scan:
    """Find out what a folder holds.

    Args:
        source: the folder.
        labels: a CSV with the columns `filename` and `label`; without it, folder names are the labels.

    Raises:
        SourceError: missing or empty, not in a known layout, only one class, or a faulty label file.
    """
    source = source.expanduser().absolute()
    labels = labels.expanduser().absolute() if labels is not None else None
    listing = list_folder(source, skip=labels)
    found = _by_folders(source, listing) if labels is None else _by_labels(source, listing, labels)
    _check(found)
    found.ignored.sort()
    found.fingerprint = _fingerprint(found, labels)
    found.notes.extend(_case_notes(found.classes))
    return found


def _by_folders(source: Path, listing: Listing) -> Scan:
    if not listing.files:
        raise SourceError(
            f"There are no images in {source}.",
            f"It holds {counted(len(listing.ignored), 'other entry', 'other entries')}."
            if listing.ignored
            else "The folder is empty.",
        )
    top = sorted({folder.partition("/")[0] for folder in listing.folders})
    holding = {file.relative.rpartition("/")[0] for file in listing.files}
    split_folders = [name for name in top if name.lower() in SPLIT_NAMES]
    with_classes = [name for name in split_folders if any(folder.startswith(f"{name}/") for folder in holding)]
    sides = {SPLIT_NAMES[name.lower()] for name in split_folders}
    if len(sides) > 1 and "train" in sides and with_classes:
        return _split_folders(source, listing, split_folders)
    if split_folders == top and len(top) > 1:
        raise SourceError(
            f"{source} has the folders {', '.join(top)}, but no folders of classes in them.",
            "Put each class into a folder of its own there, or give the labels with --labels labels.csv.",
        )
    if with_classes == top and sides == {"train"}:
        found = _class_folders(source, listing, below=f"{top[0]}/")
        found.notes.append(f"There is only a folder {top[0]!r}: its images are split like a set without a split.")
        return found
    return _class_folders(source, listing, below="")


def _class_folders(source: Path, listing: Listing, below: str) -> Scan:
    """Take the folders directly under `below` as classes; images deeper down belong to them too."""
    entries, ignored = [], list(listing.ignored)
    for file in listing.files:
        label, slash, _ = file.relative.removeprefix(below).partition("/")
        if slash and file.relative.startswith(below):
            entries.append(_entry(file, label, None))
        else:
            ignored.append((file.relative, "image outside of the class folders"))
    _refuse_empty_classes(_folders_below(listing, below), entries, source)
    return Scan(source, "class-folders", entries, ignored)


def _split_folders(source: Path, listing: Listing, split_folders: list[str]) -> Scan:
    entries, ignored = [], list(listing.ignored)
    for file in listing.files:
        top, _, rest = file.relative.partition("/")
        label, slash, _ = rest.partition("/")
        if top in split_folders and slash:
            entries.append(_entry(file, label, SPLIT_NAMES[top.lower()]))
        else:
            where = "class folders" if top in split_folders else "split folders"
            ignored.append((file.relative, f"image outside of the {where}"))
    train = [name for name in split_folders if SPLIT_NAMES[name.lower()] == "train"]
    folders = {label for name in train for label in _folders_below(listing, f"{name}/")}
    _refuse_empty_classes(folders, [entry for entry in entries if entry.split == "train"], source)
    found = Scan(source, "split-folders", entries, ignored)
    if found.splits == {"train"}:  # the other folders hold no labelled images
        found.entries = [replace(entry, split=None) for entry in entries]
        found.notes.append("Only the training folder holds labelled images: they are split like a set without a split.")
    return found


def _folders_below(listing: Listing, below: str) -> set[str]:
    inside = (folder.removeprefix(below) for folder in listing.folders if folder.startswith(below))
    return {folder for folder in inside if "/" not in folder}


def _refuse_empty_classes(folders: Iterable[str], entries: list[SourceEntry], source: Path) -> None:
    empty = set(folders) - {entry.label for entry in entries if entry.label is not None}
    if empty and entries:
        raise SourceError(
            f"{_named(empty)} holds no images (in {source}).",
            "Every folder there is taken as a class: add images to it, or remove the folder.",
        )


def _by_labels(source: Path, listing: Listing, labels: Path) -> Scan:
    table = read_labels(labels)
    files = {file.relative: file for file in listing.files}
    reasons = dict(listing.ignored)
    # names may be relative to the label file's own folder instead of the images' folder
    prefix = f"{source.relative_to(labels.parent).as_posix()}/" if source.is_relative_to(labels.parent) else ""
    entries, rejected = [], [(name, "no label in the label file") for name in table.unlabelled]
    seen = dict.fromkeys(table.unlabelled, "")
    for row in table.rows:
        name = row.filename if row.filename in files else row.filename.removeprefix(prefix)
        if name in seen:
            _refuse_second_label(name, {seen[name], row.label})
            continue
        seen[name] = row.label
        if name in files:
            entries.append(_labelled(files[name], row))
        else:
            rejected.append((row.filename, reasons.get(name, "named in the label file, but not in the folder")))
    ignored = [item for item in listing.ignored if item[0] not in seen]
    ignored += [(name, "not named in the label file") for name in files if name not in seen]
    found = Scan(source, "labels-csv", entries, ignored, rejected, columns=table.columns)
    found.notes.extend(_label_notes(table))
    return found


def _refuse_second_label(name: str, labels: set[str]) -> None:
    if len(labels) > 1:
        raise SourceError(
            f"The label file gives {name!r} two labels: {', '.join(repr(label) for label in sorted(labels))}.",
            "Correct it; nothing was imported.",
        )


def _labelled(file: FoundFile, row: LabelRow) -> SourceEntry:
    return SourceEntry(file.path, file.relative, row.label, row.split, row.attributes, file.size, file.mtime_ns)


def _entry(file: FoundFile, label: str, split: Split | None) -> SourceEntry:
    return SourceEntry(file.path, file.relative, label, split, {}, file.size, file.mtime_ns)


def _label_notes(table: LabelFile) -> list[str]:
    notes = []
    if table.delimiter != ",":
        notes.append(
            f"The label file's cells are separated by {'tabs' if table.delimiter == chr(9) else 'semicolons'}."
        )
    if table.folded:
        notes.append(f"The label file repeats itself in {counted(table.folded, 'row')}.")
    return notes


def _check(found: Scan) -> None:
    if not found.entries:
        raise SourceError(
            f"There are no labelled images in {found.source}.",
            "Expected: one folder of images for each class, or --labels labels.csv with filename,label."
            + (f" For example {found.rejected[0][0]!r}: {found.rejected[0][1]}." if found.rejected else ""),
        )
    if len(found.classes) == 1:
        label = next(iter(found.classes))
        inner = {entry.relative.partition("/")[2].partition("/")[0] for entry in found.entries}
        nested = (
            found.layout == "class-folders"
            and len(inner) > 1
            and all("/" in e.relative.partition("/")[2] for e in found.entries)
        )
        raise SourceError(
            f"There is only one class, {label!r}, in {found.source}: nothing to tell apart.",
            f"Did you mean {found.source / label}?"
            if nested
            else "Add a folder of images for at least one more class.",
        )
    given = Counter(entry.split for entry in found.entries)
    if 0 < given[None] < len(found.entries):
        raise SourceError(
            f"{given[None]} of {len(found.entries)} rows of the label file have no split.", "Fill all of them, or none."
        )
    if found.splits and "train" not in found.splits:
        raise SourceError("No image is in the split `train`.", f"Found only: {', '.join(sorted(found.splits))}.")
    untaught = found.classes - {entry.label for entry in found.entries if entry.split == "train"}
    if found.splits and untaught:
        raise SourceError(
            f"{_named(untaught)} has images for validation or test, but none for training.",
            "Add training images of it, or remove the class.",
        )


def _case_notes(classes: set[str]) -> list[str]:
    folded = Counter(label.casefold() for label in classes)
    alike = sorted(label for label in classes if folded[label.casefold()] > 1)
    return [f"Classes that differ only in upper and lower case are kept apart: {', '.join(alike)}."] if alike else []


def _fingerprint(found: Scan, labels: Path | None) -> str:
    digest = hashlib.sha256()
    if labels is not None:
        digest.update(sha256_of(labels).encode())
    for entry in found.entries:
        line = (entry.relative, str(entry.size), str(entry.mtime_ns), entry.label or "", entry.split or "")
        digest.update(("\0".join(line) + "\n").encode())
    return digest.hexdigest()


def _named(labels: set[str]) -> str:
    shown = ", ".join(repr(label) for label in sorted(labels)[:5])
    return f"{'Class' if len(labels) == 1 else 'Each of the classes'} {shown}{', …' if len(labels) > 5 else ''}"
