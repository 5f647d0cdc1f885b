"""Tables next to class folders with further facts about the images, but not their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workflows.data.columns import listed
from workflows.data.folders import FoundFile
from workflows.data.label_files import read_attributes
from workflows.data.layouts.places import Places
from workflows.data.layouts.scan import Scan
from workflows.data.reasons import READ_FOR_MORE
from workflows.errors import ColumnsError
from workflows.store.names import counted


def describe(found: Scan, tables: Sequence[FoundFile], encoding: str | None, root: Path | None) -> None:
    """Add the columns of metadata tables to the images of a source, to group by.

    Args:
        found: a source whose folders are the labels; its entries, columns and notes are completed.
        tables: metadata files; names in them are relative to the file's own folder.
        root: the folder that absolute paths may lie in.

    Raises:
        SourceError: a table can't be read.
    """
    places = Places(entry.relative for entry in found.entries)
    more: dict[str, dict[str, str]] = {}
    for file in tables:
        if file.path.suffix.lower() != ".csv":
            continue
        below = file.relative.rpartition("/")[0]
        try:
            columns, rows = read_attributes(file.path, encoding, root)
        except ColumnsError:
            continue  # it lists no files
        said = {places.find(f"{below}/{name}" if below else name)[0]: attributes for name, attributes in rows.items()}
        known = {place: attributes for place, attributes in said.items() if place in places.files}
        if not known:
            continue
        more |= known
        found.columns += [name for name in columns if name not in found.columns]
        found.ignored = [(name, READ_FOR_MORE if name == file.relative else why) for name, why in found.ignored]
        found.notes.append(
            f"{file.relative} has no column of labels, such as `label`: the folders are the labels. Its other columns "
            f"({listed(columns)}) can be used to group {counted(len(known), 'image')}."
        )
    found.entries = [replace(entry, attributes=more.get(entry.relative, entry.attributes)) for entry in found.entries]
