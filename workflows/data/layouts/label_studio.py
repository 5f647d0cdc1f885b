"""Exports of Label Studio: JSON (whole tasks), and JSON-MIN, CSV and TSV (one flat record for each answer).

In the flat ones, the label's key is the name of the control in the labelling configuration.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workflows.data.cells import single
from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.label_files import LabelFile, Rows
from workflows.data.layouts.documents import Document, LabelFormat
from workflows.data.layouts.json_files import as_text, names_in
from workflows.errors import SourceError

_ANSWER_KEYS = ("choice", "choices", "label", "class", "category")
_BOOKKEEPING = frozenset(
    (
        "id",
        "annotator",
        "annotation_id",
        "created_at",
        "updated_at",
        "lead_time",
        "agreement",
        "completed_by",
        "history",
    )
)
_TABLE_COLUMNS = frozenset(("annotation_id", "annotator", "lead_time"))  # every table has these


@dataclass
class _Task:
    """One image: its path, and all answers to it."""

    number: int
    answers: set[str] = field(default_factory=set)
    attributes: dict[str, str] = field(default_factory=dict)


def is_label_studio(document: Document) -> bool:
    """Return whether a JSON document is a list of tasks, or a table is a list of answers."""
    if document.suffix == ".json":
        tasks = document.json
        return isinstance(tasks, list) and bool(tasks) and all(isinstance(task, dict) for task in tasks)
    return bool(document.header(_TABLE_COLUMNS)[0])


def read_label_studio(document: Document) -> LabelFile:
    """Read the single choice of each image, from whole tasks or from one record per answer.

    An image without an answer has no label; one with several (annotators disagreed, or a task allows many)
    is rejected.

    Raises:
        SourceError: a task without an image, no choices at all, or a path that leads outside.
    """
    path = document.path
    items = document.json if document.suffix == ".json" else _table_rows(document)
    tasks: dict[str, _Task] = {}
    whole = all(isinstance(task.get("data"), dict) for task in items)
    answer_key = "" if whole else _answer_key(items, path)
    for number, item in enumerate(items, start=1):
        data = item["data"] if whole else item
        key, place = _image_in(data, number, path)
        task = tasks.setdefault(place, _Task(number))
        task.answers |= set(_chosen(item) if whole else _answers(item.get(answer_key)))
        for name, value in data.items():
            if name not in (key, answer_key) and name not in _BOOKKEEPING and not isinstance(value, dict | list):
                task.attributes[name] = as_text(value)
    if not any(task.answers for task in tasks.values()):
        raise SourceError(
            f"{path.name} has no answers of type `choices`.", "Label images with the image classification template."
        )
    return _rows(tasks, path)


def _table_rows(document: Document) -> list[dict[str, Any]]:
    """Return the rows of the CSV or TSV; a cell with several answers holds them as JSON."""
    names, delimiter = document.header(_TABLE_COLUMNS)
    reader = csv.reader(io.StringIO(document.text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        next(reader)
        for cells in reader:
            if len(cells) == len(names):
                rows.append({name: _opened(cell) for name, cell in zip(names, cells, strict=True)})
            elif any(cells):
                raise SourceError(
                    f"{document.path.name} can't be used: line {reader.line_num}: {len(cells)} cells, "
                    f"but the header has {len(names)} columns.",
                    "Export it again.",
                )
    except csv.Error as error:
        raise SourceError(
            f"{document.path.name} can't be used: line {reader.line_num}: {error}.", "Export it again."
        ) from error
    return rows


def _opened(cell: str) -> Any:
    if cell.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return json.loads(cell, parse_int=str, parse_float=str, parse_constant=str)
    return cell


def _rows(tasks: dict[str, _Task], path: Path) -> LabelFile:
    taken = ("filename", "label", "split")
    extra = [name for name in names_in(task.attributes for task in tasks.values()) if name not in taken]
    rows = Rows(path, ["filename", "label", *extra])
    for place, task in tasks.items():
        label, fault = single(sorted(task.answers)) if task.answers else ("", "")
        rows.add(f"task {task.number}", [place, label, *(task.attributes.get(name, "") for name in extra)], fault)
    return rows.finish(loose=True)


def _image_in(data: dict[str, Any], number: int, path: Path) -> tuple[str, str]:
    """Return the key of a task's image, and the image's path."""
    for key, value in data.items():
        place = _place(value) if isinstance(value, str) else ""
        if PurePosixPath(place).suffix.lower() in IMAGE_SUFFIXES:
            return key, place
    raise SourceError(f"{path.name} can't be used: task {number} has no image.", "Export image tasks as JSON.")


def _place(reference: str) -> str:
    """Return the path of a reference: an upload, a file served from a folder, a URL, or a path."""
    try:
        parts = urlsplit(reference)
    except ValueError:
        return reference
    if parts.path.endswith("/local-files/") and "d" in (query := parse_qs(parts.query)):
        return query["d"][0].lstrip("/")
    if "/data/upload/" in parts.path:  # the folder is the project's number; the file's name is unique without it
        return unquote(parts.path).rpartition("/")[2]
    # a URL, or a path on the labelling server: only its end may match our files
    return unquote(parts.path).lstrip("/") if parts.scheme or reference.startswith("/") else reference


def _chosen(task: dict[str, Any]) -> Iterable[str]:
    annotations = task.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            if isinstance(result, dict) and result.get("type") == "choices":
                yield from _answers(result.get("value"))


def _answers(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("choices")
    values = value if isinstance(value, list) else [value]
    return [answer.strip() for answer in values if isinstance(answer, str) and answer.strip()]


def _answer_key(document: list[dict[str, Any]], path: Path) -> str:
    """Return the name of the control, among the keys of the tasks.

    Raises:
        SourceError: several keys are possible.
    """
    names = names_in(document)
    known = [name for name in _ANSWER_KEYS if name in names]
    if known:
        return known[0]
    left = [
        name
        for name in names
        if name not in _BOOKKEEPING and not any(PurePosixPath(as_text(task.get(name))).suffix for task in document)
    ]
    for fits in (_holds_choices, _only_where_answered, _after_the_number):
        if len(left) > 1:
            left = [name for name in left if fits(name, document)] or left
    if len(left) == 1:
        return left[0]
    raise SourceError(
        f"It is unclear which field of {path.name} is the label: {', '.join(left or names[:10])}.",
        f"Export as JSON, which specifies it, or rename the field to {_ANSWER_KEYS[0]!r} or {_ANSWER_KEYS[2]!r}.",
    )


def _holds_choices(name: str, document: list[dict[str, Any]]) -> bool:
    return any(isinstance(value := task.get(name), dict) and "choices" in value for task in document)


def _only_where_answered(name: str, document: list[dict[str, Any]]) -> bool:
    """Return whether a field is filled in some answer, and in no task without an answer."""
    filled = {bool(task.get("annotation_id")) for task in document if task.get(name)}
    return filled == {True} and not all(task.get("annotation_id") for task in document)


def _after_the_number(name: str, document: list[dict[str, Any]]) -> bool:
    """Return whether a field comes after the task's number, like answers in formats that preserve order (JSON-MIN)."""
    return any(
        name in (keys := list(task)) and "id" in keys and keys.index(name) > keys.index("id") for task in document
    )


LABEL_STUDIO = LabelFormat(
    "label-studio",
    "Label Studio JSON, JSON-MIN, CSV, TSV",
    ("Label Studio",),
    frozenset((".json", ".csv", ".tsv")),
    recognises=is_label_studio,
    read=read_label_studio,
)
