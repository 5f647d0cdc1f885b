"""Taking a source of images in as a data set's next version.

The order makes it safe to be killed at any moment: images are copied into the store one by one (each whole
or not at all), then the version's files appear in one rename, and its record last. What was copied before
a crash is found again by the next attempt.
"""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflows.data.corrections import SAID_FILE, Corrected, keep_corrections, last_said
from workflows.data.deletion import BLOBS_LOCK, finish_deletions
from workflows.data.facts import FACTS_FILE, kept_measures, next_measures
from workflows.data.grouping import groups_of
from workflows.data.import_rows import entries_of, refuse_unreadable, rejected_files, rows_of
from workflows.data.measures import Measures
from workflows.data.merging import merge, place, remarks
from workflows.data.near import near_duplicates
from workflows.data.publishing import in_order, locked, next_record, publish_record
from workflows.data.quarantine import quarantine
from workflows.data.reports import ImportReport, load_report
from workflows.data.sources import Scan, listing_of, open_source
from workflows.data.splits import check_ratios
from workflows.data.verification import Journal, VerifiedImage, known_images, verify_images
from workflows.data.version import SPLITS, Action, DatasetVersion, Split, version_of
from workflows.errors import StorageError, UsageError
from workflows.progress import Progress, silent
from workflows.store.datasets import VersionRecord
from workflows.store.locks import hold
from workflows.store.names import slug
from workflows.store.store import Store

DEFAULT_RATIOS = (0.7, 0.15, 0.15)
_NAME = re.compile(r"\w[\w.-]{0,63}")
_ARCHIVE_SUFFIXES = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|(tar\.)?(gz|bz2|xz))$", re.IGNORECASE)


@dataclass(frozen=True)
class _Asked:
    """What was asked of an import."""

    source: Path
    labels: Path | None
    ratios: Sequence[float]
    group_by: str | None
    seed: int
    mirror: bool
    encoding: str | None = None
    unlabelled: bool = False
    afresh: bool = False
    author: str | None = None

    def listing(self, fingerprint: str) -> str:
        """Return what must be equal for the source to need no new look."""
        return hashlib.sha256(f"{fingerprint}\0{self.group_by}".encode()).hexdigest()


@dataclass(frozen=True)
class _Before:
    """What the data set holds before the import."""

    versions: list[DatasetVersion]
    newest: VersionRecord | None
    table: pd.DataFrame | None


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
    encoding: str | None = None,
    unlabelled: bool = False,
    afresh: bool = False,
    author: str | None = None,
    progress: Progress = silent,
    threads: int | None = None,
) -> ImportReport:
    """Import a folder or an archive of images as a new data set, or as the next version of one.

    Corrections made here (labels, splits, removals) are kept as long as the source says of an image what it
    said before. Images that came without a label get the one that a later source gives them.

    Args:
        name: the data set's name. If it exists, the new version holds its images and the new ones.
        source: folder or archive of class folders, of train/val/test folders, or of images named in `labels`.
        labels: label file: CSV with the columns `filename` and `label`, JSON lines, or an export of a
            labelling tool.
        ratios: shares of train, val and test, unless the split comes with the source.
        group_by: column of the label file, or regular expression on the relative path; images of one group
            stay together.
        seed: decides the split of new images.
        mirror: the new version holds exactly what the source holds now; images keep their splits.
        encoding: of the label file; default UTF-8.
        unlabelled: take every image without a label, to be labelled later.
        afresh: take the source's word for everything, also where it was corrected here.
        author: who; by default the user.
        progress: told how much is unpacked and how many images are verified, as stages `unpack` and `import`.
        threads: decoders at once; default by the number of cores.

    Returns:
        The report; its version is an older one if nothing has changed.

    Raises:
        SourceError: missing, empty, one class only, a faulty label file, a dangerous archive, or too many
            unreadable images.
        DatasetError: a class with too few images for the split.
        StorageError: the store's disk is full or can't be written.
        UsageError: an impossible name, ratio or grouping.
    """
    start = time.monotonic()
    check_name(name)
    asked = _Asked(
        Path(source), labels, ratios, group_by, seed, mirror, encoding, unlabelled, afresh=afresh, author=author
    )
    report = _unchanged_archive(store, name, asked)
    if report is None:
        with _opened(store, asked, progress) as found:
            report = _take_in(store, name, asked, found, progress, threads)
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
    """Import a folder or archive under a name made from its own, mirroring what it holds now; see :func:`add_dataset`.

    The same source gives the same data set again; another one of the same name gets `-2`, `-3`, ….
    """
    start = time.monotonic()
    asked = _Asked(Path(source), labels, ratios, group_by, seed, mirror=True)
    place = str(Path(source).expanduser().absolute())
    claimed = next((record.name for record in store.datasets.list() if record.source == place), None)
    report = _unchanged_archive(store, claimed, asked) if claimed else None
    if report is None:
        with _opened(store, asked, progress) as found:
            report = _take_in(store, _claim(store, found.source), asked, found, progress, threads)
    report.seconds = time.monotonic() - start
    return report


def _claim(store: Store, source: Path) -> str:
    """Return the name of the data set that mirrors a source; it is recorded, so that no other takes it."""
    own = source.resolve().name
    stem, number = slug(_ARCHIVE_SUFFIXES.sub("", own) if source.is_file() else own), 1
    name = stem
    while store.datasets.claim(name, str(source)).source != str(source):
        number += 1
        name = f"{stem}-{number}"
    return name


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


@contextmanager
def _opened(store: Store, asked: _Asked, progress: Progress) -> Iterator[Scan]:
    check_ratios(asked.ratios)
    with open_source(
        asked.source,
        asked.labels,
        workspace=store.cache_folder / "unpacked",
        encoding=asked.encoding,
        unlabelled=asked.unlabelled,
        progress=progress,
    ) as found:
        yield found


