"""Recognising a source of images: its layout, and the label of each image.

A source is a folder or an archive. Its labels are its folders' names (also below train, val and test), or are
in a given label file (CSV, JSON lines, or an export of Label Studio or CVAT), or in one that
is in the source where programs put it; or there are none yet. Only names and label files are read here, no image
is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workflows.data.archives import Unpacked, stamp, unpacked
from workflows.data.columns import BY_NAME, Columns
from workflows.data.folders import MAX_DEPTH, Listing, list_folder
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.layouts.beside import table_beside
from workflows.data.layouts.by_folders import add_unlabelled, by_folders, refuse_nothing, unlabelled_images
from workflows.data.layouts.by_labels import by_labels
from workflows.data.layouts.list_files import is_list, names_file
from workflows.data.layouts.metadata import describe
from workflows.data.layouts.registry import Labels, find_labels, metadata_in, read_any
from workflows.data.layouts.scan import Layout, Scan, SourceEntry, case_notes, check, fingerprint
from workflows.data.reasons import READ, READ_FOR_MORE
from workflows.errors import UsageError
from workflows.progress import Progress, silent
from workflows.store.files import sha256_of

__all__ = ["Layout", "Reading", "Scan", "SourceEntry", "listing_of", "open_source", "scan"]


@dataclass(frozen=True)
class Reading:
    """How a source is to be read, besides its label file.

    Attributes:
        encoding: of label files; None is UTF-8.
        columns: of the label file, if chosen by name.
        unlabelled: import every image, without a label and without a split.
        with_unlabelled: besides those with a label, import those without one, too.
        class_level: which folders are the classes, if folders are: 1 the top level (below the folders of a split),
            2 the next, and so on.
    """

    encoding: str | None = None
    columns: Columns = BY_NAME
    unlabelled: bool = False
    with_unlabelled: bool = False
    class_level: int = 1

    def identity(self, labels: Path | None) -> list[str]:
        """Return all settings that decide how a source is read, for its fingerprint."""
        content = sha256_of(labels) if labels is not None and labels.is_file() else str(labels or "")
        # defaults are left out: versions made before there was a choice keep their fingerprint
        level = [f"class level {self.class_level}"] if self.class_level > 1 else []
        level += ["with unlabelled"] if self.with_unlabelled else []
        own = [content, self.encoding or "", str(self.unlabelled)]
        return [*own, *level, *self.columns.identity(), *_beside(labels)]


PLAINLY = Reading()
"""All defaults: labels by the source's own folders or tables."""
UNLABELLED = Reading(unlabelled=True)


@contextmanager
def open_source(
    source: Path,
    labels: Path | None = None,
    reading: Reading = PLAINLY,
    *,
    workspace: Path,
    progress: Progress = silent,
) -> Iterator[Scan]:
    """Recognise a source and make its images readable as files as long as the context lasts.

    Args:
        source: a folder, or a zip or tar archive of one.
        labels: a label file; it may be in the archive. Without it, the source itself gives the labels.
        workspace: a folder for what has to be unpacked, on a disk with room for it.
        reading: how it is to be read.
        progress: receives the number of files unpacked, as stage `unpack`.

    Raises:
        SourceError: missing, empty, rejected, not in a known layout, only one class, or a faulty label file.
        StorageError: the workspace's disk is too small, full, or can't be written.
        UsageError: labels for unlabelled images, a class level besides them, or an unknown encoding.
    """
    source = source.expanduser().absolute()
    if source.is_dir():
        yield _scan(source, labels, reading)
        return
    with unpacked(source, workspace, progress) as tree:
        found = _in_archive(source, tree, labels, reading)
        found.fingerprint = fingerprint([], stamp(source), *reading.identity(labels))
        yield found


def listing_of(
    source: Path,
    labels: Path | None = None,
    reading: Reading = PLAINLY,
) -> str:
    """Return the fingerprint that :func:`open_source` would find, without unpacking an archive.

    Raises:
        SourceError: a folder: see :func:`scan`; an archive: it does not exist.
        UsageError: see :func:`scan`.
    """
    source = source.expanduser().absolute()
    if source.is_dir():
        return _scan(source, labels, reading).fingerprint
    return fingerprint([], stamp(source), *reading.identity(labels))


def scan(
    source: Path,
    labels: Path | None = None,
    reading: Reading = PLAINLY,
) -> Scan:
    """Find out what a folder holds; see :func:`open_source`.

    Raises:
        SourceError: missing or empty, not in a known layout, only one class, or a faulty label file.
        UsageError: labels for unlabelled images, a class level besides them, or an unknown encoding.
    """
    return _scan(source.expanduser().absolute(), labels, reading)


def _scan(source: Path, labels: Path | None, reading: Reading) -> Scan:
    labels = labels.expanduser().absolute() if labels is not None else None
    listing = list_folder(source, skip=labels)
    # names may be relative to the label file's folder instead of the images' folder
    near = labels is not None and source.is_relative_to(labels.parent)
    prefixes = [f"{source.relative_to(labels.parent).as_posix()}/"] if labels is not None and near else []
    given = read_any(labels, reading.encoding, reading.columns, source) if labels is not None else None
    found = _understood(source, listing, given, prefixes, reading, source)
    found.fingerprint = fingerprint(found.entries, *reading.identity(labels), *_own(listing, found))
    return found


