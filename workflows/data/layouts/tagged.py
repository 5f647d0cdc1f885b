"""Images with any number of labels each, as annotation programs store them, reduced to one label each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflows.data.cells import single
from workflows.data.label_files import SPLIT_NAMES, LabelFile, Rows
from workflows.errors import SourceError

COLUMNS = ("filename", "label", "split")


@dataclass
class Tagged:
    """One image with its labels.

    Attributes:
        name: its path, or the end of it.
        split: train, val or test; empty for none.
        tags: its labels, in any order, repeated or not.
        fault: why it can't be used, whatever its labels.
    """

    name: str
    split: str = ""
    tags: list[str] = field(default_factory=list)
    fault: str = ""


def split_called(name: str) -> str:
    """Return the split that programs call by this name; empty if none."""
    return SPLIT_NAMES.get(name.lower(), "")


def tagged_rows(images: Sequence[Tagged], path: Path, what: str = "labels", hint: str = "") -> LabelFile:
    """Return the images as rows; an image without a label stays unlabelled, one with several is rejected.

    Args:
        path: of the file, for errors.
        what: the file's word for labels.
        hint: what to do if there are none.

    Raises:
        SourceError: no labels at all, a path that leads outside, or an image twice with different labels.
    """
    if not any(image.tags for image in images):
        raise SourceError(
            f"{path.name} has no {what} on images.",
            hint or "Boxes and masks are not labels of a whole image: tag the images, and export again.",
        )
    in_all = all(image.split for image in images)
    rows = Rows(path, COLUMNS)
    for number, image in enumerate(images, start=1):
        label, fault = single(sorted(image.tags))
        fault = image.fault or (fault if image.tags else "")
        rows.add(f"image {number}", [image.name, label, image.split if in_all else ""], fault)
    return rows.finish(loose=True)
