"""Open Images: labels of whole images in `annotations/`, one row per image and label."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from workflows.data.label_files import LabelFile
from workflows.data.layouts.documents import Document, LabelFormat, in_annotations
from workflows.data.layouts.tagged import Tagged, tagged_rows
from workflows.data.texts import read_text
from workflows.errors import SourceError

COLUMNS = frozenset(("ImageID", "LabelName", "Confidence"))
NAMES = ("class-descriptions.csv", "class-descriptions-boxable.csv")


def is_open_images(document: Document) -> bool:
    """Return whether a table has the columns of labels of whole images, and none of boxes."""
    names = document.header(COLUMNS)[0]
    return bool(names) and "XMin" not in names


def read_open_images(document: Document) -> LabelFile:
    """Read the labels that were confirmed: those with confidence 0 were checked and found to be absent.

    Images without any label are listed in another file, and left out.

    Raises:
        SourceError: damaged, no labels at all, or a path that leads outside.
    """
    names, delimiter = document.header(COLUMNS)
    reader = csv.DictReader(io.StringIO(document.text, newline=""), names, delimiter=delimiter, strict=True)
    called = _descriptions(document)
    images: dict[str, Tagged] = {}
    try:
        next(reader)
        for record in reader:
            tagged = images.setdefault(str(record["ImageID"]), Tagged(str(record["ImageID"])))
            if float(record["Confidence"] or 0) > 0:
                tagged.tags.append(called.get(str(record["LabelName"]), str(record["LabelName"])))
    except (csv.Error, ValueError, TypeError) as error:
        raise SourceError(
            f"{document.path.name} can't be used: line {reader.line_num}: {error}.", "Export it again."
        ) from error
    return tagged_rows(list(images.values()), document.path)


def _companions(document: Document) -> list[Path]:
    beside = (document.path.with_name(name) for name in NAMES)
    return [path for path in beside if path.is_file()][:1]


def _descriptions(document: Document) -> dict[str, str]:
    """Return the names of the label codes, from the file next to it."""
    for path in _companions(document):
        rows = csv.reader(io.StringIO(read_text(path, document.encoding), newline=""))
        return {row[0]: row[1] for row in rows if len(row) == 2}
    return {}


OPEN_IMAGES = LabelFormat(
    "open-images",
    "Open Images, labels of whole images",
    ("Datumaro",),
    frozenset((".csv",)),
    recognises=is_open_images,
    read=read_open_images,
    is_usual_place=in_annotations,
    complete=True,
    companions=_companions,
)
