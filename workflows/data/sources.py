"""Understanding a source of images: which layout it has, and what each image is called.

A source is a folder or an archive. Its labels are its folders' names (also below train, val and test), stand
in a label file that is named with it (CSV, JSON lines, or an export of Label Studio or CVAT), or in one that
lies in it where programs put it; or there are none yet. Only names and label files are read here, no image
is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflows.data.archives import Unpacked, stamp, unpacked
from workflows.data.folders import Listing, list_folder
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.layouts.by_folders import by_folders, refuse_nothing, unlabelled_images
from workflows.data.layouts.by_labels import by_labels
from workflows.data.layouts.scan import Layout, Scan, SourceEntry, case_notes, check, fingerprint
from workflows.data.layouts.tables import Labels, find_labels, read_any
from workflows.errors import UsageError
from workflows.progress import Progress, silent
from workflows.store.files import sha256_of

__all__ = ["Layout", "Scan", "SourceEntry", "listing_of", "open_source", "scan"]


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
        source: a folder, or a zip or tar archive of one.
        labels: a label file; it may lie in the archive. Without it, the source itself tells the labels.
        workspace: a folder for what has to be unpacked, on a disk with room for it.
        encoding: of label files; default UTF-8.
        unlabelled: take every image, without a label and without a split.
        progress: told how much is unpacked, as stage `unpack`.

    Raises:
        SourceError: missing or empty, refused, not in a known layout, only one class, or a faulty label file.
        StorageError: the workspace's disk is too small, full, or can't be written.
        UsageError: labels for unlabelled images, or an unknown encoding.
    """
    source = source.expanduser().absolute()
    if source.is_dir():
        yield scan(source, labels, encoding=encoding, unlabelled=unlabelled)
        return
    with unpacked(source, workspace, progress) as tree:
        found = _in_archive(source, tree, labels, encoding, unlabelled)
        found.fingerprint = listing_of(source, labels, encoding=encoding, unlabelled=unlabelled)
        yield found


def listing_of(
    source: Path, labels: Path | None = None, *, encoding: str | None = None, unlabelled: bool = False
) -> str:
    """Return the fingerprint that :func:`open_source` would find, without unpacking an archive.

    Raises:
        SourceError: a folder: see :func:`scan`; an archive: it isn't there.
        UsageError: see :func:`scan`.
    """
    source = source.expanduser().absolute()
    if source.is_dir():
        return scan(source, labels, encoding=encoding, unlabelled=unlabelled).fingerprint
    return fingerprint([], stamp(source), *_asked(labels, encoding, unlabelled))


def scan(source: Path, labels: Path | None = None, *, encoding: str | None = None, unlabelled: bool = False) -> Scan:
    """Find out what a folder holds; see :func:`open_source`.

    Raises:
        SourceError: missing or empty, not in a known layout, only one class, or a faulty label file.
        UsageError: labels for unlabelled images, or an unknown encoding.
    """
    source = source.expanduser().absolute()
    labels = labels.expanduser().absolute() if labels is not None else None
    listing = list_folder(source, skip=labels)
    # names may be relative to the label file's own folder instead of the images' folder
    near = labels is not None and source.is_relative_to(labels.parent)
    prefixes = [f"{source.relative_to(labels.parent).as_posix()}/"] if labels is not None and near else []
    given = read_any(labels, encoding) if labels is not None else None
    found = _understood(source, listing, given, prefixes, encoding, unlabelled)
    found.fingerprint = fingerprint(found.entries, *_asked(labels, encoding, unlabelled), *_own(listing, found))
    return found


def _in_archive(source: Path, tree: Unpacked, labels: Path | None, encoding: str | None, unlabelled: bool) -> Scan:
    listing = list_folder(tree.folder)
    listing.ignored += tree.ignored
    listing.folders = sorted(set(listing.folders) | tree.folders)
    given = None
    if labels is not None:
        inner = next((table for table in listing.tables if table.relative == labels.as_posix()), None)
        given = read_any(inner.path if inner and not labels.exists() else labels.expanduser(), encoding)
        if inner and not labels.exists():
            given = Labels(given.layout, given.table, (inner.relative,))
    listing, wrapper = _seen_through(listing)
    if given is not None:
        given = Labels(given.layout, given.table, tuple(name.removeprefix(wrapper) for name in given.files))
    return _understood(source, listing, given, [wrapper] if wrapper else [], encoding, unlabelled)


def _seen_through(listing: Listing) -> tuple[Listing, str]:
    """Return a listing without the folders that hold all the rest, and what they were, ending in `/`."""
    wrapper = ""
    while True:
        places = [file.relative for file in (*listing.files, *listing.tables)]
        tops = {place.partition("/")[0] for place in places}
        top = next(iter(tops), "")
        inside = all("/" in place for place in places)
        # a folder of images is a class, and train a split: neither is a mere wrapper
        has_folders = any(place.count("/") > 1 for place in places) or any("/" in t.relative for t in listing.tables)
        if len(tops) != 1 or not inside or not has_folders or top.lower() in SPLIT_NAMES:
            return listing, wrapper
        listing = listing.below(f"{top}/")
        wrapper += f"{top}/"


def _understood(
    source: Path, listing: Listing, given: Labels | None, prefixes: list[str], encoding: str | None, unlabelled: bool
) -> Scan:
    if unlabelled:
        if given is not None:
            raise UsageError(
                "Images can't have labels and be unlabelled.", "Leave the label file out, or take its labels."
            )
        found = unlabelled_images(source, listing)
    else:
        if given is None:
            refuse_nothing(source, listing)
        given_or_found = given or find_labels(listing, encoding)
        found = _labelled(source, listing, given_or_found, prefixes)
        check(found)
        found.notes.extend(case_notes(found.classes))
    found.ignored.sort()
    return found


def _labelled(source: Path, listing: Listing, labels: Labels | None, prefixes: list[str]) -> Scan:
    if labels is None:
        return by_folders(source, listing)
    found = by_labels(source, listing, labels.table, labels.layout, prefixes)
    if labels.files:
        found.ignored = [(name, "read for the labels" if name in labels.files else why) for name, why in found.ignored]
        found.notes.insert(0, f"The labels are those in {', '.join(labels.files)}.")
    return found


def _asked(labels: Path | None, encoding: str | None, unlabelled: bool) -> list[str]:
    """Return what else decides how a source is understood."""
    content = sha256_of(labels) if labels is not None and labels.is_file() else str(labels or "")
    return [content, encoding or "", str(unlabelled)]


def _own(listing: Listing, found: Scan) -> list[str]:
    """Return the content of the label files that lie in a folder, if they were read: sizes and times can lie."""
    used = {name for name, reason in found.ignored if reason == "read for the labels"}
    return [sha256_of(table.path) for table in listing.tables if table.relative in used]