def _in_archive(source: Path, tree: Unpacked, labels: Path | None, reading: Reading) -> Scan:
    listing = list_folder(tree.folder)
    listing.ignored += tree.ignored
    listing.folders = sorted(set(listing.folders) | tree.folders)
    given = None
    if labels is not None:
        inner = next((table for table in listing.tables if table.relative == labels.as_posix()), None)
        path = inner.path if inner and not labels.exists() else labels.expanduser()
        given = read_any(path, reading.encoding, reading.columns)
        if inner and not labels.exists():
            given = Labels(given.layout, given.table, (inner.relative,))
    listing, wrapper = _seen_through(listing)
    if given is not None:
        given = Labels(given.layout, given.table, tuple(name.removeprefix(wrapper) for name in given.files))
    return _understood(source, listing, given, [wrapper] if wrapper else [], reading)


def _seen_through(listing: Listing) -> tuple[Listing, str]:
    """Return a listing without the folders that wrap all the rest, and their path, ending in `/`."""
    wrapper = ""
    while True:
        tables = [file.relative for file in listing.tables if not file.relative.endswith(".txt")]  # notes, mostly
        places = [*(file.relative for file in listing.files), *tables]
        tops = {place.partition("/")[0] for place in places}
        top = next(iter(tops), "")
        inside = all("/" in place for place in places)
        # a folder of images is a class, and train a split: neither is just a wrapper
        has_folders = any(place.count("/") > 1 for place in places) or any("/" in table for table in tables)
        if len(tops) != 1 or not inside or not has_folders or top.lower() in SPLIT_NAMES:
            return listing, wrapper
        listing = listing.below(f"{top}/")
        wrapper += f"{top}/"


def _understood(
    source: Path,
    listing: Listing,
    given: Labels | None,
    prefixes: list[str],
    reading: Reading,
    root: Path | None = None,
) -> Scan:
    _refuse_contradictions(given, reading)
    if reading.unlabelled:
        found = unlabelled_images(source, listing)
    else:
        if given is None:
            refuse_nothing(source, listing)
        found = _with_labels(source, listing, given, prefixes, reading, root)
        found.notes.extend(case_notes(found.classes))
    found.ignored.sort()
    return found


def _with_labels(
    source: Path, listing: Listing, given: Labels | None, prefixes: list[str], reading: Reading, root: Path | None
) -> Scan:
    # a given class level means that folders are the classes
    folders_asked = reading.class_level > 1
    labels = given or (None if folders_asked else find_labels(listing, reading.encoding, reading.columns, root))
    if labels is None and reading.columns:
        raise UsageError(
            f"Columns were chosen, but no single table in {source} has them.", "Give the table as the label file."
        )
    if labels is not None:
        found = _labelled(source, listing, labels, prefixes)
    else:
        found = by_folders(source, listing, reading.class_level)
        describe(found, metadata_in(listing), reading.encoding, root)
    if reading.with_unlabelled:
        add_unlabelled(found, listing)
    alone = labels is None and len(found.classes) < 2
    check(found, table_beside(source, listing) if alone else None)
    return found


def _refuse_contradictions(given: Labels | None, reading: Reading) -> None:
    if reading.unlabelled and (given is not None or reading.columns):
        raise UsageError(
            "Images can't both have labels and be unlabelled.", "Leave out the label file, or import with its labels."
        )
    if not 1 <= reading.class_level <= MAX_DEPTH:
        raise UsageError(
            f"The class level can't be {reading.class_level}.",
            f"Use 1 for the top-level folders, 2 for the ones in them, at most {MAX_DEPTH}.",
        )
    if reading.class_level > 1 and (reading.unlabelled or given is not None or reading.columns):
        raise UsageError(
            "A class level was given, but the classes are not folders here.",
            "Leave out the class level, or the label file and `unlabelled`.",
        )


def _labelled(source: Path, listing: Listing, labels: Labels, prefixes: list[str]) -> Scan:
    found = by_labels(source, listing, labels.table, labels.layout, prefixes)
    if labels.files:
        found.ignored = [(name, READ if name in labels.files else why) for name, why in found.ignored]
        found.notes.insert(0, f"The labels were read from {', '.join(labels.files)}.")
    return found


def _beside(labels: Path | None) -> list[str]:
    """Return the content of the file of class names that belongs to a list file."""
    if labels is None or not labels.is_file() or not is_list(labels):
        return []
    names = names_file(labels)
    return [sha256_of(names)] if names is not None else []


def _own(listing: Listing, found: Scan) -> list[str]:
    """Return the content of the label files in a folder, if they were read: sizes and times alone can mislead."""
    used = {name for name, reason in found.ignored if reason in (READ, READ_FOR_MORE)}
    return [sha256_of(table.path) for table in listing.tables if table.relative in used]
