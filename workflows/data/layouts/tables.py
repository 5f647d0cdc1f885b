"""Which kind of label file a file is, and which label files a source holds itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workflows.data.folders import FoundFile, Listing
from workflows.data.label_files import LabelFile, has_labels, header_names, read_labels
from workflows.data.layouts.cvat import datumaro_rows, is_datumaro, read_cvat
from workflows.data.layouts.imagefolder import NAMES, read_imagefolder
from workflows.data.layouts.json_files import json_line_records, load_json, names_in, read_json_lines
from workflows.data.layouts.label_studio import is_label_studio, label_studio_rows
from workflows.data.layouts.scan import Layout
from workflows.errors import SourceError


@dataclass(frozen=True)
class Labels:
    """The labels of a source, and the files that they were read from (by their places in it)."""

    layout: Layout
    table: LabelFile
    files: tuple[str, ...] = ()


def read_any(path: Path, encoding: str | None = None) -> Labels:
    """Read a label file of any kind: CSV, JSON lines, Label Studio, CVAT or Datumaro.

    Raises:
        SourceError: of no kind that is known, or faulty.
        UsageError: an unknown encoding.
    """
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return Labels("cvat", read_cvat(path, encoding))
    if suffix == ".jsonl":
        return Labels("imagefolder", read_json_lines(path, encoding))
    if suffix != ".json":
        return Labels("labels-csv", read_labels(path, encoding))
    document = load_json(path, encoding)
    if is_datumaro(document):
        return Labels("datumaro", datumaro_rows(document, path))
    if is_label_studio(document):
        return Labels("label-studio", label_studio_rows(document, path))
    raise SourceError(
        f"{path.name} is neither a Label Studio export nor a Datumaro file.",
        "Export as JSON or JSON-MIN there, or as CSV.",
    )


def find_labels(listing: Listing, encoding: str | None = None) -> Labels | None:
    """Return the labels that lie in a source, as programs put them there; None if folders are the labels.

    Raises:
        SourceError: such a file is there, but faulty.
        UsageError: an unknown encoding.
    """
    metadata = [
        file for file in listing.tables if file.relative.rpartition("/")[2] in NAMES and file.relative.count("/") < 2
    ]
    useful = [file for file in metadata if _tells_labels(file, encoding)]
    if useful:
        return Labels("imagefolder", read_imagefolder(useful, encoding), tuple(file.relative for file in useful))
    annotations = [file for file in listing.tables if _is_annotation(file.relative)]
    if annotations:
        return _annotated(annotations, encoding)
    # class folders are a clear word; a table beside fewer than two of them is a clearer one
    if len({file.relative.partition("/")[0] for file in listing.files if "/" in file.relative}) < 2:
        return _beside(listing, encoding)
    return None


def _is_annotation(place: str) -> bool:
    return place == "annotations.xml" or (
        place.startswith("annotations/") and place.endswith(".json") and place.count("/") == 1
    )


def _annotated(files: Sequence[FoundFile], encoding: str | None) -> Labels:
    if len(files) == 1:
        return replace(read_any(files[0].path, encoding), files=(files[0].relative,))
    parts = [read_any(file.path, encoding) for file in files]
    rows = [row for part in parts for row in part.table.rows]
    if not all(row.split for row in rows):
        rows = [replace(row, split=None) for row in rows]
    rejected = {name: reason for part in parts for name, reason in part.table.rejected.items()}
    table = LabelFile(rows, parts[0].table.columns, rejected, loose=True)
    return Labels(parts[0].layout, table, tuple(file.relative for file in files))


def _beside(listing: Listing, encoding: str | None) -> Labels | None:
    """Return the labels of the one table at the top of a source, or of the one that is called so."""
    top = [file for file in listing.tables if "/" not in file.relative]
    called = [file for file in top if file.relative.rpartition(".")[0].lower() == "labels"]
    useful = [file for file in called or top if _tells_labels(file, encoding)]
    if len(useful) != 1:
        return None
    return replace(read_any(useful[0].path, encoding), files=(useful[0].relative,))


def _tells_labels(file: FoundFile, encoding: str | None) -> bool:
    """Return whether a table has what it takes to be a label file, by its first lines."""
    suffix = file.path.suffix.lower()
    if suffix == ".jsonl":
        return has_labels(names_in(record for _, record in json_line_records(file.path, encoding)))
    if suffix == ".json":
        document = load_json(file.path, encoding)
        return is_label_studio(document) or is_datumaro(document)
    return suffix != ".xml" and has_labels(header_names(file.path, encoding))
