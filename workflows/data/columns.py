"""What the columns of a label table mean: which holds the file names, which the labels, which are classes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from workflows.data.cells import is_mark, is_marked, one_of, plain, single
from workflows.data.folders import IMAGE_SUFFIXES
from workflows.errors import ColumnsError

# Common names of the columns, in order of preference; without spaces and punctuation.
_FILENAMES = ("filename", "file", "filepath", "path", "imagepath", "imagename", "image")
_MORE_FILENAMES = (
    *("imagefile", "imagefilename", "img", "imgpath", "imgname", "imgfile", "photo", "photoname", "picture", "fname"),
    *("relativefilepath", "imageid", "imgid", "photoid", "fileid", "name", "id"),
)
_LABELS = ("label", "class", "category", "classname", "labelname", "choice")
_MORE_LABELS = (
    *("labels", "categoryname", "species", "breed", "diagnosis", "dx", "target", "tag", "kind", "groundtruth"),
    *("classid", "labelid", "categoryid", "y"),
)
_FOLDERS = ("relativepath", "folder", "foldername", "directory", "dir", "subfolder", "subdirectory")
_OWN = ("filename", "label", "split")
_LONGEST_LIST = 30
LEAST_CLASSES = 2


@dataclass(frozen=True)
class Columns:
    """The columns of a label file that the user has chosen; None: found by their usual names."""

    filename: str | None = None
    label: str | None = None

    def __bool__(self) -> bool:
        return self.filename is not None or self.label is not None

    def identity(self) -> list[str]:
        """Return its part of an import's fingerprint; nothing if no column was chosen."""
        return [f"filename={self.filename}", f"label={self.label}"] if self else []


BY_NAME = Columns()


