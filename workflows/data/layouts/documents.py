"""A file that may hold labels: read once, however many formats check it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from workflows.data.columns import BY_NAME, Columns
from workflows.data.label_files import SPLIT_NAMES, LabelFile, LabelRow
from workflows.data.layouts.json_files import load_json
from workflows.data.layouts.scan import Layout
from workflows.data.texts import read_text
from workflows.data.version import Split

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Document:
    """A file that may hold labels.

    Attributes:
        path: of the file.
        encoding: of its text; default UTF-8.
        columns: those of a table that hold the file names and the labels, if chosen by name.
        root: the folder that absolute paths in it may point into.
    """

    path: Path
    encoding: str | None = None
    columns: Columns = BY_NAME
    root: Path | None = None

    @property
    def suffix(self) -> str:
        """Its suffix, in lower case."""
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """Its whole text.

        Raises:
            SourceError: not readable, or not text.
            UsageError: an unknown encoding.
        """
        return read_text(self.path, self.encoding)

    @cached_property
    def json(self) -> Any:
        """Its content as JSON; numbers are strings.

        Raises:
            SourceError: not readable, or not JSON.
            UsageError: an unknown encoding.
        """
        return load_json(self.path, self.encoding)

    def header(self, names: frozenset[str]) -> tuple[list[str], str]:
        """Return the column names of a table and its delimiter; nothing if `names` are not all among them.

        The delimiter is detected from the content, whatever the suffix: programs write tabs into a `.csv`.
        """
        for delimiter in _DELIMITERS:
            try:
                cells = next(csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter, strict=True), [])
            except csv.Error:
                continue
            if names <= set(cells):
                return cells, delimiter
        return [], ""


@dataclass(frozen=True)
class Labels:
    """The labels of a source, and the files that they were read from (by their paths in it)."""

    layout: Layout
    table: LabelFile
    files: tuple[str, ...] = ()


Part = tuple[str, LabelFile]
"""A label file in a source: its path there, and its content."""


def no_usual_place(_place: str) -> bool:
    """Return that no path in a source is a conventional place of a label file."""
    return False


def any_document(_document: Document) -> bool:
    """Return that any file is unambiguous."""
    return True


def no_companions(_document: Document) -> list[Path]:
    """Return that no further file is read."""
    return []


def in_annotations(place: str) -> bool:
    """Return whether a path is directly in a folder `annotations` at the top of a source."""
    return place.startswith("annotations/") and place.count("/") == 1


def joined(parts: Sequence[Part]) -> LabelFile:
    """Return several files as one table; if each is named after a split, that is the split of its images."""
    splits = [split_of(place) if len(parts) > 1 else None for place, _ in parts]
    rows: list[LabelRow] = []
    rejected: dict[str, str] = {}
    notes: dict[str, None] = {}
    for split, (_, table) in zip(splits, parts, strict=True):
        rows += [replace(row, split=row.split or split) for row in table.rows]
        notes |= dict.fromkeys(table.notes)
        for name, reason in table.rejected.items():  # two subsets may have files of the same name
            rejected[f"{split}/{name}" if split else name] = reason
    if not all(row.split for row in rows):
        rows = [replace(row, split=None) for row in rows]
    columns = list(dict.fromkeys(name for _, table in parts for name in table.columns))
    loose, divided = all(table.loose for _, table in parts), any(table.joined for _, table in parts)
    return LabelFile(rows, columns, rejected, loose, list(notes), divided)


def split_of(place: str) -> Split | None:
    """Return the split that a file's name begins or ends with, e.g. val for `labels_validation.json`."""
    words = re.split(r"[-_. ]", PurePosixPath(place).stem.lower())
    return SPLIT_NAMES.get(words[0]) or SPLIT_NAMES.get(words[-1])


@dataclass(frozen=True)
class LabelFormat:
    """A format of label files, as a program writes it.

    Attributes:
        layout: name in reports of a source with such labels.
        title: name of the format.
        tools: the programs that write it.
        suffixes: of its files, in lower case.
        recognises: whether a file has the format, by its content.
        read: reads its labels.
        is_usual_place: whether a path in a source is where programs put it; a file there takes precedence over the folders' names.
        overrides_folders: whether such a file also takes precedence over class folders, by its content.
        complete: all such files in one folder belong together, e.g. one per split.
        companions: further files to read, e.g. of class names.
        join: merges several files into one table.
    """

    layout: Layout
    title: str
    tools: tuple[str, ...]
    suffixes: frozenset[str]
    recognises: Callable[[Document], bool]
    read: Callable[[Document], LabelFile]
    is_usual_place: Callable[[str], bool] = no_usual_place
    overrides_folders: Callable[[Document], bool] = any_document
    complete: bool = False
    companions: Callable[[Document], list[Path]] = no_companions
    join: Callable[[Sequence[Part]], LabelFile] = joined
