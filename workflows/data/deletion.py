"""Deleting data sets: what is removed, what stays because others share it, and what depends on it.

The order makes it safe against being killed at any moment: a mark, the records, the folder moved aside, then the files. Once
the records are gone, the data set is gone; :func:`finish_deletions` does the rest, now or when
no import is running, which might be about to use the same images.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflows.data.catalog import list_versions
from workflows.data.publishing import locked
from workflows.data.version import IMAGES_FILE, version_of
from workflows.errors import DatasetError, StorageError
from workflows.store.files import read_table, storage_errors, write_atomic
from workflows.store.locks import FileLock
from workflows.store.names import counted
from workflows.store.store import Store

BLOBS_LOCK = "blobs.lock"  # shared by imports, which add files; exclusive for removing some
_MARK = ".deleting"
_ASIDE = ".deleted-"
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class DeletionPlan:
    """What deleting a data set removes.

    Attributes:
        versions: number of its versions.
        images: number of distinct images in all its versions.
        shared: how many of them are also in other data sets, or in test sets of registered models; these stay.
        bytes_total: size of all its images.
        bytes_freed: size of those that are removed.
        quarantined: number of its quarantined files, which are removed.
        runs: ids of the runs that were trained on it. Their folders stay readable.
        active_runs: those that have not ended.
    """

    name: str
    versions: int
    images: int
    shared: int
    bytes_total: int
    bytes_freed: int
    quarantined: int
    runs: tuple[str, ...]
    active_runs: tuple[str, ...]


@dataclass(frozen=True)
class Deletion:
    """What was deleted.

    Attributes:
        finished: whether the files are removed too; if not, an import is running, and the next command that
            imports or deletes removes them.
    """

    plan: DeletionPlan
    finished: bool


def deletion_plan(store: Store, name: str) -> DeletionPlan:
    """Return what deleting a data set would remove. Changes nothing.

    Raises:
        DatasetError: unknown data set.
        StorageError: a file of another data set is missing or damaged.
    """
    versions = list_versions(store, name)
    contents = _readable_contents(version.folder for version in versions)
    shared = contents & referenced(store, without=name)
    sizes = {sha256: _size(store.blobs.path(sha256)) for sha256 in contents}
    runs = [run for run in store.runs.list() if name in (run.dataset, run.request.get("dataset"))]
    return DeletionPlan(
        name=name,
        versions=len(versions),
        images=len(contents),
        shared=len(shared),
        bytes_total=sum(sizes.values()),
        bytes_freed=sum(size for sha256, size in sizes.items() if sha256 not in shared),
        quarantined=_files_in(store.quarantine_folder(name) / "files"),
        runs=tuple(run.run_id for run in runs),
        active_runs=tuple(run.run_id for run in runs if run.state.alive),
    )


def delete_dataset(store: Store, name: str, force: bool = False) -> Deletion:
    """Delete a data set with all its versions, and the images that no other data set holds.

    Args:
        force: delete it even if runs were trained on it. They stay, but can't be resumed or evaluated again.

    Raises:
        DatasetError: unknown data set, or runs need it.
        StorageError: a file is damaged, or the disk refuses; the next attempt does the rest.
    """
    with locked(store, name):
        plan = deletion_plan(store, name)
        if plan.runs and not force:
            raise DatasetError(
                f"{counted(len(plan.runs), 'run needs', 'runs need')} data set {name!r}:",
                "Without it they can't be resumed or evaluated again. To delete it anyway: --force",
                problems=plan.runs,
            )
        write_atomic(store.dataset_folder(name) / _MARK, b"")
        store.datasets.delete(name)
        _put_aside(store.dataset_folder(name))
    return Deletion(plan, finished=finish_deletions(store, patience=_PATIENCE_SECONDS))


def finish_deletions(store: Store, patience: float = 0.0) -> bool:
    """Remove the files of data sets whose records are deleted; return whether nothing is left to do.

    Args:
        patience: seconds to wait for running imports; after that, the rest is left for later.

    Raises:
        StorageError: another data set's file is damaged, so it is unknown what is still needed.
    """
    _put_aside_marked(store)
    aside = sorted((store.home / "datasets").glob(f"{_ASIDE}*"))
    if not aside:
        return True
    lock = FileLock(store.locks_folder / BLOBS_LOCK)
    if not lock.acquire("a deletion", timeout=patience):
        return False
    try:
        needed = referenced(store)
        for folder in aside:
            _remove_files(store, folder, needed)
    finally:
        lock.release()
    return True


def referenced(store: Store, without: str | None = None) -> set[str]:
    """Return the SHA-256 of every image that a version of a data set, or a model's test set, needs.

    Args:
        without: a data set to ignore.

    Raises:
        StorageError: a version's file is missing or damaged.
    """
    found: set[str] = set()
    for frozen in store.frozen_files():
        found.update(read_table(frozen, ["sha256"])["sha256"])
    for newest in store.datasets.newest():
        if newest.dataset != without:
            for record in store.datasets.versions(newest.dataset):
                folder = version_of(store, record).folder
                found.update(read_table(folder / IMAGES_FILE, ["sha256"])["sha256"])
    return found


def _readable_contents(folders: Iterable[Path]) -> set[str]:
    """Return the images of versions that are to be deleted; damaged files must not block their deletion."""
    return set(_readable(folders)["sha256"])


def _readable(folders: Iterable[Path]) -> pd.DataFrame:
    tables = [pd.DataFrame(columns=["image_id", "sha256"], dtype="str")]
    for folder in folders:
        with contextlib.suppress(StorageError):  # then its images stay, and `fieldguide doctor --verify` lists them
            tables.append(read_table(folder / IMAGES_FILE, ["image_id", "sha256"]))
    return pd.concat(tables, ignore_index=True).drop_duplicates()


def _put_aside_marked(store: Store) -> None:
    """Resume a deletion that was killed between setting its mark and renaming its folder."""
    for mark in (store.home / "datasets").glob(f"*/{_MARK}"):
        name = mark.parent.name
        if name.startswith(_ASIDE):
            continue
        lock = FileLock(store.locks_folder / f"dataset-{name}.lock")
        if not lock.acquire():
            continue  # another process is doing it
        try:
            if store.datasets.versions(name):
                mark.unlink(missing_ok=True)  # it was killed before the records were removed: the data set stays
            elif mark.exists():
                _put_aside(mark.parent)
        finally:
            lock.release()


def _put_aside(folder: Path) -> None:
    with storage_errors(folder, "rename"):
        folder.rename(folder.with_name(f"{_ASIDE}{folder.name}.{secrets.token_hex(4)}"))


def _remove_files(store: Store, folder: Path, needed: Collection[str]) -> None:
    """Remove what only a deleted data set held; its own folder last, which lists what to remove."""
    name = folder.name.removeprefix(_ASIDE).rpartition(".")[0]
    held = _readable(path.parent for path in sorted(folder.glob(f"*/{IMAGES_FILE}")))
    gone = held[~held["sha256"].isin(list(needed))]
    _forget_pixels(store.cache_folder / "pixels", set(gone["image_id"]))
    thumbnails = list(store.cache_folder.glob("thumbnails/*"))
    for sha256 in set(gone["sha256"]):
        for sides in thumbnails:
            (sides / sha256[:2] / f"{sha256}.jpg").unlink(missing_ok=True)
        store.blobs.remove(sha256)
    with storage_errors(folder, "remove"):
        if not store.datasets.versions(name):  # unless there is a new one with this name
            shutil.rmtree(store.quarantine_folder(name), ignore_errors=True)
            (store.cache_folder / "imports" / f"{name}.jsonl").unlink(missing_ok=True)
        shutil.rmtree(folder)


def _forget_pixels(folder: Path, image_ids: set[str]) -> None:
    """Remove the decoded pixels that training has cached of these images."""
    for rows in folder.glob("*/rows.parquet"):
        if not image_ids.isdisjoint(read_table(rows, ["image_id"])["image_id"]):
            shutil.rmtree(rows.parent, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _files_in(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0
