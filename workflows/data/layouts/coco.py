"""COCO's JSON with categories of whole images, as Datumaro and FiftyOne write classifications."""

from __future__ import annotations

from typing import Any

from workflows.data.label_files import LabelFile
from workflows.data.layouts.documents import Document, LabelFormat, in_annotations
from workflows.data.layouts.tagged import Tagged, tagged_rows
from workflows.errors import SourceError

PARTS = "marks parts of the image, not the whole image"
_WHOLE = 0.99  # of a side: exporters round, and count pixels from 0 or 1


def has_coco_tables(document: Document) -> bool:
    """Return whether a JSON document has COCO's tables, whatever the kind of annotations."""
    content = document.json
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in ("images", "annotations"))


def is_coco(document: Document) -> bool:
    """Return whether a JSON document is COCO's, and at least one annotation seems to be of a whole image."""
    if not has_coco_tables(document):
        return False
    images = {str(image.get("id")): image for image in document.json["images"] if isinstance(image, dict)}
    annotations = (item for item in document.json["annotations"] if isinstance(item, dict))
    return any(_of_whole(item, images.get(str(item.get("image_id")), {})) for item in annotations)


def read_coco(document: Document) -> LabelFile:
    """Read the categories of whole images: of annotations without a box, or with one around the whole image.

    An image with only boxes or masks of its parts is rejected.

    Raises:
        SourceError: damaged, no labels of whole images, or a path that leads outside.
    """
    content, path = document.json, document.path
    try:
        names = {str(category["id"]): str(category["name"]) for category in content.get("categories") or []}
        images = {str(image["id"]): (Tagged(str(image["file_name"])), image) for image in content["images"]}
        parts: set[str] = set()
        for annotation in content["annotations"]:
            key = str(annotation["image_id"])
            tagged, image = images[key]
            if _of_whole(annotation, image):
                tagged.tags.append(names[str(annotation["category_id"])])
            else:
                parts.add(key)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"{path.name} can't be used: {type(error).__name__} {error}.",
            "It is not a COCO export, or damaged: export it again.",
        ) from error
    for key in parts:
        tagged, _ = images[key]
        tagged.fault = "" if tagged.tags else PARTS
    return tagged_rows([tagged for tagged, _ in images.values()], path, "labels of whole images")


def _of_whole(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    """Return whether an annotation is of the whole image."""
    if annotation.get("segmentation") or annotation.get("keypoints"):
        return False
    box = annotation.get("bbox")
    if not box:
        return True
    try:
        left, top, width, height = (float(number) for number in box)
        full = float(image.get("width") or 0), float(image.get("height") or 0)
    except (TypeError, ValueError):
        return False
    return min(full) > 0 and max(left, top) <= 1 and width >= _WHOLE * full[0] - 1 and height >= _WHOLE * full[1] - 1


COCO = LabelFormat(
    "coco",
    "COCO with labels of whole images",
    ("Datumaro", "FiftyOne"),
    frozenset((".json",)),
    recognises=is_coco,
    read=read_coco,
    is_usual_place=in_annotations,
    complete=True,
)
