"""Images that are named in a label file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from workflows.data.folders import FoundFile, Listing
from workflows.data.label_files import UNANSWERED, LabelFile
from workflows.data.layouts.scan import Layout, Scan, SourceEntry, entry_of
from workflows.errors import SourceError
from workflows.store.names import counted

_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")


class _Places:
    """Finds the file that a label file means."""

    def __init__(self, files: Sequence[FoundFile], prefixes: Sequence[str], loose: bool) -> None:
        self.files = {file.relative: file for file in files}
        self._prefixes = prefixes
        self._ends: dict[str, list[str]] = defaultdict(list)
        if loose:
            for file in files:
                self._ends[file.relative.rpartition("/")[2]].append(file.relative)

    def find(self, name: str) -> tuple[str, str]:
        """Return the file's place (or the name itself, if there is no such file), and why it is not clear."""
        for candidate in (name, *(name.removeprefix(prefix) for prefix in self._prefixes)):
            if candidate in self.files:
                return candidate, ""
        return self._by_end(name) or self._by_end(_uploaded(name)) or (name, "")

    def _by_end(self, name: str) -> tuple[str, str] | None:
        alike = self._ends.get(name.rpartition("/")[2], [])
        longer = [place for place in alike if f"/{place}".endswith(f"/{name}")]
        if len(longer) > 1:
            return name, f"several files have this name, e.g. {longer[0]} and {longer[1]}"
        shorter = sorted((place for place in alike if name.endswith(f"/{place}")), key=len)
        place = next(iter(longer or shorter[-1:]), None)
        return (place, "") if place else None


def _uploaded(name: str) -> str:
    """Return a name without the eight hex digits that Label Studio puts before it."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{_UPLOAD_MARK.sub('', file)}"


def by_labels(source: Path, listing: Listing, table: LabelFile, layout: Layout, prefixes: Sequence[str] = ()) -> Scan:
    """Join a label file with the images of a folder.

    Args:
        prefixes: folders that names in the label file may begin with, although the listing's don't; with `/`.

    Raises:
        SourceError: two names with different labels mean the same file.
    """
    places = _Places(listing.files, prefixes, table.loose)
    reasons = dict(listing.ignored)
    found = Scan(source, layout, [], [], columns=table.columns, notes=list(table.notes))
    seen: dict[str, str | None] = {}
    waiting: list[SourceEntry] = []
    for name, reason in table.rejected.items():
        place, _ = places.find(name)
        if place in seen:
            continue
        seen[place] = None
        if table.loose and reason == UNANSWERED and place in places.files:
            waiting.append(entry_of(places.files[place]))  # of a program for labelling: nobody got there yet
        else:
            found.rejected.append((place, reason))
    for row in table.rows:
        place, unclear = places.find(row.filename)
        if place in seen:
            _refuse_second_label(place, seen[place], row.label)
            continue
        seen[place] = row.label
        if place in places.files:
            found.entries.append(entry_of(places.files[place], row.label, row.split, row.attributes))
        else:
            missing = unclear or "named in the label file, but not in the folder"
            found.rejected.append((row.filename, reasons.get(place, missing)))
    if waiting:
        found.notes.append(f"{counted(len(waiting), 'image')} not labelled there yet: taken without a label.")
        found.entries += waiting
    found.ignored = [item for item in listing.ignored if item[0] not in seen]
    found.ignored += [(name, "not named in the label file") for name in places.files if name not in seen]
    return found


def _refuse_second_label(name: str, first: str | None, second: str) -> None:
    if first != second:
        labels = (
            "a label and none" if first is None else f"two labels: {', '.join(sorted((repr(first), repr(second))))}"
        )
        raise SourceError(f"The label file gives {name!r} {labels}.", "Correct it; nothing was imported.")
