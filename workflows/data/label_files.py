"""Label files: tables that map images to labels, as spreadsheets and programs write them.

This module reads CSV; :class:`Rows` is shared by the readers of other formats.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from workflows.data.cells import plain
from workflows.data.columns import BY_NAME, Columns, Meaning, has_labels
from workflows.data.delimited import DELIMITERS, read_table
from workflows.data.reasons import UNANSWERED
from workflows.data.version import Split
from workflows.errors import ColumnsError, SourceError
from workflows.store.names import counted

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class LabelRow:
    """One image of a label file."""

    filename: str
    label: str
    split: Split | None
    attributes: dict[str, str] = field(default_factory=dict)


_OUTSIDE = "leads outside the folder"


@dataclass(frozen=True)
class LabelFile:
    """A label file, read and checked.

    Attributes:
        rows: one for each image, in the file's order.
        columns: all column names; those of file, label and split under these names: filename, label, split.
        rejected: file name -> reason, of images that the file lists without a unique label.
        loose: whether a name may be only the end of an image's path (programs export their own paths).
        notes: remarks on the file for the user.
        joined: whether names were joined from a folder and a file name; the file name alone may be meant.
    """

    rows: list[LabelRow]
    columns: list[str]
    rejected: dict[str, str]
    loose: bool = False
    notes: list[str] = field(default_factory=list)
    joined: bool = False


def read_labels(
    path: Path, encoding: str | None = None, columns: Columns = BY_NAME, root: Path | None = None
) -> LabelFile:
    """Read a CSV with a file name and a label in each row; all cells are text.

    The delimiter (comma, semicolon or tab) is found in the header, the columns by their names in any case and
    order: `filename` and `label`, or common synonyms (`image`, `path`, `class`, `category`, …); instead of
    a column of labels there may be one of 0 and 1 for each class. A column `split` gives the images' split;
    all others become attributes.

    Args:
        encoding: of the file; default UTF-8.
        columns: those that hold the file names and the labels, if chosen by name.
        root: the folder that absolute paths may lie in.

    Raises:
        SourceError: not readable, in another encoding, without the two columns, a row of another width, a name
            that leads outside the folder, or two different labels for one image; with the line numbers.
        UsageError: an unknown encoding.
    """
    table = read_table(path, encoding, columns)
    rows = Rows(path, table.meaning.columns, root)
    for number, cells in table.rows:
        rows.add_as(table.meaning, f"line {number}", cells)
    if table.fault:
        rows.problems.append(table.fault)
    divided = f"The label file's cells are separated by {DELIMITERS[table.delimiter]}."
    notes = [divided] if table.delimiter != "," else []
    return rows.finish(notes + table.meaning.notes(), joined=table.meaning.folder is not None)


class Rows:
    """The rows of a label file as they are read, and the problems found in them."""

    def __init__(self, path: Path, columns: Sequence[str], root: Path | None = None) -> None:
        """Start without rows.

        Args:
            path: named in errors.
            columns: of the cells to come; among them `filename` and `label`.
            root: the folder that absolute paths may lie in.
        """
        self._path = path
        self._roots = _roots(root)
        self._columns = list(columns)
        self._rows: dict[str, LabelRow] = {}
        self._rejected: dict[str, str] = {}
        self._folded = 0
        self.problems: list[str] = []

    def add(self, where: str, cells: Sequence[str], fault: str = "") -> None:
        """Add a row.

        Args:
            where: its place in the file, e.g. `line 7`.
            cells: one for each column.
            fault: why the image can't be used, although it is listed (else: its label is empty).
        """
        self._take(where, [plain(cell) for cell in cells], fault)

    def _take(self, where: str, cells: Sequence[str], fault: str) -> None:
        row, problem = _row(cells, self._columns, self._roots)
        if row is None or problem:
            self.problems.append(f"{where}: {problem}")
        elif fault or not row.label:
            self._rejected[row.filename] = fault or UNANSWERED
        else:
            earlier = self._rows.setdefault(row.filename, row)
            problem = _conflict(earlier, row)
            if problem:
                self.problems.append(f"{where}: {problem}")
            self._folded += earlier is not row
        if row is not None and row.filename in self._rows and row.filename in self._rejected:
            self.problems.append(f"{where}: {row.filename!r} has a label in one row and none in another")

    def add_as(self, meaning: Meaning, where: str, cells: Sequence[str]) -> None:
        """Add a row of a table whose columns have this meaning."""
        if len(cells) != len(meaning.names):
            self.problems.append(f"{where}: {len(cells)} cells, but the header has {len(meaning.names)} columns")
        else:
            self._take(where, *meaning.cells(cells))

    def finish(self, notes: Sequence[str] = (), loose: bool = False, joined: bool = False) -> LabelFile:
        """Return the checked file.

        Raises:
            SourceError: a row has a problem.
        """
        if self.problems:
            outside = any(problem.endswith(_OUTSIDE) for problem in self.problems)
            where = " Paths must be relative to the images' folder, or inside it." if outside else ""
            raise SourceError(
                f"{self._path.name} can't be used:",
                f"Correct these rows; nothing was imported.{where}",
                problems=self.problems,
            )
        folded = [f"The label file has {counted(self._folded, 'duplicate row')}."] if self._folded else []
        return LabelFile(list(self._rows.values()), self._columns, self._rejected, loose, [*notes, *folded], joined)


def gives_labels(
    path: Path, encoding: str | None = None, columns: Columns = BY_NAME, unambiguous: bool = False
) -> bool:
    """Return whether a table has columns of file names and labels.

    Args:
        unambiguous: only by unambiguous names, because folders may give the labels as well.

    Raises:
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    try:
        table = read_table(path, encoding, columns)
    except ColumnsError:
        return False
    return not unambiguous or bool(columns) or has_labels(table.meaning.names)


