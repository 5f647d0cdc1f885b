"""Tables whose cells are separated by commas, semicolons or tabs, with column names in the first line."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from workflows.data.cells import plain
from workflows.data.columns import BY_NAME, Columns, Meaning, guess_columns, headless, understand
from workflows.data.texts import read_beginning, read_text
from workflows.errors import ColumnsError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_EXCEL_HINT = re.compile(r"sep=.\r?\n", re.IGNORECASE)  # a first line that tells Excel the delimiter
_PREVIEWED_BYTES = 512 * 1024


@dataclass(frozen=True)
class Table:
    """A table as read from a file, and what its columns mean.

    Attributes:
        rows: the line number and the cells of each row that isn't empty.
        fault: why reading stopped before the end, with the line number.
    """

    meaning: Meaning
    rows: list[tuple[int, list[str]]]
    delimiter: str
    fault: str = ""


def read_table(path: Path, encoding: str | None = None, columns: Columns = BY_NAME, unlabelled: bool = False) -> Table:
    """Read the cells of a CSV, whatever its separator, and find out what its columns mean.

    Args:
        unlabelled: it needs no labels.

    Raises:
        ColumnsError: columns are missing.
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    text, before = _without_hint(read_text(path, encoding))
    refusals = []
    for delimiter in DELIMITERS:
        rows, fault = _cells(text, delimiter, before)
        names = [plain(cell) for cell in rows[0][1]] if rows else []
        if len(names) < 2:  # another separator
            continue
        try:
            meaning = understand(names, [cells for _, cells in rows[1:]], path, columns, unlabelled)
            return Table(meaning, rows[1:], delimiter, fault)
        except ColumnsError as error:
            refusals.append((len(names), error))
    raise (
        max(refusals, key=lambda refusal: refusal[0])[1] if refusals else headless(path, (text.splitlines() or [""])[0])
    )


def _without_hint(text: str) -> tuple[str, int]:
    """Return a CSV without the line for Excel before its header, and how many lines that are."""
    hint = _EXCEL_HINT.match(text)
    return (text[hint.end() :], 1) if hint else (text, 0)


def _cells(text: str, delimiter: str, before: int) -> tuple[list[tuple[int, list[str]]], str]:
    """Return the last line number and the cells of each row that isn't empty, and what stopped the reading."""
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num + before, cells))
    except csv.Error as error:
        return rows, f"line {reader.line_num + before}: {error}"
    return rows, ""


@dataclass(frozen=True)
class Preview:
    """The beginning of a table, for a user who chooses what its columns mean.

    Attributes:
        names: of the columns that have one.
        rows: cells of the first rows, under these names.
        filename: the column used for the file names; None if none is recognised.
        label: the column used for the labels.
        classes: the columns used for one class each.
        notes: the guess as sentences, where the names leave it open.
    """

    names: list[str]
    rows: list[list[str]]
    filename: str | None
    label: str | None
    classes: list[str]
    notes: list[str]

    @property
    def complete(self) -> bool:
        """Whether file names and labels were found."""
        return self.filename is not None and (self.label is not None or bool(self.classes))


def preview_table(path: Path, encoding: str | None = None, rows: int = 5) -> Preview | None:
    """Return the beginning of a table, with a guess at what its columns mean; None if it does not look like a table.

    Only the beginning is read, so the whole file may give another result.

    Raises:
        SourceError: the file can't be read.
        UsageError: an unknown encoding.
    """
    text, before = _without_hint(read_beginning(path, _PREVIEWED_BYTES, encoding))
    found = []
    for delimiter in DELIMITERS:
        lines = [cells for _, cells in _cells(text, delimiter, before)[0]]
        names = [plain(cell) for cell in lines[0]] if lines else []
        if len(names) > 1:
            guess = guess_columns(names, lines[1:])
            sure = (guess.filename is not None) + (guess.label is not None or bool(guess.classes))
            found.append((sure, len(names), names, lines[1:], guess))
    if not found:
        return None
    _, _, names, lines, guess = max(found, key=lambda table: table[:2])
    notes = []
    if guess.filename is not None:
        notes = Meaning(tuple(names), guess.filename, guess.folder, guess.label, guess.classes, guess.split).notes()
    named = [at for at, name in enumerate(names) if name]
    return Preview(
        names=[names[at] for at in named],
        rows=[[cells[at] for at in named] for cells in lines if len(cells) == len(names)][:rows],
        filename=names[guess.filename] if guess.filename is not None else None,
        label=names[guess.label] if guess.label is not None else None,
        classes=[names[at] for at in guess.classes],
        notes=notes,
    )
