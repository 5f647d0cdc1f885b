"""Importing a source of images as a data set's next version.

The order makes it safe against being killed at any moment: images are copied into the store one by one (each completely
or not at all), then the version's files appear in one rename, and its record last. Images copied before
a crash are reused by the next attempt.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflows.data.archives import unpacked_folder
from workflows.data.corrections import SAID_FILE, Corrected, carry_corrections, last_said
from workflows.data.deletion import BLOBS_LOCK, finish_deletions
from workflows.data.facts import FACTS_FILE, next_measures, stored_measures, version_measures
from workflows.data.grouping import groups_of
from workflows.data.import_rows import entries_of, refuse_unreadable, rejected_files, rows_of
from workflows.data.look_alikes import look_alikes
from workflows.data.measures import Measures
from workflows.data.merging import merge, place, remarks
from workflows.data.naming import check_name, claim_name, refuse_twin
from workflows.data.publishing import in_order, locked, next_record, publish_record
from workflows.data.quarantine import quarantine
from workflows.data.rendering import Rendering
from workflows.data.reports import ImportReport, load_report
from workflows.data.sources import PLAINLY, Reading, Scan, listing_of, open_source
from workflows.data.splits import DEFAULT_RATIOS, check_ratios
from workflows.data.survey import rendering_for
from workflows.data.verification import Journal, VerifiedImage, known_images, verify_images
from workflows.data.version import SPLITS, Action, DatasetVersion, Split, version_of
from workflows.errors import StorageError
from workflows.progress import Progress, silent
from workflows.store.datasets import VersionRecord
from workflows.store.locks import hold
from workflows.store.store import Store


@dataclass(frozen=True)
class _Request:
    """The settings of an import."""

    source: Path
    labels: Path | None
    ratios: Sequence[float]
    group_by: str | None
    seed: int
    mirror: bool
    reading: Reading = PLAINLY
    afresh: bool = False
    author: str | None = None
    bands: tuple[int, ...] | None = None

    def listing(self, fingerprint: str) -> str:
        """Return a text that is equal as long as the source needs no new import."""
        chosen = f"\0{self.bands}" if self.bands else ""
        return hashlib.sha256(f"{fingerprint}\0{self.group_by}{chosen}".encode()).hexdigest()


@dataclass(frozen=True)
class _Before:
    """The data set's state before the import."""

    versions: list[DatasetVersion]
    newest: VersionRecord | None
    table: pd.DataFrame | None


def add_dataset(
    store: Store,
    name: str,
    source: Path,
    *,
    labels: Path | None = None,
    reading: Reading = PLAINLY,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    group_by: str | None = None,
    seed: int = 0,
    mirror: bool = False,
    afresh: bool = False,
    author: str | None = None,
    bands: tuple[int, ...] | None = None,
    progress: Progress = silent,
    threads: int | None = None,
) -> ImportReport:
    """Import a folder or an archive of images as a new data set, or as the next version of one.

    Corrections made in Fieldguide (labels, splits, removals) are preserved as long as the source's own values
    do not change. Images that came without a label get the one of a later source.

    Args:
        name: the data set's name. If it exists, the new version holds its images and the new ones.
        source: folder or archive of class folders, of train/val/test folders, or of images named in `labels`.
        labels: label file: CSV with the columns `filename` and `label` (or one column of 0 and 1 for each class),
            a list of images and numbers, JSON lines, or an export of a labelling tool.
        reading: how the source is to be read: encoding, columns, unlabelled images, level of the class folders.
        ratios: shares of train, val and test, unless the split comes with the source.
        group_by: column of the label file, or regular expression on the relative path; images of one group
            stay together.
        seed: decides the split of new images.
        mirror: the new version holds exactly what the source holds now; images keep their splits.
        afresh: take everything from the source, even where it was corrected here.
        author: who imports; by default the user.
        bands: those shown as red, green and blue (or one, as grey), counted from 1; by default the first three.
        progress: receives the number of files unpacked and images verified, as stages `unpack` and `import`.
        threads: number of concurrent decoders; default by the number of cores.

    Returns:
        The report; its version is an older one if nothing has changed.

    Raises:
        SourceError: missing, empty, one class only, a faulty label file, a dangerous archive, or too many
            unreadable images.
        DatasetError: a class with too few images for the split.
        StorageError: the store's disk is full or can't be written.
        UsageError: an invalid name, ratio or grouping.
    """
    start = time.monotonic()
    check_name(name)
    request = _Request(Path(source), labels, ratios, group_by, seed, mirror, reading, afresh, author, bands)
    report = _unchanged_archive(store, name, request)
    if report is None:
        with _opened(store, request, progress) as found:
            report = _import_images(store, name, request, found, progress, threads)
    report.seconds = time.monotonic() - start
    return report


