"""From an import's verified images to the rows of a version, and to the lines of its report."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import pandas as pd

from workflows.data.quarantine import Rejected
from workflows.data.reports import ReportEntry
from workflows.data.sources import Scan
from workflows.data.verification import VerifiedImage
from workflows.data.version import COLUMNS, image_id
from workflows.errors import SourceError

UNREADABLE_SHARE = 0.2
UNREADABLE_LEAST = 3
TORN = "its group and a copy of it are in different splits"
REMOVED = "removed from the data set before"


def refuse_unreadable(found: Scan, images: Sequence[VerifiedImage]) -> None:
    """Stop where so much is unreadable that the source as a whole must be wrong, or a class would vanish.

    Raises:
        SourceError: more than a fifth of the images (and at least three), or a whole class, can't be used.
    """
    bad = [(image.entry.relative, image.reason) for image in images if image.facts is None] + found.rejected
    examples = "".join(f"\n  - {path}: {reason}" for path, reason in bad[:5])
    everything = len(images) + len(found.rejected)
    if len(bad) >= UNREADABLE_LEAST and len(bad) > UNREADABLE_SHARE * everything:
        raise SourceError(
            f"{len(bad)} of {everything} images can't be used:{examples}",
            "Mend or remove them; nothing was imported.",
        )
    lost = found.classes - {image.entry.label for image in images if image.facts is not None}
    if lost:
        raise SourceError(
            f"No image of class {sorted(lost)[0]!r} can be used:{examples}",
            "Mend the images, or remove the class; nothing was imported.",
        )
    if everything and len(bad) == everything:
        raise SourceError(f"No image can be used:{examples}", "Mend them; nothing was imported.")


def rows_of(images: Sequence[VerifiedImage], groups: Sequence[str | None], source: str) -> pd.DataFrame:
    """Return one row for each sound image; `label` and `split` are what came with it, or null."""
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
        removed: paths of images that somebody removed before.
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