@dataclass(frozen=True)
class Meaning:
    """What the columns of a table mean, by their positions.

    Attributes:
        names: of all columns, as in the table; empty where a column has none.
        filename: of the column of file names.
        folder: of the column of the folders that the files lie in.
        label: of the column of labels; None if there is one column for each class, or there are no labels.
        classes: of the columns that each mark the images of one class.
        split: of the column of splits.
    """

    names: tuple[str, ...]
    filename: int
    folder: int | None
    label: int | None
    classes: tuple[int, ...]
    split: int | None

    @property
    def columns(self) -> list[str]:
        """The names of the cells that :meth:`cells` returns: `filename`, `label`, possibly `split`, attributes."""
        return [name for name, _ in self._attributes()]

    def _attributes(self) -> list[tuple[str, int]]:
        first = self.classes[0] if self.classes else self.label
        places = {self.filename: "filename", first: "label", self.split: "split"}
        own = {at: name for at, name in places.items() if at is not None}
        others = []
        for position, name in enumerate(self.names):
            if position in own:
                others.append((own[position], position))
            elif name and position not in self.classes:
                # another column was chosen for the role of this name
                others.append((f"other {name}" if name.lower() in _OWN else name, position))
        return others

    def cells(self, cells: Sequence[str]) -> tuple[list[str], str]:
        """Return the cells of a row under :attr:`columns`, and why it has no clear label (empty = it has)."""
        if self.classes:
            label, fault = single(self.names[at] for at in self.classes if is_marked(cells[at]))
        else:
            label, fault = one_of(plain(cells[self.label])) if self.label is not None else ("", "")
        said = {"filename": self._place(cells), "label": label}
        return [said[name] if name in said else plain(cells[at]) for name, at in self._attributes()], fault

    def _place(self, cells: Sequence[str]) -> str:
        name = plain(cells[self.filename])
        folder = plain(cells[self.folder]).replace("\\", "/").rstrip("/") if self.folder is not None else ""
        if not name or not folder or "/" in name.replace("\\", "/"):
            return name
        return folder if folder.rpartition("/")[2] == name else f"{folder}/{name}"

    def notes(self) -> list[str]:
        """Return notes on how columns were interpreted, where their names leave it open."""
        notes, taken = [], []
        for at, own in ((self.filename, "filename"), (self.label, "label"), (self.split, "split")):
            if at is not None and self.names[at].lower() != own:
                taken.append(f"{self.names[at]!r} as {own}")
        if self.folder is not None:
            taken.append(f"{self.names[self.folder]!r} as the file's folder")
        if taken:
            notes.append(f"Columns of the label file used: {', '.join(taken)}.")
        if self.classes:
            notes.append(
                f"The label file has one column for each class: {listed([self.names[at] for at in self.classes])}."
            )
        if "" in self.names:
            notes.append("A column of the label file without a name was ignored.")
        return notes


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence, shortened if there are very many."""
    more = f", … ({len(names)} in all)" if len(names) > _LONGEST_LIST else ""
    return ", ".join(names[:_LONGEST_LIST]) + more


def has_labels(names: Sequence[str]) -> bool:
    """Return whether columns of these names unambiguously hold file names and labels."""
    return _first(names, _FILENAMES) is not None and _first(names, _LABELS) is not None


def understand(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    path: Path,
    chosen: Columns = BY_NAME,
    unlabelled: bool = False,
) -> Meaning:
    """Find out what the columns of a table mean.

    Args:
        names: of the columns.
        rows: all cells below; rows of another width are ignored here.
        path: of the file, named in errors.
        chosen: columns that the user has chosen.
        unlabelled: only file names are needed; no column is used for labels.

    Raises:
        ColumnsError: a chosen column does not exist, or none is found for file names or for labels, or two
            columns have the same name.
    """
    found = [name.lower() if name.lower() in _OWN else name for name in names if name]
    if len(set(found)) < len(found):
        double = next(name for name in found if found.count(name) > 1)
        raise ColumnsError(f"{path.name}: two columns have the same name, {double!r}.", "Rename one of them.")
    filename = _named(names, chosen.filename, path) if chosen.filename is not None else None
    label = _named(names, chosen.label, path) if chosen.label is not None else None
    if filename is not None and filename == label:
        raise ColumnsError(
            f"The column {names[filename]!r} can't hold both file names and labels.", "Choose one for each."
        )
    guess = guess_columns(names, rows, filename, label, unlabelled)
    if guess.filename is None or (guess.label is None and not guess.classes and not unlabelled):
        _refuse(names, guess.filename, guess.label, path)
    return Meaning(tuple(names), guess.filename, guess.folder, guess.label, guess.classes, guess.split)


@dataclass(frozen=True)
class Guess:
    """What the columns of a table seem to mean, by their positions; see :class:`Meaning`."""

    filename: int | None
    folder: int | None
    label: int | None
    classes: tuple[int, ...]
    split: int | None


def guess_columns(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    filename: int | None = None,
    label: int | None = None,
    unlabelled: bool = False,
) -> Guess:
    """Guess what columns mean by their names, and which are classes by their cells.

    Args:
        names: of the columns.
        rows: all cells below.
        filename: position of the column of file names, if that is known.
        label: position of the column of labels, if that is known.
        unlabelled: look for no labels.
    """
    if filename is None:
        filename = _first(names, _FILENAMES + _MORE_FILENAMES, besides=(label,))
    if label is None and not unlabelled:
        label = _first(names, _LABELS + _weak_labels(names), besides=(filename,))
    split = _first(names, ("split",), besides=(filename, label)) if not unlabelled else None
    folder = _first(names, _FOLDERS, besides=(filename, label))
    wanted = filename is not None and label is None and not unlabelled
    classes = _marked(names, rows, (filename, split, folder)) if wanted else ()
    return Guess(filename, folder, label, classes, split)


def _weak_labels(names: Sequence[str]) -> tuple[str, ...]:
    # next to an x, a y is a position in the image
    return _MORE_LABELS if _first(names, ("x",)) is None else _MORE_LABELS[:-1]


def _first(names: Sequence[str], synonyms: Sequence[str], besides: Sequence[int | None] = ()) -> int | None:
    """Return the position of the column whose name matches the earliest of some synonyms."""
    simple = ["" if at in besides else re.sub(r"[\s_.-]+", "", name.casefold()) for at, name in enumerate(names)]
    return next((simple.index(synonym) for synonym in synonyms if synonym in simple), None)


def _named(names: Sequence[str], wanted: str, path: Path) -> int:
    """Return the position of the column that the user chose."""
    wanted = plain(wanted)
    same = [at for at, name in enumerate(names) if name == wanted]
    same = same or [at for at, name in enumerate(names) if wanted and name.casefold() == wanted.casefold()]
    if len(same) == 1:
        return same[0]
    what = f"{len(same)} columns" if same else "no column"
    found = [name for name in names if name]
    near = difflib.get_close_matches(wanted.casefold(), [name.casefold() for name in found], n=1)
    raise ColumnsError(
        f"{path.name} has {what} {wanted!r}; its columns are: {listed(found)}.",
        f"Did you mean {near[0]!r}?" if near else "Choose one of them.",
    )


def _marked(names: Sequence[str], rows: Sequence[Sequence[str]], taken: Sequence[int | None]) -> tuple[int, ...]:
    """Return the positions of the columns that hold only flags, if they may be classes."""
    whole = [cells for cells in rows if len(cells) == len(names)]
    marked = tuple(
        at
        for at, name in enumerate(names)
        if name and at not in taken and whole and all(is_mark(cells[at]) for cells in whole)
    )
    return marked if len(marked) >= LEAST_CLASSES else ()


def _refuse(names: Sequence[str], filename: int | None, label: int | None, path: Path) -> NoReturn:
    found = listed([name for name in names if name])
    if filename is None and label is None:
        if not found or any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in names):
            raise headless(path, ",".join(names))
        raise ColumnsError(
            f"{path.name} has no columns `filename` and `label`, only: {found}.",
            "Choose the columns that hold them, or rename the columns.",
            missing=["filename", "label"],
        )
    if filename is None:
        raise ColumnsError(
            f"{path.name} has no column of file names, such as `filename`, only: {found}.",
            "Choose the column that holds them, or rename it.",
            missing=["filename"],
        )
    raise ColumnsError(
        f"{path.name} has no column of labels, such as `label`, nor a column of 0 and 1 for each class, only: {found}.",
        "Choose the column that holds them, or rename it.",
        missing=["label"],
    )


def headless(path: Path, first: str) -> ColumnsError:
    """Return the error for a table whose first line does not hold column names."""
    return ColumnsError(
        f"{path.name} has no columns `filename` and `label`; its first line is: {first[:100]!r}.",
        "The first line must name the columns, e.g. `filename,label`.",
    )
