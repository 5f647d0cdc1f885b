"""JSON documents and JSON lines, read so that every number stays the text it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflows.data.label_files import LabelFile, Rows, columns_of, read_text
from workflows.errors import SourceError


def load_json(path: Path, encoding: str | None = None) -> Any:
    """Return a JSON document; numbers are text.

    Raises:
        SourceError: not readable, or no JSON.
    """
    return _parsed(read_text(path, encoding), path, "")


def _parsed(text: str, path: Path, where: str) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{path.name} can't be used: {where}{error}.", "It must be valid JSON: export it anew, or correct it there."
        ) from error


def as_text(value: Any) -> str:
    """Return a JSON value as the text of a cell; null is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def json_line_records(path: Path, encoding: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    """Return the line number and the object of each line that is not empty.

    Raises:
        SourceError: not readable, or a line that is no JSON object.
    """
    records = []
    for number, line in enumerate(read_text(path, encoding).split("\n"), start=1):
        if line.strip():
            record = _parsed(line, path, f"line {number}: ")
            if not isinstance(record, dict):
                raise SourceError(
                    f"{path.name} can't be used: line {number}: no JSON object.", 'Like {"file_name": …}.'
                )
            records.append((number, record))
    return records


def read_json_lines(path: Path, encoding: str | None = None) -> LabelFile:
    """Read one JSON object per line, with the same names and rules as a CSV's columns.

    Raises:
        SourceError: not readable, no JSON, without file name and label, or a faulty line; with the line numbers.
    """
    records = json_line_records(path, encoding)
    names = names_in(record for _, record in records)
    rows = Rows(path, columns_of(names, path))
    for number, record in records:
        rows.add(f"line {number}", [as_text(record.get(name)) for name in names])
    return rows.finish()


def names_in(records: Iterable[dict[str, Any]]) -> list[str]:
    """Return all keys of objects, in the order in which they come up."""
    return list(dict.fromkeys(name for record in records for name in record))
