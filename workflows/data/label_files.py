"""Label files: a table that says which image has which label, as spreadsheets and programs write it.

What is read here is CSV; :class:`Rows` and :func:`read_text` serve the readers of other formats as well.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workflows.data.version import Split
from workflows.errors import SourceError, UsageError
from workflows.store.files import storage_errors, undo_defuse
from workflows.store.names import counted

MAX_BYTES = 64 * 1024**2  # some 500,000 rows; held in memory, and several times that while it is read
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_EXCEL_HINT = re.compile(r"sep=.\r?\n", re.IGNORECASE)  # a first line that tells Excel the delimiter

# What people call the columns, in the order in which one is taken if there are several.
_MEANINGS = {
    "filename": ("filename", "file_name", "file", "filepath", "file_path", "path", "image_path", "image_name", "image"),
    "label": ("label", "class", "category", "class_name", "label_name", "choice"),
    "split": ("split",),
}

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


UNANSWERED = "no label in the label file"


@dataclass(frozen=True)
class LabelFile:
    """A label file, read and checked.

    Attributes:
        rows: one for each image, in the file's order.
        columns: all column names; those of file, label and split under these names: filename, label, split.
        rejected: file name -> reason, of images that the file names, but gives no (clear) label.
        loose: whether a name may be only the end of an image's place (programs export their own paths).
        notes: what was found out about the file, in words for the person.
    """

    rows: list[LabelRow]
    columns: list[str]
    rejected: dict[str, str]
    loose: bool = False
    notes: list[str] = field(default_factory=list)


def read_labels(path: Path, encoding: str | None = None) -> LabelFile:
    """Read a CSV that names a file and a label in each row; all cells are text.

    The delimiter (comma, semicolon or tab) is found in the header, the columns by their names in any case and
    order: `filename` and `label`, or what people call them (`image`, `path`, `class`, `category`, …). A column
    `split` is taken as the images' split; all others are kept as attributes.

    Args:
        encoding: of the file; default UTF-8.

    Raises:
        SourceError: not readable, in another encoding, without the two columns, a row of another width, a name
            that leads outside the folder, or two different labels for one image; with the line numbers.
        UsageError: an unknown encoding.
    """
    text, before = _without_hint(read_text(path, encoding))
    names, delimiter = _header(text)
    if not names:
        first = (text.splitlines() or [""])[0][:100]
        raise SourceError(
            f"{path.name} has no columns `filename` and `label`; its first line is: {first!r}.",
            "The first line must name the columns, e.g. `filename,label`.",
        )
    columns = columns_of(names, path)
    rows = Rows(path, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.add(f"line {reader.line_num + before}", cells)
    except csv.Error as error:
        rows.problems.append(f"line {reader.line_num + before}: {error}")
    notes = [] if delimiter == "," else [f"The label file's cells are separated by {_DELIMITERS[delimiter]}."]
    return rows.finish(notes + _renamed(names, columns))


class Rows:
    """The rows of a label file as they are read, with what is wrong with them."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Begin.

        Args:
            path: named in errors.
            columns: of the cells to come; among them `filename` and `label`.
        """
        self._path = path
        self._columns = list(columns)
        self._rows: dict[str, LabelRow] = {}
        self._rejected: dict[str, str] = {}
        self._folded = 0
        self.problems: list[str] = []

    def add(self, where: str, cells: Sequence[str], fault: str = "") -> None:
        """Take a row in.

        Args:
            where: its place in the file, e.g. `line 7`.
            cells: one for each column.
            fault: why the image can't be used, although it is named (else: its label is empty).
        """
        row, problem = _row(cells, self._columns)
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

    def finish(self, notes: Sequence[str] = (), loose: bool = False) -> LabelFile:
        """Return the checked file.

        Raises:
            SourceError: something was wrong with a row.
        """
        if self.problems:
            shown = "\n".join(f"  - {problem}" for problem in self.problems[:10])
            more = f"\n  … and {len(self.problems) - 10} more" if len(self.problems) > 10 else ""
            raise SourceError(
                f"{self._path.name} can't be used:\n{shown}{more}", "Correct these rows; nothing was imported."
            )
        folded = [f"The label file repeats itself in {counted(self._folded, 'row')}."] if self._folded else []
        return LabelFile(list(self._rows.values()), self._columns, self._rejected, loose, [*notes, *folded])


def read_text(path: Path, encoding: str | None = None) -> str:
    """Return the text of a label file.

    Raises:
        SourceError: missing, too large, in another encoding, or no text.
        UsageError: an unknown encoding.
    """
    if not path.is_file():
        raise SourceError(f"There is no label file {path}.", "Check its path.")
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(
            f"{path.name} is larger than {MAX_BYTES // 1024**2} MB.",
            "Is it the right file? Divide it, and import the parts one after the other.",
        )
    with storage_errors(path, "read"):
        content = path.read_bytes()
    try:
        text = content.decode(_codec(encoding))
    except UnicodeError as error:
        raise _wrong_encoding(path, content, encoding) from error
    if "\0" in text:
        raise SourceError(
            f"{path.name} holds NUL characters: it is no text file.",
            "If it is UTF-16, name its encoding; otherwise save it as UTF-8 text.",
        )
    return text.removeprefix("\ufeff")


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return "utf-8-sig"
    try:
        name = codecs.lookup(encoding).name
        with contextlib.suppress(UnicodeError):
            b"    ".decode(name)  # refuses codecs that make no text
    except (LookupError, ValueError) as error:
        raise UsageError(f"Unknown encoding {encoding!r}.", "Examples: utf-8, utf-16, cp1252, latin-1.") from error
    return name


def _wrong_encoding(path: Path, content: bytes, encoding: str | None) -> SourceError:
    if encoding is not None:
        return SourceError(f"{path.name} is not in the encoding {encoding}.", "Try utf-8, utf-16, cp1252 or latin-1.")
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    kind, names = ("UTF-16", "utf-16") if utf16 else ("probably Latin-1 or Windows-1252", "cp1252 or latin-1")
    return SourceError(
        f"{path.name} is not UTF-8 but {kind}.",
        f"Name its encoding ({names}), or save it as UTF-8.",
    )


def header_names(path: Path, encoding: str | None = None) -> list[str]:
    """Return the column names of a CSV, or nothing if it does not say which file has which label.

    Raises:
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    return _header(_without_hint(read_text(path, encoding))[0])[0]


