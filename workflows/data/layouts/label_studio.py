"""Exports of Label Studio: JSON (whole tasks) and JSON-MIN (one flat object for each answer)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.label_files import LabelFile, Rows
from workflows.data.layouts.json_files import as_text, names_in
from workflows.errors import SourceError

_ANSWER_KEYS = ("choice", "choices", "label", "class", "category")
_BOOKKEEPING = frozenset(
    ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "completed_by")
)


@dataclass
class _Task:
    """One image: where it is, and all that people said of it."""

    number: int
    answers: set[str] = field(default_factory=set)
    attributes: dict[str, str] = field(default_factory=dict)


def is_label_studio(document: Any) -> bool:
    """Return whether a JSON document is a list of tasks."""
    return isinstance(document, list) and bool(document) and all(isinstance(task, dict) for task in document)


def label_studio_rows(document: list[dict[str, Any]], path: Path) -> LabelFile:
    """Read the single choice that was made for each image.

    An image without an answer comes without a label; one with several (two people disagreed, or a task allows many)
    is rejected.

    Raises:
        SourceError: a task without an image, no choices at all, or a path that leads outside.
    """
    tasks: dict[str, _Task] = {}
    whole = all(isinstance(task.get("data"), dict) for task in document)
    answer_key = "" if whole else _answer_key(document, path)
    for number, item in enumerate(document, start=1):
        data = item["data"] if whole else item
        key, place = _image_in(data, number, path)
        task = tasks.setdefault(place, _Task(number))
        task.answers |= set(_chosen(item) if whole else _answers(item.get(answer_key)))
        for name, value in data.items():
            if name not in (key, answer_key) and name not in _BOOKKEEPING and not isinstance(value, dict | list):
                task.attributes[name] = as_text(value)
    if not any(task.answers for task in tasks.values()):
        raise SourceError(
            f"{path.name} holds no answer of the kind `choices`.", "Label images there with the template for classes."
        )
    return _rows(tasks, path)


def _rows(tasks: dict[str, _Task], path: Path) -> LabelFile:
    taken = ("filename", "label", "split")
    extra = [name for name in names_in(task.attributes for task in tasks.values()) if name not in taken]
    rows = Rows(path, ["filename", "label", *extra])
    for place, task in tasks.items():
        answers = sorted(task.answers)
        fault = f"several labels: {', '.join(answers)}" if len(answers) > 1 else ""
        label = answers[0] if len(answers) == 1 else ""
        rows.add(f"task {task.number}", [place, label, *(task.attributes.get(name, "") for name in extra)], fault)
    return rows.finish(loose=True)


def _image_in(data: dict[str, Any], number: int, path: Path) -> tuple[str, str]:
    """Return the key of a task's image, and the image's place."""
    for key, value in data.items():
        place = _place(value) if isinstance(value, str) else ""
        if PurePosixPath(place).suffix.lower() in IMAGE_SUFFIXES:
            return key, place
    raise SourceError(f"{path.name} can't be used: task {number} names no image.", "Export tasks of images as JSON.")


def _place(reference: str) -> str:
    """Return the path that a reference means: an upload, a file served from a folder, an address, or a path."""
    try:
        parts = urlsplit(reference)
    except ValueError:
        return reference
    if parts.path.endswith("/local-files/") and "d" in (query := parse_qs(parts.query)):
        return query["d"][0].lstrip("/")
    # an address, or a path on the labelling server: its end is what we may have
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
    names = names_in(document)
    known = [name for name in _ANSWER_KEYS if name in names]
    if known:
        return known[0]
    others = [
        name
        for name in names
        if name not in _BOOKKEEPING and not any(PurePosixPath(as_text(task.get(name))).suffix for task in document)
    ]
    if len(others) == 1:
        return others[0]
    raise SourceError(
        f"{path.name} doesn't say which of its fields is the label: {', '.join(names[:10])}.",
        f"Call it {_ANSWER_KEYS[0]!r} or {_ANSWER_KEYS[2]!r}.",
    )
