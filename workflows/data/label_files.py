"""Label files: a CSV that says which image has which label."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workflows.data.version import Split
from workflows.errors import SourceError
from workflows.store.files import storage_errors, undo_defuse

MAX_BYTES = 256 * 1024**2
_DELIMITERS = (",", ";", "\t")

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
    """One image as the label file names it."""

    filename: str
    label: str
    split: Split | None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelFile:
    """A label file, read and checked.

    Attributes:
        rows: one for each image, in the file's order.
        columns: all column names.
        delimiter: the one found.
        folded: repeated rows that said the same.
        unlabelled: file names whose label is empty.
    """

    rows: list[LabelRow]
    columns: list[str]
    delimiter: str
    folded: int
    unlabelled: list[str]


def read_labels(path: Path) -> LabelFile:
    """Read a CSV with the columns `filename` and `label`, in any case and order; all cells are text.

    The delimiter (comma, semicolon or tab) is found in the header. A column `split` is taken as the images'
    split; all others are kept as attributes.

    Raises:
        SourceError: not readable, no UTF-8, without the two columns, a row of another width, a name that
            leads outside the folder, or two different labels for one image; with the line numbers.
    """
    text = _read_text(path)
    header, delimiter = _header(text, path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: dict[str, LabelRow] = {}
    problems: list[str] = []
    folded, unlabelled = 0, []
    try:
        next(reader)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row, problem = _row(cells, header)
            if row is not None:
                problem = problem or _conflict(rows.get(row.filename), row)
                folded += row.filename in rows
            if problem or row is None:
                problems.append(f"line {reader.line_num}: {problem}")
            elif row.label:
                rows[row.filename] = row
            else:
                unlabelled.append(row.filename)
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    _refuse(problems, path)
    return LabelFile(list(rows.values()), header, delimiter, folded, unlabelled)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise SourceError(f"There is no label file {path}.", "Check the path given with --labels.")
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(f"{path.name} is larger than {MAX_BYTES // 1024**2} MB.", "Is it the right file?")
    with storage_errors(path, "read"):
        content = path.read_bytes()
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if utf16 else "probably Latin-1 or Windows-1252"
        raise SourceError(
            f"{path.name} is not UTF-8 but {kind} (byte {error.start}).",
            f"Save it as UTF-8, e.g. `iconv -f {'UTF-16' if utf16 else 'WINDOWS-1252'} -t UTF-8`.",
        ) from error
    if "\0" in text:
        raise SourceError(f"{path.name} holds NUL characters: it is no text file.", "Save it as UTF-8 text.")
    return text


def _header(text: str, path: Path) -> tuple[list[str], str]:
    """Return the column names (lower case where they have a meaning for us) and the delimiter."""
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        names = [cell.strip() for cell in cells]
        known = [name.lower() if name.lower() in ("filename", "label", "split") else name for name in names]
        if {"filename", "label"} <= set(known):
            if len(set(known)) < len(known) or "" in known:
                raise SourceError(f"{path.name}: a column has no name, or two have the same.", "Rename them.")
            return known, delimiter
    first = (text.splitlines() or [""])[0][:100]
    raise SourceError(
        f"{path.name} has no columns `filename` and `label`; its first line is: {first!r}.",
        "The first line must name the columns, e.g. `filename,label`.",
    )


def _row(cells: Sequence[str], header: Sequence[str]) -> tuple[LabelRow | None, str]:
    """Return the row and what is wrong with it (empty = nothing)."""
    if len(cells) != len(header):
        return None, f"{len(cells)} cells, but the header has {len(header)} columns"
    fields = {name: _plain(cell) for name, cell in zip(header, cells, strict=True)}
    filename, problem = _inside(fields.pop("filename"))
    label, split_name = fields.pop("label"), fields.pop("split", "")
    if any(not character.isprintable() for character in label):
        problem = problem or f"the label {label!r} holds control characters"
    if split_name and split_name.lower() not in SPLIT_NAMES:
        problem = problem or f"unknown split {split_name!r} (use train, val or test)"
    return LabelRow(filename, label, SPLIT_NAMES.get(split_name.lower()), fields), problem


def _plain(cell: str) -> str:
    """Return a cell's text, without the `'` that our own export puts before what looks like a formula."""
    return undo_defuse(unicodedata.normalize("NFC", cell.strip()))


def _inside(name: str) -> tuple[str, str]:
    """Return a file name as a relative path with `/`, and what is wrong with it (empty = nothing)."""
    if not name:
        return "", "the file name is empty"
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        return name, f"{name!r} leads outside the folder"
    return path.as_posix(), ""


def _conflict(earlier: LabelRow | None, row: LabelRow) -> str:
    if earlier is None or (earlier.label, earlier.split) == (row.label, row.split):
        return ""
    if earlier.label != row.label:
        return f"{row.filename!r} is labelled {row.label!r} here, but {earlier.label!r} above"
    return f"{row.filename!r} is in {row.split} here, but in {earlier.split} above"


def _refuse(problems: Sequence[str], path: Path) -> None:
    if problems:
        shown = "\n".join(f"  - {problem}" for problem in problems[:10])
        more = f"\n  … and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise SourceError(f"{path.name} can't be used:\n{shown}{more}", "Correct these lines; nothing was imported.")
