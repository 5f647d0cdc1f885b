"""The measures of a version's images, stored with it as `facts.parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflows.data.look_alikes import look_alikes
from workflows.data.measures import Measures, measure_file, measured_images, measures_table
from workflows.data.rendering import Rendering
from workflows.data.verification import cores, in_order
from workflows.data.version import DatasetVersion
from workflows.errors import ImageError, StorageError
from workflows.progress import Progress, silent
from workflows.store.blobs import Blobs
from workflows.store.files import read_table, write_table

FACTS_FILE = "facts.parquet"
_REPORT_EVERY = 50


def version_measures(version: DatasetVersion, blobs: Blobs, progress: Progress = silent) -> pd.DataFrame:
    """Return one row per image content of a version: `sha256` and the fields of :class:`Measures`.

    What is missing (the version was made by an edit, or by an older release) is copied from earlier versions,
    or measured now, and stored.

    Args:
        progress: receives the number of images measured, as stage `measure`, if any.

    Raises:
        StorageError: a stored image is missing or damaged, or the disk is full.
    """
    contents = set(version.table()["sha256"])
    stored = stored_measures(version.folder)
    known = {sha256: measures for sha256, measures in measured_images(stored) if sha256 in contents}
    if len(known) == len(contents) == len(stored):
        return stored
    for number in range(version.number - 1, 0, -1):
        if len(known) == len(contents):
            break
        older = measured_images(stored_measures(version.folder.parent / str(number)))
        known |= {sha256: measures for sha256, measures in older if sha256 in contents and sha256 not in known}
    known |= _measured(sorted(contents - known.keys()), blobs, progress, version.rendering())
    table = measures_table(known)
    write_table(version.folder / FACTS_FILE, table)
    return table


def version_near(version: DatasetVersion, blobs: Blobs, progress: Progress = silent) -> Mapping[str, str]:
    """Return the group of look-alikes of each content of a version that has any; groups stay in one split.

    Raises:
        StorageError: see :func:`version_measures`.
    """
    return look_alikes(version_measures(version, blobs, progress)).groups


def next_measures(contents: Iterable[str], fresh: Mapping[str, Measures], earlier: pd.DataFrame | None) -> pd.DataFrame:
    """Return the measures of a version in the making.

    Args:
        contents: SHA-256 of its images. Those not measured yet are left out; :func:`version_measures` adds them.
        fresh: measures of the current import.
        earlier: the measures of the version before.
    """
    known = {**dict(measured_images(earlier)), **fresh} if earlier is not None else fresh
    return measures_table({sha256: known[sha256] for sha256 in set(contents) if sha256 in known})


def stored_measures(folder: Path) -> pd.DataFrame:
    """Return the measures in a version's folder; no rows if there are none, or in another format."""
    empty = measures_table({})
    try:
        table = read_table(folder / FACTS_FILE)
    except StorageError:  # missing or damaged: it can be measured again
        return empty
    return table[list(empty.columns)] if set(empty.columns) <= set(table.columns) else empty


def _measured(
    contents: Sequence[str], blobs: Blobs, progress: Progress, rendering: Rendering | None
) -> dict[str, Measures]:
    def measure(sha256: str) -> Measures:
        try:
            return measure_file(blobs.path(sha256), rendering)
        except ImageError as error:
            raise StorageError(
                f"The stored image {sha256} can't be read: {error.message}.",
                "Find all damaged files: fieldguide doctor --verify",
            ) from error

    found: dict[str, Measures] = {}
    for sha256, measures in zip(contents, in_order(measure, contents, cores()), strict=True):
        found[sha256] = measures
        if len(found) % _REPORT_EVERY == 0 or len(found) == len(contents):
            progress("measure", len(found), len(contents))
    return found
