"""Exporting data sets in a form whose import gives the same data set again."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.folders import unwanted_name
from workflows.data.layouts.by_folders import NO_LABEL
from workflows.data.layouts.scan import WAITING
from workflows.errors import StorageError, UsageError
from workflows.store.files import storage_errors, write_table
from workflows.store.store import Store

ExportFormat = Literal["folders", "csv"]
UNLABELLED = "unlabelled"
TABLE = "metadata.csv"
_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices of Windows
_LONGEST = 200  # bytes; file systems allow 255, and a number may be added


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        images: number of images.
        folder: where.
        renamed: class -> name of its folder, for classes whose names can't be folder names.
        table: the file with the original names, if the folders' names are not enough; our import reads it.
    """

    images: int
    folder: Path
    renamed: Mapping[str, str]
    table: Path | None


def export_dataset(
    store: Store, name: str, dest: Path, format: ExportFormat = "folders", number: int | None = None
) -> Exported:
    """Copy the images of a data set, byte for byte, to a folder that is empty or does not exist yet.

    Args:
        dest: the images appear there when all are copied.
        format: `folders`: dest/<split>/<class>/<file>; `csv`: dest/images/<file> and dest/labels.csv with
            the columns filename, label, split. Both can be imported again. Images without a label go to
            dest/unlabelled, or have empty cells; those without a split go to dest/waiting/<class>. Where the folders
            alone can't express all of that, or a class can't be a folder name, dest/metadata.csv does, with the
            columns file_name, label, split.
        number: version; default the newest.

    Raises:
        DatasetError: unknown name or version.
        StorageError: the disk is full or can't be written, or the store lacks an image.
        UsageError: `dest` is not empty, or an unknown format.
    """
    if format not in ("folders", "csv"):
        raise UsageError(f"Unknown format {format!r}.", "Use 'folders' or 'csv'.")
    table = get_version(store, name, number).table()
    names = folder_names(set(table["label"].dropna())) if format == "folders" else {}
    written, columns = _table_of(table.assign(filename=list(_file_names(table, names, format))), names, format)
    dest = dest.expanduser().absolute()
    with storage_errors(dest):
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise UsageError(f"{dest} is not an empty folder.", "Choose a folder that is empty or does not exist yet.")
        dest.mkdir(parents=True, exist_ok=True)
        # inside dest: only there can we be sure to have write access, and that a rename stays on one disk
        temporary = dest / f".{secrets.token_hex(4)}.tmp"
        try:
            for sha256, filename in written[["sha256", "filename"]].itertuples(index=False):
                _copy(store.blobs.path(sha256), temporary / filename)
            if columns is not None:
                write_table(temporary / (TABLE if format == "folders" else "labels.csv"), columns)
            for part in sorted(temporary.iterdir()):
                part.rename(dest / part.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    renamed = {label: folder for label, folder in names.items() if label != folder}
    return Exported(len(table), dest, renamed, dest / TABLE if columns is not None and format == "folders" else None)


def _table_of(
    table: pd.DataFrame, names: Mapping[str, str], format: ExportFormat
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the images with their file names, and the table to write, if any."""
    if format == "csv":
        return table, table[["filename", "label", "split"]]
    complete = all(label == folder and label not in NO_LABEL for label, folder in names.items())
    if complete and table["split"].notna().all():  # images without a label have no split
        return table, None
    labels = table["label"].map(_cell, na_action="ignore")
    return table, pd.DataFrame({"file_name": table["filename"], "label": labels, "split": table["split"]})


def _cell(label: str) -> str:
    """Return a label as a cell that reads back as the same: a list of one where it would be trimmed or parsed as a list."""
    return label if label == label.strip() and not label.startswith("[") else json.dumps([label], ensure_ascii=False)


def _copy(blob: Path, target: Path) -> None:
    if not blob.is_file():
        raise StorageError(f"{blob} is missing.", "The store is damaged: import the data set again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blob, target)  # content only: stored files are read-only, a copy need not be


def _file_names(table: pd.DataFrame, folders: Mapping[str, str], format: ExportFormat) -> Iterator[str]:
    """Yield each image's path in the export; a second file of the same name gets `-2`."""
    taken: set[str] = set()
    for path, label, split in table[["path", "label", "split"]].itertuples(index=False):
        folder = _folder(folders.get(label), split) if format == "folders" else "images"
        original = PurePosixPath(path.replace("\\", "_"))  # a separator on the system that will read it
        name, number = f"{folder}/{original.name}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{folder}/{original.stem}-{number}{original.suffix}"
        taken.add(name.casefold())
        yield name


def _folder(label_folder: str | None, split: object) -> str:
    if label_folder is None:
        return UNLABELLED
    return f"{split if isinstance(split, str) else WAITING}/{label_folder}"


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return for each label a unique folder name that every system allows and our import reads."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    # those that can keep their names come first, so that no other label gets one
    for label in sorted(labels, key=lambda label: (_safe(label) != label, label)):
        safe = _safe(label)
        name, number = safe, 1
        while name.casefold() in taken:
            number += 1
            name = f"{safe}-{number}"
        taken.add(name.casefold())
        names[label] = name
    return names


def _safe(label: str) -> str:
    safe = "".join("_" if letter in _FORBIDDEN or not letter.isprintable() else letter for letter in label)
    safe = safe.encode("utf-8")[:_LONGEST].decode("utf-8", "ignore").strip().rstrip(". ")
    if unwanted_name(safe, folder=True) or _RESERVED.fullmatch(safe):
        safe = f"_{safe.lstrip('.')}"
    return safe or "_"
