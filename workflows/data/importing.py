"""Taking a source of labelled images in as a data set's next version.

The order makes it safe to be killed at any moment: images are copied into the store one by one (each whole
or not at all), then the version's files appear in one rename, and its record last. What was copied before
a crash is found again by the next attempt.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflows.data.deletion import BLOBS_LOCK, finish_deletions
from workflows.data.facts import FACTS_FILE, kept_measures, next_measures
from workflows.data.grouping import groups_of
from workflows.data.merging import merge, place, remarks
from workflows.data.publishing import in_order, locked, next_record, publish_record
from workflows.data.reports import ImportReport, ReportEntry, load_report
from workflows.data.sources import Scan, scan
from workflows.data.splits import check_ratios
from workflows.data.verification import Journal, VerifiedImage, known_images, verify_images
from workflows.data.version import (
    COLUMNS,
    SPLITS,
    Action,
    Split,
    image_id,
    version_of,
)
from workflows.errors import SourceError, StorageError, UsageError
from workflows.progress import Progress, silent
from workflows.store.datasets import VersionRecord
from workflows.store.locks import hold
from workflows.store.names import slug
from workflows.store.store import Store

UNREADABLE_SHARE = 0.2
UNREADABLE_LEAST = 3
DEFAULT_RATIOS = (0.7, 0.15, 0.15)
_NAME = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True)
class _Request:
    """What was asked of an import."""

    found: Scan
    groups: list[str | None]
    ratios: Sequence[float]
    seed: int
    mirror: bool
    listing: str
    author: str | None = None


def add_dataset(
    store: Store,
    name: str,
    source: Path,
    *,
    labels: Path | None = None,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    group_by: str | None = None,
    seed: int = 0,
    mirror: bool = False,
    progress: Progress = silent,
    threads: int | None = None,
) -> ImportReport:
    """Import a folder of labelled images as a new data set, or as the next version of one.

    Args:
        name: the data set's name. If it exists, the new version holds its images and the new ones.
        source: folder of class folders, of train/val/test folders, or of images named in `labels`.
        labels: CSV with the columns `filename` and `label`.
        ratios: shares of train, val and test, unless the split comes with the source.
        group_by: column of the label file, or regular expression on the relative path; images of one group
            stay together.
        seed: decides the split of new images.
        mirror: the new version holds exactly what the source holds now; images keep their splits.
        progress: told how many images are verified, as stage `import`.
        threads: decoders at once; default by the number of cores.

    Returns:
        The report; its version is an older one if nothing has changed.

    Raises:
        SourceError: missing, empty, one class only, a faulty label file, or too many unreadable images.
        DatasetError: a class with too few images for the split.
        StorageError: the store's disk is full or can't be written.
        UsageError: an impossible name, ratio or grouping.
    """
    start = time.monotonic()
    check_name(name)
    request = _prepare(Path(source), labels, ratios, group_by, seed, mirror)
    report = _take_in(store, name, request, progress, threads)
    report.seconds = time.monotonic() - start
    return report


def dataset_for_path(
    store: Store,
    source: Path,
    *,
    labels: Path | None = None,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    group_by: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    threads: int | None = None,
) -> ImportReport:
    """Import a folder under a name made from its own, mirroring what it holds now; see :func:`add_dataset`.

    The same folder gives the same data set again; another folder of the same name gets `-2`, `-3`, ….
    """
    start = time.monotonic()
    request = _prepare(Path(source), labels, ratios, group_by, seed, mirror=True)
    folder = request.found.source
    stem, number = slug(folder.resolve().name), 1
    name = stem
    while store.datasets.claim(name, str(folder)).source != str(folder):
        number += 1
        name = f"{stem}-{number}"
    report = _take_in(store, name, request, progress, threads)
    report.seconds = time.monotonic() - start
    return report


def check_name(name: str) -> None:
    """Check that a data set may be called `name` (it becomes a folder's name).

    Raises:
        UsageError: it may not.
    """
    if not _NAME.fullmatch(name) or name != unicodedata.normalize("NFC", name):
        raise UsageError(
            f"A data set can't be called {name!r}.",
            "Use up to 64 letters, digits, and - _ . inside, e.g. 'flowers-2026'.",
        )


def _prepare(
    source: Path, labels: Path | None, ratios: Sequence[float], group_by: str | None, seed: int, mirror: bool
) -> _Request:
    check_ratios(ratios)
    found = scan(source, labels)
    groups = groups_of(found, group_by)
    listing = hashlib.sha256(f"{found.fingerprint}\0{group_by}".encode()).hexdigest()
    return _Request(found, groups, ratios, seed, mirror, listing)


def _take_in(store: Store, name: str, request: _Request, progress: Progress, threads: int | None) -> ImportReport:
    _refuse_twin(store, name)

    def waiting(text: str) -> None:
        progress("import", 0, len(request.found.entries), text)

    with suppress(StorageError):  # a damaged data set must not keep others from growing
        finish_deletions(store)
    # others may add files meanwhile, but nobody removes what this import has just found to be there
    with locked(store, name, waiting), hold(store.locks_folder / BLOBS_LOCK, waiting=waiting, shared=True):
        store.blobs.sweep()
        return _import(store, name, request, progress, threads)


def _refuse_twin(store: Store, name: str) -> None:
    # where file names have no case, the folders of both would be one
    for other in store.datasets.list():
        if other.name != name and other.name.casefold() == name.casefold():
            raise UsageError(
                f"There is a data set {other.name!r} already: names must differ by more than upper and lower case.",
                f"Use {other.name!r}, or another name.",
            )


def _import(store: Store, name: str, request: _Request, progress: Progress, threads: int | None) -> ImportReport:
    records = store.datasets.versions(name)
    newest = records[-1] if records else None
    earlier = version_of(store, newest).table() if newest else None
    if newest and earlier is not None and _same_listing(newest, earlier, request):
        return load_report(version_of(store, newest))
    measured = kept_measures(version_of(store, newest).folder) if newest else None
    with Journal(store.cache_folder / "imports" / f"{name}.jsonl", known_images(earlier, measured)) as journal:
        images = verify_images(request.found.entries, store.blobs, journal, progress, threads)
    _refuse_unreadable(request.found, images)
    table, unplaced = place(
        merge(_rows(images, request), earlier, request.found.splits, mirror=request.mirror),
        request.ratios,
        request.seed,
        given=request.found.splits,
        allowed=_allowed(newest, earlier),
    )
    table = in_order(table)
    record = _record(store, name, request, table, newest)
    changed = newest is None or record.fingerprint != newest.fingerprint
    if newest and not changed:
        store.datasets.remember_listing(newest, request.listing)
        record = newest
    report = ImportReport(
        version=version_of(store, record),
        changed=changed,
        layout=request.found.layout,
        conversions=sum(image.facts is not None and image.facts.converted for image in images),
        entries=_entries(request.found, images, set(unplaced["path"])),
        notes=request.found.notes + remarks(table, record.classes, request.found.splits),
    )
    if changed:
        fresh = {image.sha256: image.measures for image in images if image.measures is not None}
        facts = next_measures(table["sha256"], fresh, measured)
        ratios = None if record.given_split else request.ratios
        publish_record(store, record, table, report, ratios, extra={FACTS_FILE: facts})
    journal.forget()
    return report


def _same_listing(newest: VersionRecord, earlier: pd.DataFrame, request: _Request) -> bool:
    if (newest.listing, newest.source) != (request.listing, str(request.found.source)):
        return False
    return not request.mirror or bool((earlier["source"] == newest.source).all())


def _refuse_unreadable(found: Scan, images: Sequence[VerifiedImage]) -> None:
    """Stop where so much is unreadable that the source as a whole must be wrong, or a class would vanish."""
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


def _rows(images: Sequence[VerifiedImage], request: _Request) -> pd.DataFrame:
    """Return one row for each sound image; `split` is what came with it, or null."""
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
            "source": str(request.found.source),
            "attributes": json.dumps(image.entry.attributes, ensure_ascii=False, sort_keys=True),
            "phash": image.measures.phash if image.measures is not None else None,
        }
        for image, group in zip(images, request.groups, strict=True)
        if image.facts is not None
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).drop_duplicates("image_id", ignore_index=True)
    integers = dict.fromkeys(("width", "height", "orientation"), "int32")
    return frame.astype({**integers, "group": "string", "phash": "string"})


def _allowed(newest: VersionRecord | None, earlier: pd.DataFrame | None) -> set[Split]:
    """Return where images without a split may go: a given split without a test stays without one."""
    if newest is None or earlier is None or not newest.given_split:
        return set(SPLITS)
    return set(earlier["split"])


def _entries(found: Scan, images: Sequence[VerifiedImage], unplaced: set[str]) -> list[ReportEntry]:
    entries = [ReportEntry(path, "ignored", reason) for path, reason in found.ignored]
    entries += [ReportEntry(path, "rejected", reason) for path, reason in found.rejected]
    for image in images:
        path = image.entry.relative
        if image.facts is None:
            entries.append(ReportEntry(path, "rejected", image.reason))
        elif path in unplaced:
            entries.append(ReportEntry(path, "rejected", "its group and a copy of it are in different splits"))
        else:
            converted = f"converted from {image.facts.mode}" if image.facts.converted else ""
            entries.append(ReportEntry(path, "accepted", converted))
    return sorted(entries, key=lambda entry: entry.path)


def _record(
    store: Store, name: str, request: _Request, table: pd.DataFrame, newest: VersionRecord | None
) -> VersionRecord:
    source = str(request.found.source)
    action: Action = "import" if newest is None else "mirror" if request.mirror else "add"
    verb = {"import": "imported", "mirror": "mirrored", "add": "added to"}[action]
    return next_record(
        store,
        name,
        table,
        action=action,
        reason=f"{verb} from {source}",
        author=request.author,
        parent=newest.number if newest else None,
        given_split=bool(request.found.splits) or bool(newest and newest.given_split),
        source=source,
        listing=request.listing,
    )