def read_attributes(
    path: Path, encoding: str | None = None, root: Path | None = None
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Read a CSV with other facts about images than their labels.

    Returns:
        Its columns besides the file names, and file name -> column -> cell. Rows without a clear file name are
        left out.

    Raises:
        ColumnsError: without a column of file names.
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    table = read_table(path, encoding, unlabelled=True)
    columns = [name for name in table.meaning.columns if name != "filename"]
    rows = {}
    roots = _roots(root)
    for _, cells in table.rows:
        if len(cells) == len(table.meaning.names):
            fields = dict(zip(table.meaning.columns, table.meaning.cells(cells)[0], strict=True))
            name, problem = inside(fields.pop("filename"), roots)
            if not problem:
                rows[name] = fields
    return columns, rows


def _row(cells: Sequence[str], header: Sequence[str], roots: Sequence[Path]) -> tuple[LabelRow | None, str]:
    """Return the row and what is wrong with it (empty = nothing)."""
    if len(cells) != len(header):
        return None, f"{len(cells)} cells, but the header has {len(header)} columns"
    fields = dict(zip(header, cells, strict=True))
    filename, problem = inside(fields.pop("filename"), roots)
    label, split_name = fields.pop("label"), fields.pop("split", "")
    if not label.isprintable():
        problem = problem or f"the label {label!r} holds control characters"
    if split_name and split_name.lower() not in SPLIT_NAMES:
        problem = problem or f"unknown split {split_name!r} (use train, val or test)"
    return LabelRow(filename, label, SPLIT_NAMES.get(split_name.lower()), fields), problem


def inside(name: str, roots: Sequence[Path] = ()) -> tuple[str, str]:
    """Return a file name as a relative path with `/`, and what is wrong with it (empty = nothing).

    Args:
        roots: the images' folder, by all its paths; an absolute path may lie in it.
    """
    if not name:
        return "", "the file name is empty"
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() and ".." not in path.parts:
        path = _below(path, roots) or path
    if not path.parts or path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        return name, f"{name!r} {_OUTSIDE}"
    return path.as_posix(), ""


def _roots(root: Path | None) -> list[Path]:
    return sorted({root.absolute(), root.resolve()}) if root is not None else []


def _below(path: PurePosixPath, roots: Sequence[Path]) -> PurePosixPath | None:
    """Return an absolute path relative to the first folder that contains it, also through links.

    The result is only a name to look up among the listed files; it is never opened.
    """
    for root in roots:
        for place in (path, PurePosixPath(_real(path.parent.as_posix())) / path.name):
            if place.is_relative_to(root.as_posix()):
                return place.relative_to(root.as_posix())
    return None


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _conflict(earlier: LabelRow, row: LabelRow) -> str:
    if (earlier.label, earlier.split) == (row.label, row.split):
        return ""
    if earlier.label != row.label:
        return f"{row.filename!r} is labelled {row.label!r} here, but {earlier.label!r} above"
    return f"{row.filename!r} is in {row.split} here, but in {earlier.split} above"
