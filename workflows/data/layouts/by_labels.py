"""Images that are listed in a label file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflows.data.folders import Listing
from workflows.data.label_files import LabelFile
from workflows.data.layouts.places import Places
from workflows.data.layouts.scan import Layout, Scan, SourceEntry, entry_of
from workflows.data.reasons import MISSING, SEVERAL, UNANSWERED, UNLABELLED, UNNAMED
from workflows.errors import ColumnsError, SourceError
from workflows.store.names import counted


def by_labels(source: Path, listing: Listing, table: LabelFile, layout: Layout, prefixes: Sequence[str] = ()) -> Scan:
    """Join a label file with the images of a folder.

    Args:
        prefixes: folders that names in the label file may begin with, although those in the listing don't; with `/`.

    Raises:
        SourceError: two names with different labels match the same file, or no name matches any.
    """
    files = {file.relative: file for file in listing.files}
    places = Places(files, prefixes, loose=table.loose, joined=table.joined)
    reasons = dict(listing.ignored)
    found = Scan(source, layout, [], [], columns=table.columns, notes=list(table.notes))
    seen: dict[str, str | None] = {}
    waiting: list[SourceEntry] = []
    for name, reason in table.rejected.items():
        place, _ = places.find(name)
        if place in seen:
            continue
        seen[place] = None
        # marked as such, or from a labelling program: not labelled yet
        if (reason == UNLABELLED or (table.loose and reason == UNANSWERED)) and place in files:
            waiting.append(entry_of(files[place]))
        else:
            found.rejected.append((place, reason))
    for row in table.rows:
        place, unclear = places.find(row.filename, row.split)
        if place in seen:
            _refuse_second_label(place, seen[place], row.label)
            continue
        seen[place] = row.label
        if place in files:
            found.entries.append(entry_of(files[place], row.label, row.split, row.attributes))
        else:
            missing = reasons.get(place) or unclear or f"{MISSING}{places.hint(row.filename)}"
            found.rejected.append((row.filename, missing))
    _refuse_no_match(found, table, listing)
    found.notes += places.notes() + _notes(waiting, found)
    found.entries += waiting
    found.ignored = [item for item in listing.ignored if item[0] not in seen]
    found.ignored += [(name, UNNAMED) for name in files if name not in seen]
    return found


def _notes(waiting: Sequence[SourceEntry], found: Scan) -> list[str]:
    notes = []
    if waiting:
        notes.append(f"{counted(len(waiting), 'image')} not labelled there yet: imported without a label.")
    several = sum(reason.startswith(SEVERAL) for _, reason in found.rejected)
    if several:
        notes.append(f"{counted(several, 'image')} left out: an image can have only one label.")
    return notes


def _refuse_no_match(found: Scan, table: LabelFile, listing: Listing) -> None:
    if table.rows and listing.files and not found.entries and all(r.startswith(MISSING) for _, r in found.rejected):
        raise ColumnsError(
            f"No image in {found.source} is listed in the label file: there, the first name is "
            f"{table.rows[0].filename!r}; here, {listing.files[0].relative!r}.",
            "Choose the folder that the names in the label file are relative to, or the column of file names.",
            missing=["filename"],
            problems=[f"{name}: {reason}" for name, reason in found.rejected],
        )


def _refuse_second_label(name: str, first: str | None, second: str) -> None:
    if first != second:
        labels = (
            "a label and no label" if first is None else f"two labels: {', '.join(sorted((repr(first), repr(second))))}"
        )
        raise SourceError(f"The label file gives {name!r} {labels}.", "Correct it; nothing was imported.")
