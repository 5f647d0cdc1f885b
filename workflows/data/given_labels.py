"""Labels for the images of a version, from a table."""

from __future__ import annotations

from pathlib import Path

from workflows.data.columns import BY_NAME, Columns
from workflows.data.label_files import read_labels
from workflows.data.layouts.places import Places
from workflows.data.version import DatasetVersion


def given_labels(
    version: DatasetVersion, path: Path, encoding: str | None = None, columns: Columns = BY_NAME
) -> dict[str, str]:
    """Return image -> label from a table; see :func:`~workflows.data.label_files.read_labels`.

    Returns:
        Images by their path in the version where that is clear, else by their name in the table (which may
        be an id). Rows without a label are left out.

    Raises:
        SourceError: the file can't be read, or lacks a column.
        UsageError: an unknown encoding.
    """
    table = read_labels(path, encoding, columns)
    names = version.table()[["image_id", "path"]]
    ids, places = set(names["image_id"]), Places(names["path"], joined=table.joined)
    return {row.filename if row.filename in ids else places.find(row.filename)[0]: row.label for row in table.rows}
