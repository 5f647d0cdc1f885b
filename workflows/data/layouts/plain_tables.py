"""Generic tables: CSV, lists of paths and numbers, and one JSON object per line."""

from __future__ import annotations

from pathlib import Path

from workflows.data.label_files import LabelFile, gives_labels, read_labels
from workflows.data.layouts.documents import Document, LabelFormat
from workflows.data.layouts.json_files import json_lines_give_labels, read_json_lines
from workflows.data.layouts.list_files import is_list, names_file, read_list


def is_table(document: Document) -> bool:
    """Return whether a CSV has columns of file names and labels."""
    return gives_labels(document.path, document.encoding, document.columns)


def read_table(document: Document) -> LabelFile:
    """Read a CSV; see :func:`workflows.data.label_files.read_labels`."""
    return read_labels(document.path, document.encoding, document.columns, document.root)


def is_json_lines(document: Document) -> bool:
    """Return whether some of the objects have a file name, and some a label."""
    return json_lines_give_labels(document.path, document.encoding, document.columns, unambiguous=False)


def read_lines(document: Document) -> LabelFile:
    """Read one JSON object per line; see :func:`workflows.data.layouts.json_files.read_json_lines`."""
    return read_json_lines(document.path, document.encoding, document.columns, document.root)


def _names_of(document: Document) -> list[Path]:
    found = names_file(document.path)
    return [found] if found is not None else []


LIST = LabelFormat(
    "labels-csv",
    "lists of paths with numbers or labels",
    ("scripts",),
    frozenset((".txt",)),
    recognises=lambda document: not document.columns and is_list(document.path),
    read=lambda document: read_list(document.path, document.encoding, document.root),
    companions=_names_of,
)
TABLE = LabelFormat(
    "labels-csv",
    "CSV with file name and label",
    ("spreadsheets", "Fieldguide"),
    frozenset((".csv", ".tsv")),
    recognises=is_table,
    read=read_table,
)
JSON_LINES = LabelFormat(
    "imagefolder",
    "JSON lines with file name and label",
    ("Hugging Face Datasets",),
    frozenset((".jsonl",)),
    recognises=is_json_lines,
    read=read_lines,
)
