"""Metadata next to the images: Hugging Face's *imagefolder* (`metadata.csv`, `.jsonl`) and Roboflow (`_classes.csv`).

Each metadata file lists images relative to its own folder; a top-level folder called train, val or test is
their split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workflows.data.label_files import SPLIT_NAMES, LabelFile, LabelRow, gives_labels
from workflows.data.layouts.documents import Document, LabelFormat, Part
from workflows.data.layouts.json_files import json_lines_give_labels
from workflows.data.layouts.plain_tables import JSON_LINES, TABLE
from workflows.data.reasons import UNANSWERED, UNLABELLED

CLASSES_FILE = "_classes.csv"
NAMES = ("metadata.csv", "metadata.jsonl", CLASSES_FILE)


def _plain(document: Document) -> LabelFormat:
    return JSON_LINES if document.suffix in JSON_LINES.suffixes else TABLE


def is_metadata(document: Document) -> bool:
    """Return whether a file has a metadata file's name and holds labels; captions do not count."""
    return document.path.name in NAMES and _plain(document).recognises(document)


def read_metadata(document: Document) -> LabelFile:
    """Read one of the metadata files; images without a label in it are imported without one.

    Raises:
        SourceError: it is faulty.
    """
    table = _plain(document).read(document)
    rejected = {name: UNLABELLED if reason == UNANSWERED else reason for name, reason in table.rejected.items()}
    return replace(table, rejected=rejected)


def _is_clear(document: Document) -> bool:
    if document.columns or document.path.name == CLASSES_FILE:  # with this name, one column per class is unambiguous
        return True
    if document.suffix == ".csv":
        return gives_labels(document.path, document.encoding, document.columns, unambiguous=True)
    return json_lines_give_labels(document.path, document.encoding, document.columns, unambiguous=True)


def joined_below(parts: Sequence[Part]) -> LabelFile:
    """Join metadata files into one table of paths in the source; their folders may be splits."""
    rows: list[LabelRow] = []
    columns: dict[str, None] = {}
    rejected: dict[str, str] = {}
    notes: dict[str, None] = {}
    divided = any(table.joined for _, table in parts)
    for place, table in parts:
        below = place.rpartition("/")[0]
        below = f"{below}/" if below else ""
        rows += [replace(row, filename=f"{below}{row.filename}") for row in table.rows]
        rejected |= {f"{below}{name}": reason for name, reason in table.rejected.items()}
        columns |= dict.fromkeys(table.columns)
        notes |= dict.fromkeys(table.notes)
    rows = [replace(row, split=row.split or SPLIT_NAMES.get(row.filename.partition("/")[0].lower())) for row in rows]
    if {row.split for row in rows} <= {"train", None}:  # one part only: not a split
        rows = [replace(row, split=None) for row in rows]
    return LabelFile(rows, list(columns), rejected, notes=list(notes), joined=divided)


def is_place(place: str) -> bool:
    """Return whether a path is where metadata files are: next to the images, or next to folders of them."""
    return place.rpartition("/")[2] in NAMES and place.count("/") < 2


IMAGEFOLDER = LabelFormat(
    "imagefolder",
    "metadata.csv, metadata.jsonl or _classes.csv next to the images",
    ("Hugging Face Datasets", "Roboflow", "Fieldguide"),
    frozenset((".csv", ".jsonl")),
    recognises=is_metadata,
    read=read_metadata,
    is_usual_place=is_place,
    overrides_folders=_is_clear,
    complete=True,
    join=joined_below,
)
