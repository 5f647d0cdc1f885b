"""Tables of labels to import: finding them in a source, and their first rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from workflows.data.delimited import Preview, preview_table

ENCODINGS = ("UTF-8", "UTF-16", "cp1252", "latin-1")
"""Encodings of tables that a person can choose from."""
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
"""File name endings of tables whose columns can be chosen."""


def beginning(table: Path | bytes, encoding: str | None = None) -> Preview | None:
    """Return the first rows of a label file with a guess of its columns; None if it is no table.

    Raises:
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    if isinstance(table, Path):
        return preview_table(table, encoding)
    with tempfile.TemporaryDirectory(prefix="fieldguide-") as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(table)
        return preview_table(path, encoding)


def table_beside(source: Path) -> Path | None:
    """Return the one table at the top of a folder; None if there is none, or several."""
    try:
        found = [path for path in source.iterdir() if path.suffix.lower() in (".csv", ".tsv") and path.is_file()]
    except OSError:  # also where it is an archive
        return None
    return found[0] if len(found) == 1 and not found[0].name.startswith(".") else None


def has_folders(source: Path) -> bool:
    """Return whether a folder holds several folders, which may be its classes."""
    try:
        return sum(path.is_dir() for path in source.iterdir() if not path.name.startswith(".")) > 1
    except OSError:
        return False
