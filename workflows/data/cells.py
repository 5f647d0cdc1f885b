"""What one cell of a label file means: a label, a list of labels, or whether an image belongs to a class."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress

from workflows.data.reasons import SEVERAL, UNLABELLED
from workflows.store.files import undo_defuse

_YES, _NO = frozenset(("1", "1.0", "true")), frozenset(("0", "0.0", "false"))
_ITEM = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[+-]?\d[\w.+-]*)\s*(,?)""")


def plain(cell: str) -> str:
    """Return a cell's text, without the `'` that our own export puts in front of what looks like a formula."""
    return undo_defuse(unicodedata.normalize("NFC", cell.strip()))


def one_of(cell: str) -> tuple[str, str]:
    """Return a cell's label, and why it has none (empty = it has one, or the cell is empty).

    A list in the notation of Python, JSON or numpy (`['frog']`, `["frog"]`, `['frog' 'newt']`) is a list; all else is
    the label itself.
    """
    labels = _items(cell)
    return (cell, "") if labels is None else single(labels)


def single(labels: Iterable[str]) -> tuple[str, str]:
    """Return an image's only label, and why it is not unique (empty = it is)."""
    different = list(dict.fromkeys(label for label in labels if label.strip()))
    if len(different) > 1:
        return "", f"{SEVERAL}: {', '.join(different)}"
    return (different[0], "") if different else ("", UNLABELLED)


def _items(cell: str) -> list[str] | None:
    """Return the strings and numbers of a list; None if the cell is not a list."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    inside = cell[1:-1].strip()
    items, position = [], 0
    while position < len(inside):
        item = _ITEM.match(inside, position)
        if item is None:
            return None
        items.append(unicodedata.normalize("NFC", _unquoted(item[1])))  # quoted: including blanks
        position = item.end()
    return items


def _unquoted(literal: str) -> str:
    """Return a quoted string's content; a number stays as written."""
    if literal[0] not in "'\"":
        return literal
    for read in (json.loads, ast.literal_eval) if literal[0] == '"' else (ast.literal_eval,):
        with suppress(ValueError, SyntaxError):
            return str(read(literal))
    return literal[1:-1]


def is_mark(cell: str) -> bool:
    """Return whether a cell is a flag: 0 or 1, 0.0 or 1.0, true or false."""
    return (lower := cell.strip().lower()) in _YES or lower in _NO


def is_marked(cell: str) -> bool:
    """Return whether a flag is set."""
    return cell.strip().lower() in _YES
