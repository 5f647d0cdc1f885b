"""Exports of CVAT whose images have tags: "CVAT for images 1.1" (XML) and Datumaro (JSON)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from workflows.data.label_files import SPLIT_NAMES, LabelFile, Rows, read_text
from workflows.errors import SourceError

COLUMNS = ("filename", "label", "split")


@dataclass
class _Tagged:
    """One image with its tags."""

    name: str
    split: str
    tags: list[str] = field(default_factory=list)


def read_cvat(path: Path, encoding: str | None = None) -> LabelFile:
    """Read the tags of "CVAT for images 1.1". Attributes of tags, and shapes, are not read.

    The document is parsed as a stream, and one that declares a document type or entities is refused: no
    honest export has them, and they are how a small XML file becomes a large one or reads other files.

    Raises:
        SourceError: not readable, no such document, no tags at all, or a path that leads outside.
    """
    text = read_text(path, encoding)
    images: list[_Tagged] = []
    parser = expat.ParserCreate(encoding="utf-8")

    def refuse(*_declaration: Any) -> None:
        raise SourceError(f"{path.name} is refused: it declares a document type or entities.", "Export it anew.")

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "image":
            subset = attributes.get("subset", "").lower()
            images.append(_Tagged(attributes.get("name", ""), subset if subset in SPLIT_NAMES else ""))
        elif element == "tag" and images:
            images[-1].tags.append(attributes.get("label", ""))

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise SourceError(
            f"{path.name} can't be used: {error}.", "It must be valid XML: export it anew, or correct it there."
        ) from error
    return _rows(images, path, "tags")


def is_datumaro(document: Any) -> bool:
    """Return whether a JSON document is a Datumaro file of annotations."""
    return isinstance(document, dict) and isinstance(document.get("items"), list) and "categories" in document


def datumaro_rows(document: dict[str, Any], path: Path) -> LabelFile:
    """Read the labels of a Datumaro file; its name is the images' subset.

    Raises:
        SourceError: damaged, no labels at all, or a path that leads outside.
    """
    subset = path.stem.lower() if path.stem.lower() in SPLIT_NAMES else ""
    try:
        names = [str(label["name"]) for label in document["categories"]["label"]["labels"]]
        images = [_Tagged(_image_of(item), subset, list(_labels_of(item, names))) for item in document["items"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SourceError(
            f"{path.name} can't be used: {type(error).__name__} {error}.",
            "It is no Datumaro export, or damaged: export it anew.",
        ) from error
    return _rows(images, path, "labels")


def _image_of(item: dict[str, Any]) -> str:
    media = item.get("image") or item.get("media") or {}
    return str(media.get("path") or item["id"])


def _labels_of(item: dict[str, Any], names: list[str]) -> Iterable[str]:
    for annotation in item["annotations"]:
        if annotation["type"] == "label":
            number = int(annotation["label_id"])
            if number < 0:
                raise IndexError(f"label_id {number}")
            yield names[number]


def _rows(images: list[_Tagged], path: Path, what: str) -> LabelFile:
    if not any(image.tags for image in images):
        raise SourceError(
            f"{path.name} has no {what} on images.",
            "Boxes and masks are not labels of a whole image: tag the images there, and export again.",
        )
    in_all = all(image.split for image in images)
    rows = Rows(path, COLUMNS)
    for number, image in enumerate(images, start=1):
        tags = sorted(set(image.tags))
        fault = f"several labels: {', '.join(tags)}" if len(tags) > 1 else ""
        label = tags[0] if len(tags) == 1 else ""
        rows.add(f"image {number}", [image.name, label, image.split if in_all else ""], fault)
    return rows.finish(loose=True)