def _without_hint(text: str) -> tuple[str, int]:
    """Return a CSV without the line for Excel before its header, and how many lines that are."""
    hint = _EXCEL_HINT.match(text)
    return (text[hint.end() :], 1) if hint else (text, 0)


def _header(text: str) -> tuple[list[str], str]:
    """Return the column names as they stand there and the delimiter; nothing if the names don't tell enough."""
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        names = [_plain(cell) for cell in cells]
        if has_labels(names):
            return names, delimiter
    return [], ""


def has_labels(names: Sequence[str]) -> bool:
    """Return whether columns of these names say which file has which label."""
    return {"filename", "label"} <= _found(names).keys()


def columns_of(names: Sequence[str], path: Path) -> list[str]:
    """Return the column names, those with a meaning as `filename`, `label` and `split`.

    Raises:
        SourceError: one of the two is missing, a name is empty, or two are the same.
    """
    found = _found(names)
    if not has_labels(names):
        raise SourceError(
            f"{path.name} has no columns `filename` and `label`, only: {', '.join(names[:10])}.", "Rename its columns."
        )
    meaning = {position: name for name, position in found.items()}
    columns = [
        meaning.get(position, name.lower() if name.lower() in _MEANINGS else name)
        for position, name in enumerate(names)
    ]
    if len(set(columns)) < len(columns) or "" in columns:
        raise SourceError(f"{path.name}: a column has no name, or two have the same.", "Rename them.")
    return columns


def _found(names: Sequence[str]) -> dict[str, int]:
    """Return the position of the column of each meaning."""
    plain = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names]
    found = {}
    for meaning, synonyms in _MEANINGS.items():
        positions = [plain.index(synonym) for synonym in synonyms if synonym in plain]
        if positions:
            found[meaning] = positions[0]
    return found


def _renamed(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    pairs = [
        f"{name!r} as {column}" for name, column in zip(names, columns, strict=True) if name.lower() != column.lower()
    ]
    return [f"Columns of the label file taken: {', '.join(pairs)}."] if pairs else []


def _row(cells: Sequence[str], header: Sequence[str]) -> tuple[LabelRow | None, str]:
    """Return the row and what is wrong with it (empty = nothing)."""
    if len(cells) != len(header):
        return None, f"{len(cells)} cells, but the header has {len(header)} columns"
    fields = {name: _plain(cell) for name, cell in zip(header, cells, strict=True)}
    filename, problem = inside(fields.pop("filename"))
    label, split_name = fields.pop("label"), fields.pop("split", "")
    if not label.isprintable():
        problem = problem or f"the label {label!r} holds control characters"
    if split_name and split_name.lower() not in SPLIT_NAMES:
        problem = problem or f"unknown split {split_name!r} (use train, val or test)"
    return LabelRow(filename, label, SPLIT_NAMES.get(split_name.lower()), fields), problem


def _plain(cell: str) -> str:
    """Return a cell's text, without the `'` that our own export puts before what looks like a formula."""
    return undo_defuse(unicodedata.normalize("NFC", cell.strip()))


def inside(name: str) -> tuple[str, str]:
    """Return a file name as a relative path with `/`, and what is wrong with it (empty = nothing)."""
    if not name:
        return "", "the file name is empty"
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        return name, f"{name!r} leads outside the folder"
    return path.as_posix(), ""


def _conflict(earlier: LabelRow, row: LabelRow) -> str:
    if (earlier.label, earlier.split) == (row.label, row.split):
        return ""
    if earlier.label != row.label:
        return f"{row.filename!r} is labelled {row.label!r} here, but {earlier.label!r} above"
    return f"{row.filename!r} is in {row.split} here, but in {earlier.split} above"
