"""Publishing a version: its files by one rename, then its record.

A process that is killed in between leaves a folder without a record, which is ignored and which the next
attempt removes. A publisher acquires the data set's lock before it reads the version that it builds on.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from workflows import settings
from workflows.data.rendering import Rendering
from workflows.data.reports import ImportReport
from workflows.data.version import (
    COLUMNS,
    IMAGES_FILE,
    RATIOS_KEY,
    RENDERING_KEY,
    REPORT_FILE,
    Action,
    DatasetVersion,
    classes_of,
    version_of,
)
from workflows.errors import DatasetError
from workflows.store.datasets import VersionRecord
from workflows.store.files import flush_to_disk, read_metadata, storage_errors, write_json, write_table
from workflows.store.locks import hold
from workflows.store.names import printable
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.targets.registry import KEY

MAX_AUTHOR, MAX_REASON = 120, 1000
"""Characters."""


def resolve_author(author: str | None = None) -> str:
    """Return the author of a version: `author`, else `$FIELDGUIDE_USER`, else the user of the operating system."""
    name = author or settings.USER.read() or _system_user()
    return "".join(letter for letter in printable(name) if letter.isprintable()).strip()[:MAX_AUTHOR]


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _ignore(_text: str) -> None:
    pass


@contextmanager
def locked(store: Store, name: str, waiting: Callable[[str], None] = _ignore) -> Iterator[None]:
    """Hold the lock of a data set: only one process at a time makes a version of it.

    Args:
        waiting: called once with what holds the lock, if it must wait.
    """
    with hold(store.locks_folder / f"dataset-{name}.lock", waiting=waiting):
        yield


def next_record(
    store: Store,
    name: str,
    table: pd.DataFrame,
    *,
    action: Action,
    reason: str,
    author: str | None = None,
    parent: int | None,
    given_split: bool,
    source: str,
    listing: str,
) -> VersionRecord:
    """Return the record of a version that is not published yet; the caller holds the lock (see :func:`locked`).

    Args:
        table: one row for each image, with :data:`~workflows.data.version.COLUMNS`.
        action: what made the version.
        reason: why, as text.
        author: see :func:`resolve_author`.
        parent: number of the version that it was made from, which must be the newest; None for the first.
        given_split: whether the split came with the images.
        source: folder or archive that the newest images came from.
        listing: fingerprint of the source by :func:`~workflows.data.sources.scan`; if equal, no new import is needed.

    Raises:
        DatasetError: `parent` is not the newest version.
    """
    records = store.datasets.versions(name)
    newest = records[-1].number if records else None
    if parent != newest:
        raise DatasetError(
            f"Data set {name!r} has changed in the meantime: its newest version is {newest}, not {parent}.",
            "Look at the newest version, then try again.",
        )
    return VersionRecord(
        dataset=name,
        number=(newest or 0) + 1,
        classes=classes_of(table),
        images=len(table),
        fingerprint=fingerprint_of(table),
        listing=listing,
        source=source,
        reason=reason,
        given_split=given_split,
        created_at=now(),
        author=resolve_author(author),
        action=action,
        parent=parent,
    )


def publish_record(
    store: Store,
    record: VersionRecord,
    table: pd.DataFrame,
    report: ImportReport | None = None,
    ratios: Sequence[float] | None = None,
    extra: Mapping[str, pd.DataFrame] | None = None,
    rendering: Rendering | None = None,
) -> DatasetVersion:
    """Make `table` the next version of a data set: write its files, then its record of :func:`next_record`.

    Args:
        report: what an import did, written beside the table.
        ratios: shares of train, val and test that later images without a split are divided by.
        extra: further tables by file name, e.g. the measures.
        rendering: how raw samples are rendered; None for a data set from before renderings existed.

    Raises:
        StorageError: the disk is full, read-only or refuses; no version is made.
    """
    folder = store.dataset_folder(record.dataset)
    final = folder / str(record.number)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for abandoned in (*folder.glob(".new-*"), final):  # from an attempt that was killed: it has no record
            shutil.rmtree(abandoned, ignore_errors=True)
        temporary = folder / f".new-{secrets.token_hex(4)}"
        try:
            kept = _target_before(folder, record.parent)
            write_table(temporary / IMAGES_FILE, in_order(table), kept | _metadata(ratios, rendering))
            for name, further in (extra or {}).items():
                write_table(temporary / name, further)
            if report is not None:
                write_json(temporary / REPORT_FILE, report.to_dict())
            temporary.rename(final)
            flush_to_disk(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    store.datasets.add_version(record)
    return version_of(store, record)


def _target_before(folder: Path, parent: int | None) -> dict[str, str]:
    """Return what the metadata of the version before says of its target: labels stay what they are."""
    said = read_metadata(folder / str(parent) / IMAGES_FILE) if parent is not None else {}
    return {KEY: said[KEY]} if KEY in said else {}


def _metadata(ratios: Sequence[float] | None, rendering: Rendering | None) -> dict[str, str]:
    shares = {RATIOS_KEY: ",".join(f"{ratio:g}" for ratio in ratios)} if ratios is not None else {}
    return {**shares, RENDERING_KEY: rendering.to_json()} if rendering is not None else shares


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return a version's table as it is stored: all columns, strings as strings, sorted by path."""
    # `str` for what is compared often: with it, null compares as unequal instead of unknown
    texts = {"label": "str", "split": "str", "group": "string", "phash": "string"}
    return table[list(COLUMNS)].astype(texts).sort_values(["path", "source", "image_id"], ignore_index=True)


def fingerprint_of(table: pd.DataFrame) -> str:
    """Return the SHA-256 over a version's content: its images, labels, splits, groups and attributes."""
    digest = hashlib.sha256()
    columns = table[["image_id", "label", "split", "group", "attributes"]]
    for row in sorted(
        tuple("" if pd.isna(cell) else str(cell) for cell in row) for row in columns.itertuples(index=False)
    ):
        digest.update(("\0".join(row) + "\n").encode())
    return digest.hexdigest()


def reason_or(given: str, done: str) -> str:
    """Return the reason that a person gave for a version, on one line; without one, what was done."""
    return " ".join(given.split())[:MAX_REASON] or done
