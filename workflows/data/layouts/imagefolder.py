"""Hugging Face's *imagefolder* with metadata: `metadata.csv` or `metadata.jsonl` beside the images.

Each metadata file names images relative to its own folder; a folder called train, val or test at the top is
their split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workflows.data.folders import FoundFile
from workflows.data.label_files import SPLIT_NAMES, LabelFile, LabelRow, read_labels
from workflows.data.layouts.json_files import read_json_lines

NAMES = ("metadata.csv", "metadata.jsonl")


def read_imagefolder(files: Sequence[FoundFile], encoding: str | None = None) -> LabelFile:
    """Join the metadata files of a source into one table of places in it.

    Raises:
        SourceError: one of them is faulty.
    """
    rows: list[LabelRow] = []
    columns: dict[str, None] = {}
    rejected: dict[str, str] = {}
    notes: list[str] = []
    for file in files:
        read = read_json_lines if file.relative.endswith(".jsonl") else read_labels
        table = read(file.path, encoding)
        below = file.relative.rpartition("/")[0]
        below = f"{below}/" if below else ""
        rows += [replace(row, filename=f"{below}{row.filename}") for row in table.rows]
        rejected |= {f"{below}{name}": reason for name, reason in table.rejected.items()}
        columns |= dict.fromkeys(table.columns)
        notes += [note for note in table.notes if note not in notes]
    rows = [replace(row, split=row.split or SPLIT_NAMES.get(row.filename.partition("/")[0].lower())) for row in rows]
    if {row.split for row in rows} <= {"train", None}:  # one side only: not a split
        rows = [replace(row, split=None) for row in rows]
    return LabelFile(rows, list(columns), rejected, notes=notes)
