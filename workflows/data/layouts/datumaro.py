"""Datumaro's own JSON, which CVAT writes, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workflows.data.label_files import LabelFile
from workflows.data.layouts.documents import Document, LabelFormat, in_annotations
from workflows.data.layouts.tagged import Tagged, tagged_rows
from workflows.errors import SourceError


def is_datumaro(document: Document) -> bool:
    """Return whether a JSON document is a Datumaro file of annotations."""
    content = document.json
    return isinstance(content, dict) and isinstance(content.get("items"), list) and "categories" in content


def read_datumaro(document: Document) -> LabelFile:
    """Read the labels of a Datumaro file.

    Raises:
        SourceError: damaged, no labels at all, or a path that leads outside.
    """
    content, path = document.json, document.path
    try:
        names = [str(label["name"]) for label in content["categories"]["label"]["labels"]]
        images = [Tagged(_image_of(item), tags=list(_labels_of(item, names))) for item in content["items"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SourceError(
            f"{path.name} can't be used: {type(error).__name__} {error}.",
            "It is not a Datumaro export, or damaged: export it again.",
        ) from error
    return tagged_rows(images, path)


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


DATUMARO = LabelFormat(
    "datumaro",
    "Datumaro JSON",
    ("Datumaro", "CVAT"),
    frozenset((".json",)),
    recognises=is_datumaro,
    read=read_datumaro,
    is_usual_place=in_annotations,
    complete=True,
)
