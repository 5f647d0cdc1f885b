"""Classifications as FiftyOne exports them: `labels.json` next to `data/`, and a CSV with a column per field."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from workflows.data.label_files import SPLIT_NAMES, LabelFile, Rows
from workflows.data.layouts.documents import Document, LabelFormat
from workflows.data.layouts.tagged import Tagged, split_called, tagged_rows
from workflows.errors import SourceError

_FILE = "filepath"


def is_fiftyone(document: Document) -> bool:
    """Return whether a JSON document maps images to classifications, or a table has a field's `.label`."""
    if document.suffix == ".json":
        content = document.json
        return isinstance(content, dict) and "classes" in content and isinstance(content.get("labels"), dict)
    return _label_column(document.header(frozenset((_FILE,)))[0]) is not None


def read_fiftyone(document: Document) -> LabelFile:
    """Read the classification of each image; of several fields in a table the first.

    Raises:
        SourceError: damaged, no labels at all, or a path that leads outside.
    """
    return _read_json(document) if document.suffix == ".json" else _read_table(document)


def _read_json(document: Document) -> LabelFile:
    content, path = document.json, document.path
    try:
        classes = content["classes"]
        images = [
            Tagged(str(name), tags=[_name(item, classes) for item in (value if isinstance(value, list) else [value])])
            for name, value in content["labels"].items()
            if value is not None
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceError(
            f"{path.name} can't be used: {type(error).__name__} {error}.",
            "It is not an export of classifications, or damaged: export it again.",
        ) from error
    images += [Tagged(str(name)) for name, value in content["labels"].items() if value is None]
    return tagged_rows(images, path)


def _name(value: Any, classes: Any) -> str:
    """Return the class of an item: a name, a number in the list of classes, or an object with either."""
    label = value["label"] if isinstance(value, dict) else value
    if not isinstance(label, str):
        raise TypeError(f"a label is not a string: {label!r}")
    if not classes:
        return label
    number = int(label)
    if number < 0:
        raise IndexError(f"label {number}")
    return str(classes[number])


def _label_column(names: list[str]) -> int | None:
    return next((number for number, name in enumerate(names) if name.endswith(".label")), None)


def _read_table(document: Document) -> LabelFile:
    names, delimiter = document.header(frozenset((_FILE,)))
    label = _label_column(names)
    columns = [
        "filename" if name == _FILE else "label" if number == label else name for number, name in enumerate(names)
    ]
    if len(set(columns)) < len(columns):
        raise SourceError(f"{document.path.name}: two columns have the same name.", "Rename one of them.")
    rows = Rows(document.path, columns)
    reader = csv.reader(io.StringIO(document.text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for cells in reader:
            rows.add(f"line {reader.line_num}", cells)
    except csv.Error as error:
        rows.problems.append(f"line {reader.line_num}: {error}")
    return _with_splits(rows.finish(loose=True))


def _with_splits(table: LabelFile) -> LabelFile:
    """Use the tags as splits if each image has exactly one, and it is the name of a split."""
    splits = [split_called(row.attributes.get("tags", "")) for row in table.rows]
    if table.rows and all(splits) and len(set(splits)) > 1:
        rows = [replace(row, split=SPLIT_NAMES[split]) for row, split in zip(table.rows, splits, strict=True)]
        return replace(table, rows=rows)
    return table


FIFTYONE = LabelFormat(
    "fiftyone",
    "FiftyOne image classification, and CSV",
    ("FiftyOne",),
    frozenset((".json", ".csv")),
    recognises=is_fiftyone,
    read=read_fiftyone,
)