def _unchanged_archive(store: Store, name: str, asked: _Asked) -> ImportReport | None:
    """Return the report of the newest version if it holds what an archive holds, which isn't unpacked to know."""
    if asked.source.is_dir():  # looking through a folder is cheap, and done anyway
        return None
    fingerprint = listing_of(asked.source, asked.labels, encoding=asked.encoding, unlabelled=asked.unlabelled)
    before = _before(store, name)
    source = str(asked.source.expanduser().absolute())
    same = _same_listing(before, asked, asked.listing(fingerprint), source)
    # a journal is there while another import is under way, or after one that was killed: then it is to be cleared away
    return load_report(before.versions[-1]) if same and not _journal_path(store, name).exists() else None


def _journal_path(store: Store, name: str) -> Path:
    return store.cache_folder / "imports" / f"{name}.jsonl"


def _take_in(
    store: Store, name: str, asked: _Asked, found: Scan, progress: Progress, threads: int | None
) -> ImportReport:
    _refuse_twin(store, name)
    groups = groups_of(found, asked.group_by)

    def waiting(text: str) -> None:
        progress("import", 0, len(found.entries), text)

    with suppress(StorageError):  # a damaged data set must not keep others from growing
        finish_deletions(store)
    # others may add files meanwhile, but nobody removes what this import has just found to be there
    with locked(store, name, waiting), hold(store.locks_folder / BLOBS_LOCK, waiting=waiting, shared=True):
        store.blobs.sweep()
        before = _before(store, name)
        if _same_listing(before, asked, asked.listing(found.fingerprint), str(found.source)):
            _journal_path(store, name).unlink(missing_ok=True)  # of one that was killed when all was done but this
            return load_report(before.versions[-1])
        measured = kept_measures(before.versions[-1].folder) if before.versions else None
        journal = Journal(_journal_path(store, name), known_images(before.table, measured))
        with journal:
            images = verify_images(found.entries, store.blobs, journal, progress, threads)
        refuse_unreadable(found, images)
        report = _publish(store, name, asked, found, before, images, groups, measured)
        journal.forget()
        return report


def _refuse_twin(store: Store, name: str) -> None:
    # where file names have no case, the folders of both would be one
    for other in store.datasets.list():
        if other.name != name and other.name.casefold() == name.casefold():
            raise UsageError(
                f"There is a data set {other.name!r} already: names must differ by more than upper and lower case.",
                f"Use {other.name!r}, or another name.",
            )


def _before(store: Store, name: str) -> _Before:
    records = store.datasets.versions(name)
    versions = [version_of(store, record) for record in records]
    return _Before(versions, records[-1] if records else None, versions[-1].table() if versions else None)


def _same_listing(before: _Before, asked: _Asked, listing: str, source: str) -> bool:
    newest = before.newest
    if newest is None or before.table is None or (newest.listing, newest.source) != (listing, source):
        return False
    if asked.afresh:
        return False
    return not asked.mirror or bool((before.table["source"] == source).all())


def _publish(
    store: Store,
    name: str,
    asked: _Asked,
    found: Scan,
    before: _Before,
    images: Sequence[VerifiedImage],
    groups: Sequence[str | None],
    measured: pd.DataFrame | None,
) -> ImportReport:
    source = str(found.source)
    base = None if asked.afresh else last_said(before.versions, source)
    corrected = keep_corrections(rows_of(images, groups, source), base, before.table)
    fresh = {image.sha256: image.measures for image in images if image.measures is not None}
    table, unplaced = _next_table(asked, found, before, corrected, fresh, measured)
    record = _record(store, name, asked, found, table, before.newest)
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
    )
    report.notes += quarantine(store, name, source, rejected_files(images))
    if changed:
        extra = {FACTS_FILE: next_measures(table["sha256"], fresh, measured), SAID_FILE: corrected.said}
        publish_record(store, record, table, report, None if record.given_split else asked.ratios, extra)
    return report


def _next_table(
    asked: _Asked,
    found: Scan,
    before: _Before,
    corrected: Corrected,
    fresh: Mapping[str, Measures],
    measured: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the next version's table, and the rows that could not be put into any split."""
    merged = merge(corrected.rows, before.table, found.splits, mirror=asked.mirror)
    near = near_duplicates(next_measures(merged["sha256"], fresh, measured))
    merged = merged.assign(near=merged["sha256"].map(near))
    waiting = before.table is not None and bool((before.table["label"].notna() & before.table["split"].isna()).any())
    table, unplaced = place(
        merged,
        asked.ratios,
        asked.seed,
        given=found.splits,
        allowed=_allowed(before),
        patient=waiting,
    )
    return in_order(table), unplaced


def _allowed(before: _Before) -> set[Split]:
    """Return where images without a split may go: a given split without a test stays without one."""
    if before.newest is None or before.table is None or not before.newest.given_split:
        return set(SPLITS)
    return set(before.table["split"].dropna())


def _record(
    store: Store, name: str, asked: _Asked, found: Scan, table: pd.DataFrame, newest: VersionRecord | None
) -> VersionRecord:
    action: Action = "import" if newest is None else "mirror" if asked.mirror else "add"
    verb = {"import": "imported", "mirror": "mirrored", "add": "added to"}[action]
    return next_record(
        store,
        name,
        table,
        action=action,
        reason=f"{verb} from {found.source}",
        author=asked.author,
        parent=newest.number if newest else None,
        given_split=bool(found.splits) or bool(newest and newest.given_split),
        source=str(found.source),
        listing=asked.listing(found.fingerprint),
    )
