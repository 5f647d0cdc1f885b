"""CVAT for images 1.1: XML whose images have tags, as CVAT, Datumaro and FiftyOne write it."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from workflows.data.label_files import LabelFile
from workflows.data.layouts.documents import Document, LabelFormat
from workflows.data.layouts.tagged import Tagged, split_called, tagged_rows
from workflows.errors import SourceError

_ROOT = re.compile(r"<annotations[\s>]")


def is_cvat(document: Document) -> bool:
    """Return whether the first element is that of CVAT."""
    elements = re.finditer(r"<[A-Za-z][^>]*>?", document.text[:10_000])
    return bool(_ROOT.match(next((element.group() for element in elements), "") + ">"))


def read_cvat(document: Document) -> LabelFile:
    """Read the tags of "CVAT for images 1.1". Attributes of tags, and shapes, are not read.

    The document is parsed as a stream, and one that declares a document type or entities is rejected: no
    regular export has them, and they allow a small XML file to expand to a large one or to read other files.

    Raises:
        SourceError: not readable, not such a document, no tags at all, or a path that leads outside.
    """
    path = document.path
    images: list[Tagged] = []
    parser = expat.ParserCreate(encoding="utf-8")

    def refuse(*_declaration: Any) -> None:
        raise SourceError(f"{path.name} was rejected: it declares a document type or entities.", "Export it again.")

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "image":
            images.append(Tagged(attributes.get("name", ""), split_called(attributes.get("subset", ""))))
        elif element == "tag" and images:
            images[-1].tags.append(attributes.get("label", ""))

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(document.text.encode(), True)
    except expat.ExpatError as error:
        raise SourceError(
            f"{path.name} can't be used: {error}.", "It must be valid XML: export it again, or correct it."
        ) from error
    return tagged_rows(images, path, "tags")


CVAT = LabelFormat(
    "cvat",
    "CVAT for images 1.1",
    ("CVAT", "Datumaro", "FiftyOne"),
    frozenset((".xml",)),
    recognises=is_cvat,
    read=read_cvat,
    is_usual_place=lambda place: place == "annotations.xml",
    complete=True,
)
