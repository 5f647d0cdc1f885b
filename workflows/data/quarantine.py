"""Files that imports rejected: stored separately for inspection and repair, and never opened again.

::

    HOME/quarantine/NAME/manifest.json   where each file came from, and why it was rejected
    HOME/quarantine/NAME/files/          the files by their SHA-256: read-only, without a suffix
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from workflows.errors import StorageError
from workflows.store.files import read_json, storage_errors, write_json
from workflows.store.names import counted
from workflows.store.store import Store

MAX_FILE_BYTES = 64 * 1024**2
MAX_TOTAL_BYTES = 1024**3  # for each data set
_CHUNK = 1024**2
MANIFEST_FILE = "manifest.json"
FILES_FOLDER = "files"


@dataclass(frozen=True)
class Quarantined:
    """One rejected file.

    Attributes:
        source: folder or archive that it came from.
        path: its path there.
        reason: why it was rejected.
        sha256: of its content; empty if no copy was stored.
        bytes: its size.
    """

    source: str
    path: str
    reason: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Rejected:
    """A file that an import rejects: its current path, its path in the source, and the reason."""

    file: Path
    path: str
    reason: str


def quarantine(store: Store, name: str, source: str, rejected: Iterable[Rejected]) -> list[str]:
    """Store the files that an import rejects, replacing those of earlier imports of the same source.

    Files of more than 64 MB, and those beyond 1 GB per data set, are listed but not copied.

    Returns:
        Notes for the user; empty if nothing was rejected.
    """
    folder = store.quarantine_folder(name)
    others = [entry for entry in quarantined(store, name) if entry.source != source]
    wanted = list(rejected)
    if not wanted and not folder.exists():
        return []
    try:
        entries = _copy_all(folder / FILES_FOLDER, source, wanted, sum(entry.bytes for entry in others if entry.sha256))
        if entries or others:
            write_json(folder / MANIFEST_FILE, [asdict(entry) for entry in (*others, *entries)])
        else:
            (folder / MANIFEST_FILE).unlink(missing_ok=True)
        _remove_unnamed(folder / FILES_FOLDER, {entry.sha256 for entry in (*others, *entries)})
    except StorageError as error:  # a problem with bad files must not stop the import of good images
        return [f"The rejected files could not be copied: {error.message}"]
    return _notes(folder, entries)


def quarantined(store: Store, name: str) -> list[Quarantined]:
    """Return the quarantined files of a data set; a damaged list counts as empty."""
    path = store.quarantine_folder(name) / MANIFEST_FILE
    try:
        return [Quarantined(**entry) for entry in read_json(path)] if path.exists() else []
    except (StorageError, TypeError):
        return []


def _copy_all(folder: Path, source: str, rejected: Iterable[Rejected], used: int) -> list[Quarantined]:
    entries = []
    for each in rejected:
        try:
            size = each.file.stat().st_size
            fits = size <= MAX_FILE_BYTES and used + size <= MAX_TOTAL_BYTES
            sha256 = _copy(each.file, folder) if fits else ""
        except (FileNotFoundError, PermissionError):
            size, sha256 = 0, ""  # unreadable files can't be copied
        used += size if sha256 else 0
        entries.append(Quarantined(source, each.path, each.reason, sha256, size))
    return entries


def _copy(file: Path, folder: Path) -> str:
    """Copy a file under its SHA-256, at most :data:`MAX_FILE_BYTES` of it; return the hash, or nothing if it grew."""
    temporary = folder / f".{secrets.token_hex(6)}.tmp"
    digest, size = hashlib.sha256(), 0
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("rb") as source, storage_errors(folder), temporary.open("wb") as target:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    return ""
                digest.update(chunk)
                target.write(chunk)
            temporary.chmod(0o444)
        temporary.replace(folder / digest.hexdigest())
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def _remove_unnamed(folder: Path, named: set[str]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in named:
            path.unlink(missing_ok=True)


def _notes(folder: Path, entries: list[Quarantined]) -> list[str]:
    if not entries:
        return []
    copied = sum(bool(entry.sha256) for entry in entries)
    notes = [f"Copies of {counted(copied, 'rejected file')} are in {folder}."] if copied else []
    if copied < len(entries):
        notes.append(
            f"No copy of {counted(len(entries) - copied, 'rejected file')} was stored: "
            f"too large, unreadable, or more than {MAX_TOTAL_BYTES // 1024**3} GB in all."
        )
    return notes