def dataset_for_path(
    store: Store,
    source: Path,
    *,
    labels: Path | None = None,
    reading: Reading = PLAINLY,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    group_by: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    threads: int | None = None,
) -> ImportReport:
    """Import a folder or archive under a name made from its own, mirroring what it holds now; see :func:`add_dataset`.

    The same source gives the same data set again; another one of the same name gets `-2`, `-3`, ….
    """
    start = time.monotonic()
    request = _Request(Path(source), labels, ratios, group_by, seed, mirror=True, reading=reading)
    place = str(Path(source).expanduser().absolute())
    claimed = next((record.name for record in store.datasets.list() if record.source == place), None)
    report = _unchanged_archive(store, claimed, request) if claimed else None
    if report is None:
        with _opened(store, request, progress) as found:
            report = _import_images(store, claim_name(store, found.source), request, found, progress, threads)
    report.seconds = time.monotonic() - start
    return report


@contextmanager
def _opened(store: Store, request: _Request, progress: Progress) -> Iterator[Scan]:
    check_ratios(request.ratios)
    with open_source(
        request.source,
        request.labels,
        request.reading,
        workspace=_workspace(store),
        progress=progress,
    ) as found:
        yield found


def _workspace(store: Store) -> Path:
    return store.cache_folder / "unpacked"


def _unchanged_archive(store: Store, name: str, request: _Request) -> ImportReport | None:
    """Return the report of the newest version if it equals an archive's content, without unpacking the archive."""
    if request.source.is_dir():  # listing a folder is cheap, and done anyway
        return None
    fingerprint = listing_of(request.source, request.labels, request.reading)
    before = _before(store, name)
    source = request.source.expanduser().absolute()
    same = _same_listing(before, request, request.listing(fingerprint), str(source))
    # both exist while another import is running, or after one that was killed: then they must be removed
    left = _journal_path(store, name).exists() or unpacked_folder(source, _workspace(store)).exists()
    return _all_here(before) if same and not left else None


def _all_here(before: _Before) -> ImportReport:
    """Return the report of a source that was imported before and has not changed."""
    newest = before.versions[-1]
    report, table = load_report(newest), newest.table()
    report.known = table.loc[table["source"] == newest.source, "image_id"].tolist()
    report.already = report.accepted
    return report


def _journal_path(store: Store, name: str) -> Path:
    return store.cache_folder / "imports" / f"{name}.jsonl"


def _import_images(
    store: Store, name: str, request: _Request, found: Scan, progress: Progress, threads: int | None
) -> ImportReport:
    refuse_twin(store, name)
    groups = groups_of(found, request.group_by)

    def waiting(text: str) -> None:
        progress("import", 0, len(found.entries), text)

    with suppress(StorageError):  # a damaged data set must not block imports into others
        finish_deletions(store)
    # others may add files meanwhile, but none may remove what this import has just found in the store
    with locked(store, name, waiting), hold(store.locks_folder / BLOBS_LOCK, waiting=waiting, shared=True):
        store.blobs.sweep()
        before = _before(store, name)
        if _same_listing(before, request, request.listing(found.fingerprint), str(found.source)):
            _journal_path(store, name).unlink(missing_ok=True)  # of an import that was killed just before this step
            return _all_here(before)
        measured = _measured(store, before, progress)
        newest = before.versions[-1] if before.versions else None
        rendering, notes = rendering_for(
            newest, [entry.path for entry in found.entries], request.bands, progress, threads
        )
        journal = Journal(_journal_path(store, name), known_images(before.table, measured), rendering)
        with journal:
            images = verify_images(found.entries, store.blobs, journal, progress, threads)
        refuse_unreadable(found, images)
        found.notes += notes
        report = _publish(store, name, request, found, before, images, groups, measured, rendering)
        journal.forget()
        return report


