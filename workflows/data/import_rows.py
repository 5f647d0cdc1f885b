"""From an import's verified images to the rows of a version, and to the lines of its report."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import get_args

import pandas as pd

from workflows.data.quarantine import Rejected
from workflows.data.reports import Outcome, ReportEntry
from workflows.data.sources import Scan
from workflows.data.verification import VerifiedImage
from workflows.data.version import COLUMNS, image_id
from workflows.errors import SourceError

UNREADABLE_SHARE = 0.2
UNREADABLE_LEAST = 3
TORN = "its group and a copy of it are in different splits"
REMOVED = "removed from the data set before"


def refuse_unreadable(found: Scan, images: Sequence[VerifiedImage]) -> None:
    """Refuse a source of which so much is unreadable that it must be wrong as a whole, or a class would be lost.

    Raises:
        SourceError: more than a fifth of the images (and at least three), or a whole class, can't be used.
    """
    bad = len(found.rejected) + sum(image.facts is None for image in images)
    everything = len(images) + len(found.rejected)
    if bad >= UNREADABLE_LEAST and bad > UNREADABLE_SHARE * everything:
        raise _unusable(f"{bad} of {everything} images can't be used:", "Repair or remove them", found, images)
    lost = sorted(found.classes - {image.entry.label for image in images if image.facts is not None})
    if lost:
        which = f"class {lost[0]!r}" if len(lost) == 1 else f"the classes {', '.join(map(repr, lost))}"
        raise _unusable(f"No image of {which} can be used:", "Repair the images, or remove the class", found, images)
    if everything and bad == everything:
        raise _unusable("No image can be used:", "Repair them", found, images)


def _unusable(message: str, hint: str, found: Scan, images: Sequence[VerifiedImage]) -> SourceError:
    """Return an error that lists what is wrong with every file, like a report."""
    entries = entries_of(found, images, (), ())
    counts = {outcome: sum(entry.outcome == outcome for entry in entries) for outcome in get_args(Outcome)}
    return SourceError(
        message,
        f"{hint}; nothing was imported.",
        problems=[f"{entry.path}: {entry.reason}" for entry in entries if entry.outcome == "rejected"],
        details={**counts, "total": len(entries), "entries": [asdict(entry) for entry in entries]},
    )


def rows_of(images: Sequence[VerifiedImage], groups: Sequence[str | None], source: str) -> pd.DataFrame:
    """Return one row per sound image; `label` and `split` are those of the source, or null."""
    rows = [
        {
            "image_id": image_id(image.entry.relative, image.sha256),
            "path": image.entry.relative,
            "sha256": image.sha256,
            "width": image.facts.width,
            "height": image.facts.height,
            "mode": image.facts.mode,
            "format": image.facts.format,
            "orientation": image.facts.orientation,
            "label": image.entry.label,
            "split": image.entry.split,
            "group": group,
            "source": source,
            "attributes": json.dumps(image.entry.attributes, ensure_ascii=False, sort_keys=True),
            "phash": image.measures.phash if image.measures is not None else None,
        }
        for image, group in zip(images, groups, strict=True)
        if image.facts is not None
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).drop_duplicates("image_id", ignore_index=True)
    integers = dict.fromkeys(("width", "height", "orientation"), "int32")
    return frame.astype({**integers, "group": "string", "phash": "string"})


def entries_of(
    found: Scan, images: Sequence[VerifiedImage], torn: Collection[str], removed: Collection[str]
) -> list[ReportEntry]:
    """Return one line for each file of the source, by path.

    Args:
        torn: paths of images that could not be put into any split.
        removed: paths of images that were removed before.
    """
    entries = [ReportEntry(path, "ignored", reason) for path, reason in found.ignored]
    entries += [ReportEntry(path, "rejected", reason) for path, reason in found.rejected]
    for image in images:
        path = image.entry.relative
        if image.facts is None:
            entries.append(ReportEntry(path, "rejected", image.reason))
        elif path in torn:
            entries.append(ReportEntry(path, "rejected", TORN))
        elif path in removed:
            entries.append(ReportEntry(path, "ignored", REMOVED))
        else:
            converted = f"converted from {image.facts.mode}" if image.facts.converted else ""
            entries.append(ReportEntry(path, "accepted", converted))
    return sorted(entries, key=lambda entry: entry.path)


def rejected_files(images: Sequence[VerifiedImage]) -> list[Rejected]:
    """Return the files that could not be read as images."""
    return [Rejected(image.entry.path, image.entry.relative, image.reason) for image in images if image.facts is None]
