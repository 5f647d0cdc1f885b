"""Datumaro's ImageNet lists: `synsets.txt` names the classes, `train.txt` and so on give each image a number."""

from __future__ import annotations

import re
from dataclasses import replace

from workflows.data.label_files import LabelFile
from workflows.data.layouts.documents import Document, LabelFormat
from workflows.data.layouts.list_files import class_names, names_note, span
from workflows.data.layouts.tagged import Tagged, tagged_rows
from workflows.errors import SourceError

NAMES = "synsets.txt"
_LINE = re.compile(r'(?:"(?P<quoted>[^"]+)"|(?P<plain>\S.*?))(?P<numbers>(?:\s+\d+)*)\s*')


def is_imagenet_txt(document: Document) -> bool:
    """Return whether a text file lists images with numbers, with the class names next to it."""
    lines = [line for line in document.text.splitlines()[:100] if line.strip()]
    beside = document.path.name != NAMES and document.path.with_name(NAMES).is_file()
    return beside and any(found["numbers"] for line in lines if (found := _LINE.fullmatch(line)))


def read_imagenet_txt(document: Document) -> LabelFile:
    """Read the numbers of each image as classes.

    Raises:
        SourceError: an invalid line, a number without a class, no labels at all, or a path that leads outside.
    """
    file = document.path.with_name(NAMES)
    names = class_names(file, document.encoding)
    images = []
    for number, line in enumerate(document.text.splitlines(), start=1):
        if line.strip():
            images.append(_image(line.strip(), names, f"{document.path.name} can't be used: line {number}"))
    table = tagged_rows(images, document.path)
    return replace(table, notes=[*table.notes, names_note(file)])


def _image(line: str, names: dict[int, str], where: str) -> Tagged:
    found = _LINE.fullmatch(line)
    if found is None:
        raise SourceError(f"{where}: expected a path and numbers, found {line[:100]!r}.", "Export it again.")
    numbers = [int(number) for number in found["numbers"].split()]
    unknown = [number for number in numbers if number not in names]
    if unknown:
        raise SourceError(
            f"{where}: the number {unknown[0]} has no name in {NAMES}, which {span(names)}.", "Correct the number."
        )
    return Tagged(found["quoted"] or found["plain"], tags=[names[number] for number in numbers])


IMAGENET_TXT = LabelFormat(
    "imagenet-txt",
    "ImageNet lists (imagenet_txt)",
    ("Datumaro",),
    frozenset((".txt",)),
    recognises=is_imagenet_txt,
    read=read_imagenet_txt,
    complete=True,
    companions=lambda document: [document.path.with_name(NAMES)],
)
