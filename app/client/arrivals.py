"""Dropped files as a source for an import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.layouts.list_files import is_list
from workflows.errors import SourceError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
LABEL_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".xml")


@dataclass(frozen=True)
class Arrived:
    """An upload as a source for an import.

    Attributes:
        source: the folder or archive.
        labels: a label file that came with it, None if there is none or it is inside the source.
        name: its name for a person.
        files: how many files came.
    """

    source: Path
    labels: Path | None
    name: str
    files: int
    bytes: int


def understood(folder: Path, names: Sequence[str], size: int) -> Arrived:
    """Return the contents of `folder` as a source.

    Args:
        folder: holds the files.
        names: their paths in it, with `/`, sorted.
        size: of all of them, in bytes.

    Raises:
        SourceError: there is no photo, or several archives, or an archive among photos.
    """
    archives = [name for name in names if is_archive(name)]
    tables = [name for name in names if "/" not in name and name.lower().endswith(LABEL_SUFFIXES)]
    photos = [name for name in names if is_photo(name)]
    if not photos and not archives:
        raise SourceError(
            "There is no photo in what was dropped.", "Drop photos, a folder of photos, or a zip of photos."
        )
    if len(archives) > 1 or (archives and photos):
        raise SourceError(
            "Only one archive can be imported at a time, with no photos beside it.",
            "Import the first, then add the others to the data set.",
        )
    labels = folder / tables[0] if len(tables) == 1 else None
    if archives:
        return Arrived(folder / archives[0], labels, _stem(archives[0]), len(names), size)
    top = _common_top(folder, names, tables)
    return Arrived(folder / top, labels, top or "", len(names), size)


def is_archive(name: str) -> bool:
    """Return whether a file is an archive by its name."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_photo(name: str) -> bool:
    """Return whether a file is a photo by its name."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _may_hold_labels(file: Path) -> bool:
    return file.name.lower().endswith(LABEL_SUFFIXES) or (file.suffix.lower() == ".txt" and is_list(file))


def _common_top(folder: Path, names: Sequence[str], tables: Sequence[str]) -> str:
    """Return the folder around everything, if there is one and it is not a class: it holds folders or a label file."""
    others = [name for name in names if name not in tables]
    tops = {name.partition("/")[0] for name in others if "/" in name}
    if len(tops) != 1 or any("/" not in name for name in others):
        return ""
    inside_it = [name.partition("/")[2] for name in others]
    described = any("/" not in name and _may_hold_labels(folder / f"{next(iter(tops))}/{name}") for name in inside_it)
    return tops.pop() if tables or described or any("/" in name for name in inside_it) else ""


def _stem(name: str) -> str:
    base = PurePosixPath(name).name
    suffix = next((end for end in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True) if base.lower().endswith(end)), "")
    return base[: len(base) - len(suffix)] or "photos"