def _measured(store: Store, before: _Before, progress: Progress) -> pd.DataFrame | None:
    """Return the measures of the existing images, which new images may look like."""
    if not before.versions:
        return None
    try:
        return version_measures(before.versions[-1], store.blobs, progress)
    except StorageError:  # a stored image is damaged; this import may replace it
        return stored_measures(before.versions[-1].folder)


def _before(store: Store, name: str) -> _Before:
    records = store.datasets.versions(name)
    versions = [version_of(store, record) for record in records]
    return _Before(versions, records[-1] if records else None, versions[-1].table() if versions else None)


def _same_listing(before: _Before, request: _Request, listing: str, source: str) -> bool:
    newest = before.newest
    if newest is None or before.table is None or (newest.listing, newest.source) != (listing, source):
        return False
    if request.afresh:
        return False
    return not request.mirror or bool((before.table["source"] == source).all())


def _publish(
    store: Store,
    name: str,
    request: _Request,
    found: Scan,
    before: _Before,
    images: Sequence[VerifiedImage],
    groups: Sequence[str | None],
    measured: pd.DataFrame | None,
    rendering: Rendering | None,
) -> ImportReport:
    source = str(found.source)
    base = None if request.afresh else last_said(before.versions, source)
    corrected = carry_corrections(rows_of(images, groups, source), base, before.table)
    fresh = {image.sha256: image.measures for image in images if image.measures is not None}
    table, unplaced = _next_table(request, found, before, corrected, fresh, measured)
    record = _record(store, name, request, found, table, before.newest)
    changed = before.newest is None or record.fingerprint != before.newest.fingerprint
    if before.newest and not changed:
        store.datasets.remember_listing(before.newest, record.listing)
        record = before.newest
    report = ImportReport(
        version=version_of(store, record),
        changed=changed,
        layout=found.layout,
        conversions=sum(image.facts is not None and image.facts.converted for image in images),
        entries=entries_of(found, images, set(unplaced["path"]), set(corrected.removed)),
        notes=found.notes + remarks(table, record.classes, found.splits) + corrected.notes,
        rendering=rendering,
    )
    report.known, report.already = _known(images, before)
    report.notes += quarantine(store, name, source, rejected_files(images))
    if changed:
        extra = {FACTS_FILE: next_measures(table["sha256"], fresh, measured), SAID_FILE: corrected.said}
        publish_record(store, record, table, report, None if record.given_split else request.ratios, extra, rendering)
    return report


def _known(images: Sequence[VerifiedImage], before: _Before) -> tuple[list[str], int]:
    """Return the images that had the content of imported ones already, and how many were imported that did so."""
    if before.table is None:
        return [], 0
    contents = [image.sha256 for image in images if image.facts is not None]
    here = before.table[before.table["sha256"].isin(contents)]
    return here["image_id"].tolist(), len(set(contents) & set(here["sha256"]))


def _next_table(
    request: _Request,
    found: Scan,
    before: _Before,
    corrected: Corrected,
    fresh: Mapping[str, Measures],
    measured: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the next version's table, and the rows that could not be put into any split."""
    merged = merge(corrected.rows, before.table, found.splits, mirror=request.mirror)
    near = look_alikes(next_measures(merged["sha256"], fresh, measured)).groups
    merged = merged.assign(near=merged["sha256"].map(near))
    waiting = before.table is not None and bool((before.table["label"].notna() & before.table["split"].isna()).any())
    table, unplaced = place(
        merged,
        request.ratios,
        request.seed,
        given=found.splits,
        allowed=_allowed(before),
        allow_unassigned=waiting,
    )
    return in_order(table), unplaced


def _allowed(before: _Before) -> set[Split]:
    """Return the splits that images without one may get: a given split without a test stays without one."""
    if before.newest is None or before.table is None or not before.newest.given_split:
        return set(SPLITS)
    return set(before.table["split"].dropna())


def _record(
    store: Store, name: str, request: _Request, found: Scan, table: pd.DataFrame, newest: VersionRecord | None
) -> VersionRecord:
    action: Action = "import" if newest is None else "mirror" if request.mirror else "add"
    verb = {"import": "imported", "mirror": "mirrored", "add": "added to"}[action]
    return next_record(
        store,
        name,
        table,
        action=action,
        reason=f"{verb} from {found.source}",
        author=request.author,
        parent=newest.number if newest else None,
        given_split=bool(found.splits) or bool(newest and newest.given_split),
        source=str(found.source),
        listing=request.listing(found.fingerprint),
    )
