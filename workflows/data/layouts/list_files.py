"""List files: one image and the number of its class on each line; the class names are in a second file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from workflows.data.cells import plain
from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.label_files import LabelFile, Rows
from workflows.data.texts import read_text
from workflows.errors import SourceError

NAMES_FILES = (
    "labels",
    "synsets",
    "classes",
    "class_names",
    "classnames",
    "names",
    "wnids",
    "label_names",
    "categories",
)
"""Names of the file of class names, without `.txt`; the first that exists is used."""
_LINE = re.compile(r"(\S.*?)\s+(\S+)")
_NUMBERED = re.compile(r"(\d+)[\s:,]+(\S.*)")
_PEEKED = 16 * 1024  # bytes


def is_list(path: Path) -> bool:
    """Return whether a text file begins like a list: with an image path and one more word."""
    try:
        with path.open("rb") as file:
            head = file.read(_PEEKED)
    except OSError:
        return False
    lines = [line for line in head.decode("utf-8-sig", errors="replace").splitlines() if line.strip()]
    match = _LINE.fullmatch(lines[0].strip()) if lines else None
    return match is not None and _is_image(match[1]) and not any("," in word or ";" in word for word in match.groups())


def _is_image(name: str) -> bool:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES


def read_list(path: Path, encoding: str | None = None, root: Path | None = None) -> LabelFile:
    r"""Read lines of `path number` (or `path label`), separated by spaces or tabs; paths may contain `\` and spaces.

    The numbers' names are the lines of `labels.txt`, `synsets.txt`, `classes.txt` or similar next to it, counted from
    0, or as numbered there. Without such a file, the numbers themselves are the classes.

    Args:
        encoding: of both files; default UTF-8.
        root: the folder that absolute paths may lie in.

    Raises:
        SourceError: not readable, a line without a class, or a number without a name; with the line numbers.
    """
    rows = Rows(path, ("filename", "label"), root)
    lines = [(at, line.strip()) for at, line in enumerate(read_text(path, encoding).splitlines(), 1) if line.strip()]
    pairs = [(at, match[1], match[2]) for at, line in lines if (match := _LINE.fullmatch(line))]
    known = {at for at, _, _ in pairs}
    rows.problems += [f"line {at}: no class after the file name" for at, _ in lines if at not in known]
    numbers = all(re.fullmatch(r"\d+", label) for _, _, label in pairs)
    file = names_file(path) if numbers else None
    names = class_names(file, encoding) if file is not None else {}
    for at, name, label in pairs:
        if file is None:
            rows.add(f"line {at}", [name, label])
        elif int(label) in names:
            rows.add(f"line {at}", [name, names[int(label)]])
        else:
            rows.problems.append(f"line {at}: the number {label} has no name in {file.name}, which {span(names)}")
    return rows.finish([names_note(file)] if numbers else [])


def names_file(path: Path) -> Path | None:
    """Return the file of class names next to a list, if there is one."""
    beside = {entry.name.lower(): entry for entry in path.parent.iterdir() if entry != path}
    found = (beside.get(f"{name}.txt") for name in NAMES_FILES)
    return next((entry for entry in found if entry is not None and entry.is_file()), None)


def class_names(path: Path, encoding: str | None) -> dict[int, str]:
    """Return the class names in a file by number, counted from 0 or as numbered there.

    Raises:
        SourceError: it can't be read, or gives two numbers the same name.
    """
    lines = [plain(line) for line in read_text(path, encoding).splitlines() if line.strip()]
    numbered = [(int(match[1]), match[2]) for line in lines if (match := _NUMBERED.fullmatch(line))]
    counted = [number for number, _ in numbered]
    own = len(numbered) == len(lines) and counted in (list(range(len(lines))), list(range(1, len(lines) + 1)))
    names = dict(numbered) if own else dict(enumerate(lines))
    if len(set(names.values())) < len(names):
        raise SourceError(f"{path.name} has the same class name twice.", "Each number needs its own name.")
    return names


def span(names: dict[int, str]) -> str:
    """Return which numbers have names, as the end of a sentence."""
    return f"names {min(names)} to {max(names)}" if names else "is empty"


def names_note(file: Path | None) -> str:
    """Return a note on where the class names come from."""
    if file is not None:
        return f"The class names were read from {file.name}."
    return f"The numbers are used as class names: there is no {NAMES_FILES[0]}.txt or similar next to the list."
