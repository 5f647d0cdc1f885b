"""The known formats of label files, and the label files inside a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflows.data.columns import BY_NAME, Columns
from workflows.data.folders import FoundFile, Listing
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.layouts.coco import COCO, PARTS, has_coco_tables
from workflows.data.layouts.cvat import CVAT
from workflows.data.layouts.datumaro import DATUMARO
from workflows.data.layouts.documents import Document, LabelFormat, Labels
from workflows.data.layouts.fiftyone import FIFTYONE
from workflows.data.layouts.imagefolder import IMAGEFOLDER
from workflows.data.layouts.imagenet_txt import IMAGENET_TXT
from workflows.data.layouts.json_files import record_rows
from workflows.data.layouts.label_studio import LABEL_STUDIO
from workflows.data.layouts.open_images import OPEN_IMAGES
from workflows.data.layouts.plain_tables import JSON_LINES, LIST, TABLE
from workflows.errors import SourceError, UsageError

__all__ = ["FORMATS", "Labels", "find_labels", "metadata_in", "read_any"]

FORMATS = (
    IMAGEFOLDER,
    LABEL_STUDIO,
    FIFTYONE,
    CVAT,
    DATUMARO,
    COCO,
    OPEN_IMAGES,
    IMAGENET_TXT,
    LIST,
    JSON_LINES,
    TABLE,
)
"""All of them: the first that recognises a file reads it."""
_SUFFIXES = frozenset().union(*(item.suffixes for item in FORMATS))

# A file that no format recognises is read by its suffix, so that the reader reports what is wrong with it.
_BY_SUFFIX = {".xml": CVAT, ".jsonl": JSON_LINES}


def read_any(path: Path, encoding: str | None = None, columns: Columns = BY_NAME, root: Path | None = None) -> Labels:
    """Read a label file of any format.

    Args:
        encoding: of the file; default UTF-8.
        columns: those of a table that hold the file names and the labels, if chosen by name.
        root: the folder that absolute paths in a table may point into.

    Raises:
        SourceError: in an unknown format, or faulty.
        UsageError: an unknown encoding, or columns of a file that has none.
    """
    document = Document(path, encoding, columns, root)
    if columns:
        return _read_columns(document)
    found = _format_of(document)
    if found is None and document.suffix == ".json":
        raise _unknown(document)
    found = found or _BY_SUFFIX.get(document.suffix, TABLE)
    return Labels(found.layout, found.read(document))


def _read_columns(document: Document) -> Labels:
    """Read a table whose columns were chosen."""
    if document.suffix == ".jsonl":
        return Labels(JSON_LINES.layout, JSON_LINES.read(document))
    if document.suffix not in (".json", ".xml"):
        return Labels(TABLE.layout, TABLE.read(document))
    if document.suffix == ".xml" or not LABEL_STUDIO.recognises(document):
        raise UsageError(
            f"{document.path.name} has no columns to choose from.", "Leave out the columns, or choose a table."
        )
    records = [(f"item {number}", record) for number, record in enumerate(document.json, start=1)]
    return Labels(TABLE.layout, record_rows(records, document.path, document.columns, document.root))


def _format_of(document: Document) -> LabelFormat | None:
    kinds = (LIST, TABLE) if document.suffix not in _SUFFIXES else FORMATS
    fitting = (item for item in kinds if document.suffix in item.suffixes or document.suffix not in _SUFFIXES)
    return next((item for item in fitting if item.recognises(document)), None)


def _unknown(document: Document) -> SourceError:
    name = document.path.name
    if has_coco_tables(document):
        return SourceError(
            f"{name} has no labels of whole images: each annotation in it {PARTS}.",
            "Boxes and masks are not labels of a whole image: give each image one class, and export again.",
        )
    known = ", ".join(item.title for item in FORMATS if ".json" in item.suffixes)
    return SourceError(f"{name} is not in a known JSON format ({known}).", "Export it as one of these, or as CSV.")


def find_labels(
    listing: Listing, encoding: str | None = None, columns: Columns = BY_NAME, root: Path | None = None
) -> Labels | None:
    """Return the labels in a source, where programs put them; None if folders are the labels.

    See :func:`read_any` for the arguments.

    Raises:
        SourceError: there is such a file, but it is faulty.
        UsageError: an unknown encoding.
    """
    documents = {file.relative: Document(file.path, encoding, columns, root) for file in listing.tables}
    # class folders are unambiguous; next to fewer than two of them, a table takes precedence
    foldered = _has_class_folders(listing)
    unread = None
    for item in FORMATS:
        there = [
            file for file in listing.tables if item.is_usual_place(file.relative) and _suffix(file) in item.suffixes
        ]
        useful = [file for file in there if item.recognises(documents[file.relative])]
        useful = [file for file in useful if not foldered or item.overrides_folders(documents[file.relative])]
        if useful:
            return _read(item, useful, documents)
        unread = unread or next((file for file in there if item is not IMAGEFOLDER), None)
    if (
        unread is not None and _suffix(unread) != ".csv"
    ):  # a program put it there for the labels: its reader reports why it can't be used
        return read_any(unread.path, encoding)
    if foldered and not columns:
        return None
    found = _beside(listing, documents)
    if found is None and columns:
        _refuse_the_only_table(documents)
    return found


def metadata_in(listing: Listing) -> list[FoundFile]:
    """Return the files that have the name of a metadata file."""
    return [file for file in listing.tables if IMAGEFOLDER.is_usual_place(file.relative)]


def _has_class_folders(listing: Listing) -> bool:
    folders = set()
    for file in listing.files:
        parts = file.relative.split("/")
        below = parts[1:] if parts[0].lower() in SPLIT_NAMES else parts  # train and val are not classes
        folders |= set(below[:1] if len(below) > 1 else ())
    return len(folders) >= 2


def _suffix(file: FoundFile) -> str:
    return file.path.suffix.lower()


def _read(item: LabelFormat, files: Sequence[FoundFile], documents: dict[str, Document]) -> Labels:
    parts = [(file.relative, item.read(documents[file.relative])) for file in files]
    along = {path for file in files for path in item.companions(documents[file.relative])}
    others = [place for place, document in documents.items() if document.path in along]
    return Labels(item.layout, item.join(parts), (*(file.relative for file in files), *others))


def _beside(listing: Listing, documents: dict[str, Document]) -> Labels | None:
    """Return the labels at the top of a source: of the only table, of the one with a known name, or of a complete set."""
    top = [file for file in listing.tables if "/" not in file.relative]
    called = [file for file in top if file.relative.rpartition(".")[0].lower() == "labels"]
    others = [file for file in top if file not in called]
    for candidates in (called, others):
        formats = {file.relative: _format_of(documents[file.relative]) for file in candidates}
        useful = [file for file in candidates if formats[file.relative] is not None]
        if useful:
            break
    kinds = {id(formats[file.relative]): formats[file.relative] for file in useful}
    item = next(iter(kinds.values()), None)
    if item is None or len(kinds) > 1 or (len(useful) > 1 and not item.complete):
        return None
    return _read(item, useful, documents)


def _refuse_the_only_table(documents: dict[str, Document]) -> None:
    """Read the only table that columns were chosen for, so that the error lists the missing ones."""
    tables = [
        document
        for place, document in documents.items()
        if document.suffix in (".csv", ".tsv", ".jsonl") and ("/" not in place or IMAGEFOLDER.is_usual_place(place))
    ]
    if len(tables) == 1:
        _read_columns(tables[0])
