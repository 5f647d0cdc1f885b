"""Photos with a table of labels, for tests."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from tests.data.archive_files import PHOTO
from tests.data.conftest import write
from workflows.data.columns import Columns
from workflows.data.label_files import read_labels
from workflows.data.sources import Scan

NAMES = ("a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg")
WANTED = {"a1.jpg": "ant", "a2.jpg": "ant", "b1.jpg": "bee", "b2.jpg": "bee"}


def photos(root: Path, *names: str) -> Path:
    for name in names or NAMES:
        write(root / name, PHOTO)
    return root


def table(path: Path, *lines: str) -> Path:
    return write(path, "".join(f"{line}\n" for line in lines).encode())


def labels_of(found: Scan) -> dict[str, str | None]:
    return {entry.relative: entry.label for entry in found.entries}


def normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def rows_of(path: Path, columns: Columns | None = None) -> dict[str, str]:
    return {row.filename: row.label for row in read_labels(path, columns=columns or Columns()).rows}
