"""Folders with a label file, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data.archive_files import PHOTO
from tests.data.conftest import write
from workflows.data.sources import Scan


def folder(root: Path, *names: str) -> Path:
    """Image files of these names."""
    for name in names:
        write(root / name, PHOTO)
    return root


def text(path: Path, content: str | Any) -> Path:
    """A text file, or a JSON document."""
    return write(path, (content if isinstance(content, str) else json.dumps(content)).encode())


def labelled(found: Scan) -> dict[str, str | None]:
    return {entry.relative: entry.label for entry in found.entries}


def accounted(found: Scan, root: Path) -> None:
    """Check that every file of a folder stands in one list, once."""
    listed = [e.relative for e in found.entries] + [name for name, _ in found.ignored]
    listed += [name for name, _ in found.rejected if (root / name).exists()]
    assert sorted(listed) == sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


# Hugging Face imagefolder
