"""Finding data sets, and handing them out again."""

from __future__ import annotations

import difflib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from workflows.data.version import DatasetVersion, version_of
from workflows.errors import DatasetError, StorageError, UsageError
from workflows.store.files import storage_errors, write_table
from workflows.store.names import counted
from workflows.store.store import Store

ExportFormat = Literal["folders", "csv"]
_FORBIDDEN = frozenset('<>:"/\\|?*')


def get_version(store: Store, name: str, number: int | None = None) -> DatasetVersion:
    """Return a version of a data set; the newest if no number is given.

    Raises:
        DatasetError: unknown name or number; the message names near matches.
    """
    records = store.datasets.versions(name)
    if not records:
        known = [record.dataset for record in store.datasets.newest()]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        shown = (
            "`fieldguide dataset list` shows all." if known else "Import one with `fieldguide dataset add NAME FOLDER`."
        )
        raise DatasetError(f"There is no data set {name!r}.", f"{hint}{shown}")
    if number is None:
        return version_of(store, records[-1])
    for record in records:
        if record.number == number:
            return version_of(store, record)
    raise DatasetError(
        f"Data set {name!r} has no version {number}.", f"It has versions 1 to {records[-1].number}; the last is newest."
    )


def list_datasets(store: Store) -> list[DatasetVersion]:
    """Return the newest version of every data set, by name."""
    return [version_of(store, record) for record in store.datasets.newest()]


def list_versions(store: Store, name: str) -> list[DatasetVersion]:
    """Return all versions of a data set, oldest first.

    Raises:
        DatasetError: unknown name.
    """
    get_version(store, name)
    return [version_of(store, record) for record in store.datasets.versions(name)]


def find_images(version: DatasetVersion, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of images that a person names by id or by path, in the order named.

    Raises:
        DatasetError: no image, or more than one, has a name.
    """
    table = version.table()[["image_id", "path"]]
    ids, by_path = set(table["image_id"]), table.groupby("path")["image_id"].agg(list)
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        same = [name] if name in ids else by_path.get(name, [])
        if len(same) > 1:
            raise DatasetError(
                f"{len(same)} images of {version} are called {name!r}.", f"Name them by id: {', '.join(same[:5])}"
            )
        if same:
            found[name] = same[0]
        else:
            unknown.append(name)
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(by_path.index), n=3, cutoff=0.6)
        raise DatasetError(
            f"{counted(len(unknown), 'image is', 'images are')} not in {version}, e.g. {unknown[0]!r}.",
            f"Did you mean {', '.join(near)}?" if near else f"See: fieldguide dataset labels {version.name}",
        )
    return found


def labels_of(version: DatasetVersion) -> pd.DataFrame:
    """Return one row for each image: `filename` (its path), `label`, `split`; empty texts where there is none."""
    table = version.table().rename(columns={"path": "filename"})
    return table[["filename", "label", "split"]].fillna("")


def export_dataset(
    store: Store, name: str, dest: Path, format: ExportFormat = "folders", number: int | None = None
) -> int:
    """Copy the images of a data set, byte for byte, to a folder that is empty or not there yet.

    Args:
        dest: the images appear there when all are copied.
        format: `folders`: dest/<split>/<class>/<file>; `csv`: dest/images/<file> and dest/labels.csv with
            the columns filename, label, split. Both can be imported again. What has no label lies in
            dest/unlabelled, or has empty cells; what has no split yet lies in dest/waiting/<class>.
        number: version; default the newest.

    Returns:
        The number of images.

    Raises:
        DatasetError: unknown data set or version.
        UsageError: `dest` holds something already, or an unknown format.
        StorageError: the disk is full or can't be written.
    """
    if format not in ("folders", "csv"):
        raise UsageError(f"Unknown format {format!r}.", "Use folders or csv.")
    table = get_version(store, name, number).table()
    dest = dest.expanduser().absolute()
    with storage_errors(dest):
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise UsageError(f"{dest} is not an empty folder.", "Give a folder that is empty or not there yet.")
        dest.mkdir(parents=True, exist_ok=True)
        # inside dest, because only there we know that we may write, and that a rename stays on one disk
        temporary = dest / f".{secrets.token_hex(4)}.tmp"
        try:
            _copy_all(store, table.assign(filename=list(_file_names(table, format))), temporary, format)
            for part in sorted(temporary.iterdir()):
                part.rename(dest / part.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return len(table)


def _copy_all(store: Store, table: pd.DataFrame, folder: Path, format: ExportFormat) -> None:
    for sha256, filename in table[["sha256", "filename"]].itertuples(index=False):
        _copy(store.blobs.path(sha256), folder / filename)
    if format == "csv":
        write_table(folder / "labels.csv", table[["filename", "label", "split"]])


def _copy(blob: Path, target: Path) -> None:
    if not blob.is_file():
        raise StorageError(f"{blob} is missing.", "The store is damaged: import the data set again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blob, target)  # content only: what we keep is read-only, a copy needn't be


def _file_names(table: pd.DataFrame, format: ExportFormat) -> Iterator[str]:
    """Yield each image's place in the export; a second file of a name gets `-2`."""
    taken: set[str] = set()
    folders = dict(zip(*_folder_names(table), strict=True))
    for path, label, split in table[["path", "label", "split"]].itertuples(index=False):
        folder = _folder(folders.get(label), split) if format == "folders" else "images"
        original = PurePosixPath(path)
        name, number = f"{folder}/{original.name}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{folder}/{original.stem}-{number}{original.suffix}"
        taken.add(name.casefold())
        yield name


def _folder(label_folder: str | None, split: object) -> str:
    if label_folder is None:
        return "unlabelled"
    return f"{split if isinstance(split, str) else 'waiting'}/{label_folder}"


def _folder_names(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the labels, and for each a folder name that every system allows and no other label has."""
    labels = sorted(set(table["label"].dropna()))
    names: list[str] = []
    taken: set[str] = set()
    for label in labels:
        safe = "".join("_" if letter in _FORBIDDEN else letter for letter in label).rstrip(". ")
        safe = f"_{safe[1:]}" if safe.startswith(".") else safe or "_"
        name, number = safe, 1
        while name.casefold() in taken:
            number += 1
            name = f"{safe}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return labels, names
