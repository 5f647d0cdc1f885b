"""JSON documents and JSON lines, read with every number as its original text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from workflows.data.cells import plain
from workflows.data.columns import BY_NAME, Columns, has_labels, understand
from workflows.data.label_files import LabelFile, Rows
from workflows.data.texts import read_text
from workflows.errors import ColumnsError, SourceError


def load_json(path: Path, encoding: str | None = None) -> Any:
    """Return a JSON document; numbers are strings.

    Raises:
        SourceError: not readable, or not JSON.
    """
    return _parsed(read_text(path, encoding), path, "")


def _parsed(text: str, path: Path, where: str) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{path.name} can't be used: {where}{error}.", "It must be valid JSON: export it again, or correct it."
        ) from error


def as_text(value: Any) -> str:
    """Return a JSON value as a cell's text; null is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def json_line_records(path: Path, encoding: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    """Return the line number and the object of each line that is not empty.

    Raises:
        SourceError: not readable, or a line that is not a JSON object.
    """
    records = []
    for number, line in enumerate(read_text(path, encoding).split("\n"), start=1):
        if line.strip():
            record = _parsed(line, path, f"line {number}: ")
            if not isinstance(record, dict):
                raise SourceError(
                    f"{path.name} can't be used: line {number}: not a JSON object.",
                    'Expected, e.g., {"file_name": …}.',
                )
            records.append((number, record))
    return records


def read_json_lines(
    path: Path, encoding: str | None = None, columns: Columns = BY_NAME, root: Path | None = None
) -> LabelFile:
    """Read one JSON object per line, with the same names and rules as a CSV's columns.

    Raises:
        SourceError: not readable, not JSON, without file name and label, or a faulty line; with the line numbers.
    """
    records = [(f"line {number}", record) for number, record in json_line_records(path, encoding)]
    return record_rows(records, path, columns, root)


def record_rows(
    records: Sequence[tuple[str, dict[str, Any]]], path: Path, columns: Columns = BY_NAME, root: Path | None = None
) -> LabelFile:
    """Read flat objects (each with its place in the file) as rows of a table.

    Raises:
        SourceError: without file name and label, or a faulty object; with its place.
    """
    names, cells = _table([record for _, record in records])
    meaning = understand(names, cells, path, columns)
    rows = Rows(path, meaning.columns, root)
    for (where, _), row in zip(records, cells, strict=True):
        rows.add_as(meaning, where, row)
    return rows.finish(meaning.notes(), joined=meaning.folder is not None)


def json_lines_give_labels(path: Path, encoding: str | None, columns: Columns, unambiguous: bool) -> bool:
    """Return whether JSON lines hold file names and labels; see :func:`~workflows.data.label_files.gives_labels`.

    Raises:
        SourceError: not readable, or a line that is not a JSON object.
    """
    names, cells = _table([record for _, record in json_line_records(path, encoding)])
    try:
        understand(names, cells, path, columns)
    except ColumnsError:
        return False
    return not unambiguous or bool(columns) or has_labels(names)


def _table(records: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the cells of each record under them."""
    names = names_in(records)
    return [plain(name) for name in names], [[as_text(record.get(name)) for name in names] for record in records]


def names_in(records: Iterable[dict[str, Any]]) -> list[str]:
    """Return all keys of objects, in order of first appearance."""
    return list(dict.fromkeys(name for record in records for name in record))
