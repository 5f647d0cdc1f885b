"""Listing an untrusted folder.

Only names, sizes and times are read. Links are not followed (they may lead outside, or in circles),
hidden and foreign files are left alone; whatever is left out is reported with its reason.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from workflows.data import reasons
from workflows.errors import SourceError
from workflows.store.names import printable

# Some need an extra, but are photographs: better rejected with advice than left out as foreign.
_SUFFIXES = "jpg jpeg jpe jfif mpo png gif bmp dib webp tif tiff avif jp2 j2k ppm pgm pbm pnm heic heif hif jxl"
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split(" "))
MAX_DEPTH = 20
TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".jsonl", ".json", ".xml", ".txt"))  # may hold the labels

# Files that other programs would unpickle, use as settings, or read pixels from.
_CACHES = frozenset((".cache", ".npy", ".npz", ".pt", ".pth", ".pkl", ".pickle", ".yaml", ".yml"))
_ARCHIVES = frozenset((".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"))
_FOREIGN_FOLDERS = frozenset({"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information"})
_FOREIGN_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class FoundFile:
    """An image file by its name: its path, and its path in the source (NFC, with `/`)."""

    path: Path
    relative: str
    size: int
    mtime_ns: int


@dataclass
class Listing:
    """What a folder holds.

    Attributes:
        files: image files by name, sorted by their relative path.
        ignored: (relative path, reason) of everything left out.
        folders: relative paths of all folders that were entered.
        tables: files that may hold labels, by their names; each is also among the ignored until it is used.
        cut: prefix removed from all these names; ends in `/` unless it is empty.
    """

    files: list[FoundFile] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    tables: list[FoundFile] = field(default_factory=list)
    cut: str = ""

    def below(self, prefix: str) -> Listing:
        """Return the same with `prefix` (ends in `/`) removed from every name that starts with it."""
        files, tables = (
            [replace(file, relative=file.relative.removeprefix(prefix)) for file in part]
            for part in (self.files, self.tables)
        )
        ignored = [(name.removeprefix(prefix), reason) for name, reason in self.ignored]
        folders = [name.removeprefix(prefix) for name in self.folders if f"{name}/" != prefix]
        return Listing(files, ignored, folders, tables, self.cut + prefix)


def list_folder(source: Path, skip: Path | None = None) -> Listing:
    """List all image files below `source`, deterministically.

    Args:
        source: an existing folder.
        skip: a file to ignore silently (the label file).

    Raises:
        SourceError: missing, not a folder, or not readable.
    """
    _check_folder(source)
    listing = Listing()
    waiting = [(source, "", 0)]
    while waiting:
        folder, prefix, depth = waiting.pop()
        for entry in _entries(folder, prefix, listing):
            relative = f"{prefix}{unicodedata.normalize('NFC', printable(entry.name))}"
            if skip is not None and Path(entry.path) == skip:
                continue
            if reason := _unwanted(entry, depth):
                listing.ignored.append((relative, reason))
            elif entry.is_dir(follow_symlinks=False):
                listing.folders.append(relative)
                waiting.append((Path(entry.path), f"{relative}/", depth + 1))
            else:
                _add_file(entry, relative, listing)
    for found in (listing.files, listing.tables):
        found.sort(key=lambda file: file.relative)
    listing.ignored.sort()
    listing.folders.sort()
    return listing


def _add_file(entry: os.DirEntry[str], relative: str, listing: Listing) -> None:
    reason = unwanted_name(entry.name, folder=False)
    if reason:
        listing.ignored.append((relative, reason))
    if not reason or is_table(entry.name):
        facts = entry.stat(follow_symlinks=False)
        found = FoundFile(Path(entry.path), relative, facts.st_size, facts.st_mtime_ns)
        (listing.tables if reason else listing.files).append(found)


def _check_folder(source: Path) -> None:
    if not source.exists():
        raise SourceError(
            f"The folder {source} does not exist.",
            "Check the path: it must exist on the machine that Fieldguide runs on.",
        )
    if not source.is_dir():
        raise SourceError(
            f"{source} is a file, not a folder.",
            "Give a folder with one subfolder of images for each class.",
        )


def _entries(folder: Path, prefix: str, listing: Listing) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:
        if not prefix:
            raise SourceError(
                f"The folder {folder} can't be read: permission denied.",
                "Give Fieldguide's user read access to it, or choose another folder.",
            ) from error
        listing.ignored.append((prefix.rstrip("/"), "folder can't be read: permission denied"))


def _unwanted(entry: os.DirEntry[str], depth: int) -> str:
    """Return why an entry is left out, whatever its content; empty if it is a file, or a folder to enter."""
    if entry.is_symlink():
        return reasons.LINK
    if entry.is_dir(follow_symlinks=False):
        return unwanted_name(entry.name, folder=True) or (reasons.too_deep(MAX_DEPTH) if depth >= MAX_DEPTH else "")
    if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        return unwanted_name(entry.name, folder=True) or reasons.SPECIAL
    return ""


def unwanted_name(name: str, folder: bool) -> str:
    """Return why a folder is not entered, or a file not used as an image, because of its name; empty if it is."""
    lower, suffix = name.lower(), _suffix(name)
    if name.startswith("."):
        return reasons.HIDDEN
    if printable(name) != name:
        return reasons.NOT_UTF8
    if not name.isprintable():
        return reasons.CONTROL
    if lower in (_FOREIGN_FOLDERS if folder else _FOREIGN_FILES):
        return reasons.BY_SYSTEM
    if folder or suffix in IMAGE_SUFFIXES:
        return ""
    if suffix in _CACHES:
        return reasons.CODE
    if suffix in _ARCHIVES:
        return reasons.ARCHIVE
    return reasons.NO_IMAGE


def is_table(name: str) -> bool:
    """Return whether a file of this name may hold labels."""
    return unwanted_name(name, folder=True) == "" and _suffix(name) in TABLE_SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - no Path for each of 100,000
