"""Integrity of the store: every file is read again and compared with its SHA-256."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from workflows.data.verification import cores, in_order
from workflows.data.version import IMAGES_FILE, version_of
from workflows.errors import StorageError
from workflows.progress import Progress, silent
from workflows.store.files import read_table, sha256_of, storage_errors
from workflows.store.store import Store

DAMAGED_FOLDER = "damaged"
_REPORT_EVERY = 50


class Place(NamedTuple):
    """Where an image is used: its data set, and its path in the source."""

    dataset: str
    source: str
    path: str


@dataclass(frozen=True)
class BadFile:
    """A damaged or missing stored image.

    Attributes:
        state: `missing`, or `damaged`: its content has changed.
        needed_by: the images with this content, in all versions.
        restored: whether it was restored from its source.
    """

    sha256: str
    state: Literal["missing", "damaged"]
    needed_by: tuple[Place, ...]
    restored: bool = False


@dataclass(frozen=True)
class Integrity:
    """The outcome of a verification.

    Attributes:
        files: number of files that were read.
        bytes: their size.
        bad: damaged and missing files.
        unreadable: (data set, version, what is wrong) of versions whose table can't be read.
        unreferenced: files that no data set needs: those of a killed import, which its next attempt will reuse.
        unreferenced_bytes: their size.
    """

    files: int
    bytes: int
    bad: tuple[BadFile, ...]
    unreadable: tuple[tuple[str, int, str], ...] = field(default=())
    unreferenced: tuple[str, ...] = field(default=())
    unreferenced_bytes: int = 0

    @property
    def sound(self) -> bool:
        """Whether everything that is needed exists and is intact."""
        return not self.unreadable and all(bad.restored for bad in self.bad)


def verify_store(store: Store, progress: Progress = silent, repair: bool = False) -> Integrity:
    """Read every stored image again and compare it with its SHA-256.

    Args:
        progress: receives the number of files read, as stage `verify`.
        repair: restore damaged and missing files from the folder that they were imported from, where the
            original is still there, unchanged. Damaged files that can't be restored are set aside, so that an
            import of the original can replace them.
    """
    needed, unreadable = _needed(store)
    stored = list(store.blobs.list())
    bad: list[BadFile] = []
    size = unreferenced_bytes = 0
    for number, (sha256, found) in enumerate(
        zip(stored, in_order(_checked(store), stored, cores()), strict=True), start=1
    ):
        size += found.bytes
        if not found.sound:
            bad.append(BadFile(sha256, "damaged", tuple(sorted(needed.get(sha256, ())))))
        elif sha256 not in needed:
            unreferenced_bytes += found.bytes
        if number % _REPORT_EVERY == 0 or number == len(stored):
            progress("verify", number, len(stored))
    there = set(stored)
    bad += [
        BadFile(sha256, "missing", tuple(sorted(places))) for sha256, places in needed.items() if sha256 not in there
    ]
    return Integrity(
        files=len(stored),
        bytes=size,
        bad=tuple(_repaired(store, each) for each in bad) if repair else tuple(bad),
        unreadable=tuple(unreadable),
        unreferenced=tuple(sha256 for sha256 in stored if sha256 not in needed) if not unreadable else (),
        unreferenced_bytes=unreferenced_bytes if not unreadable else 0,
    )


class _Checked(NamedTuple):
    sound: bool
    bytes: int


def _checked(store: Store) -> Callable[[str], _Checked]:
    def check(sha256: str) -> _Checked:
        path = store.blobs.path(sha256)
        try:
            return _Checked(sha256_of(path) == sha256, path.stat().st_size)
        except (StorageError, OSError):  # a bad sector, or just removed
            return _Checked(False, 0)

    return check


def _needed(store: Store) -> tuple[dict[str, set[Place]], list[tuple[str, int, str]]]:
    """Return where each file is needed, and the versions whose table can't be read."""
    needed: dict[str, set[Place]] = defaultdict(set)
    unreadable = []
    for newest in store.datasets.newest():
        for record in store.datasets.versions(newest.dataset):
            path = version_of(store, record).folder / IMAGES_FILE
            try:
                table = read_table(path, ["sha256", "source", "path"])
            except StorageError as error:
                unreadable.append((record.dataset, record.number, error.message))
                continue
            for sha256, source, place in table.itertuples(index=False):
                needed[sha256].add(Place(record.dataset, source, place))
    return dict(needed), unreadable


def _repaired(store: Store, bad: BadFile) -> BadFile:
    for place in bad.needed_by:
        original = Path(place.source) / place.path
        if original.is_file() and sha256_of(original) == bad.sha256:
            store.blobs.remove(bad.sha256)
            store.blobs.put(original)
            return BadFile(bad.sha256, bad.state, bad.needed_by, restored=True)
    if bad.state == "damaged":
        path = store.blobs.path(bad.sha256)
        aside = path.parent.parent / DAMAGED_FOLDER / bad.sha256
        with storage_errors(aside):
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
    return bad
