"""Zip and tar archives of photographs: checked as a whole, then unpacked file by file into a workspace.

The checks are in `archive_checks`; reading the two kinds, in `zip_archives` and `tar_archives`. Every
file appears under its name only when it is complete, so an interrupted unpacking can be resumed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from workflows.data.archive_checks import ArchiveEntry, Plan, check_total, plan, refusal
from workflows.data.tar_archives import Compression, TarReader
from workflows.data.zip_archives import ZipReader
from workflows.errors import SourceError, StorageError
from workflows.progress import Progress
from workflows.store.files import free_bytes, storage_errors
from workflows.store.locks import FileLock, hold
from workflows.store.names import slug

ABANDONED_SECONDS = 3 * 86_400.0
_CHUNK = 64 * 1024
_REPORT_EVERY = 50
_TARS: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
_UNREADABLE = ((b"7z\xbc\xaf", "7-Zip"), (b"Rar!", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard"))
_FILES = "files"


@dataclass(frozen=True)
class Unpacked:
    """An archive, unpacked.

    Attributes:
        folder: holds the images and the tables that may hold labels, and nothing else.
        ignored: (name, reason) of all other entries.
        folders: all folders of the archive, the empty ones too.
    """

    folder: Path
    ignored: list[tuple[str, str]]
    folders: set[str]


def stamp(archive: Path) -> str:
    """Return a stamp that changes when the archive does: its path, size and modification time.

    Raises:
        SourceError: it does not exist.
    """
    try:
        facts = archive.stat()
    except OSError as error:
        raise SourceError(
            f"{archive} does not exist.",
            "Check the path: it must exist on the machine that Fieldguide runs on.",
        ) from error
    return f"{archive}\0{facts.st_size}\0{facts.st_mtime_ns}"


def unpacked_folder(archive: Path, workspace: Path) -> Path:
    """Return where an archive is unpacked to: there while that goes on, and after a process that was killed at it.

    Raises:
        SourceError: the archive does not exist.
    """
    return workspace / f"{slug(archive.stem, 'archive')}-{hashlib.sha256(stamp(archive).encode()).hexdigest()[:12]}"


@contextmanager
def unpacked(archive: Path, workspace: Path, progress: Progress) -> Iterator[Unpacked]:
    """Unpack the images of an archive for as long as the context lasts.

    Args:
        archive: zip, or tar (also compressed with gzip, bzip2 or xz), recognised by its content, not its name.
        workspace: a folder on a disk with room for the images. Files left by a killed process are reused; what
            has been abandoned for three days is removed.
        progress: receives the number of files unpacked, as stage `unpack`.

    Raises:
        SourceError: not an archive, or a rejected one; the message names the entry and the reason.
        StorageError: the workspace's disk is too small, full, or can't be written.
    """
    before = stamp(archive)
    folder = unpacked_folder(archive, workspace)

    def waiting(text: str) -> None:
        progress("unpack", 0, 0, text)

    with storage_errors(workspace):
        workspace.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(workspace)
    with hold(workspace / f"{folder.name}.lock", waiting=waiting):
        try:
            with storage_errors(archive, "read"), archive.open("rb") as stream:
                chosen = _Unpacking(archive, stream, folder, progress).run()
            if stamp(archive) != before:
                raise refusal(archive, "it changed while it was being read")
            yield Unpacked(folder / _FILES, chosen.ignored, chosen.folders)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(workspace: Path) -> None:
    for folder in workspace.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < time.time() - ABANDONED_SECONDS:
            lock = FileLock(workspace / f"{folder.name}.lock")
            if lock.acquire():
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()


class _Unpacking:
    """The unpacking of one archive into a folder."""

    def __init__(self, archive: Path, stream: BinaryIO, folder: Path, progress: Progress) -> None:
        self._archive = archive
        self._folder = folder
        self._progress = progress
        self._packed = os.fstat(stream.fileno()).st_size
        self._reader = _reader(archive, stream)
        self._entries: list[ArchiveEntry] = []
        self._plan = Plan()
        self._written = 0
        self._done = 0
        self._made: set[Path] = set()

    def run(self) -> Plan:
        self._progress("unpack", 0, 0, f"checking {self._archive.name}")
        self._entries = self._reader.entries()
        self._plan = plan(self._archive, self._entries, self._packed)
        with storage_errors(self._folder):
            (self._folder / _FILES).mkdir(parents=True, exist_ok=True)
            os.utime(self._folder)
            self._check_room()
            wanted = {index for index in self._plan.wanted if not self._is_there(index)}
            self._done = len(self._plan.wanted) - len(wanted)
            self._reader.extract(wanted, self._keep)
        return self._plan

    def _check_room(self) -> None:
        there = sum(self._entries[index].size for index in self._plan.wanted if self._target(index).exists())
        needed, free = self._plan.size - there, free_bytes(self._folder)
        if needed > free:
            raise StorageError(
                f"{self._archive.name} needs {needed / 1e6:,.0f} MB to unpack, but {self._folder.parent} has only "
                f"{free / 1e6:,.0f} MB.",
                "Free some space there, or unpack it elsewhere and import the folder.",
            )

    def _target(self, index: int) -> Path:
        return self._folder / _FILES / self._plan.wanted[index]

    def _is_there(self, index: int) -> bool:
        """Return whether an earlier attempt has unpacked this file completely. A tar has no checksums: it is always read."""
        if not isinstance(self._reader, ZipReader):
            return False
        checksum = 0
        try:
            with self._target(index).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    checksum = zlib.crc32(chunk, checksum)
        except FileNotFoundError:
            return False
        return checksum == self._reader.checksum(index)

    def _keep(self, index: int, stream: IO[bytes]) -> None:
        entry, target, incoming = self._entries[index], self._target(index), self._folder / "incoming"
        length = 0
        with incoming.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                length += len(chunk)
                check_total(self._archive, self._written + length, self._packed)
                if length > entry.size:
                    raise refusal(self._archive, "is longer than declared", entry.name)
                file.write(chunk)
        if length < entry.size:
            raise refusal(self._archive, "is shorter than declared", entry.name)
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        incoming.replace(target)
        self._written += length
        self._done += 1
        if self._done % _REPORT_EVERY == 0 or self._done == len(self._plan.wanted):
            self._progress("unpack", self._done, len(self._plan.wanted), target.name)


def _reader(archive: Path, stream: BinaryIO) -> ZipReader | TarReader:
    start = stream.read(512)
    stream.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipReader(archive, stream)
    for mark, compression in _TARS:
        if start.startswith(mark):
            return TarReader(archive, stream, compression)
    if start[257:262] == b"ustar" or archive.suffix.lower() == ".tar":
        return TarReader(archive, stream, "")
    kind = next((name for mark, name in _UNREADABLE if start.startswith(mark)), None)
    what = f"a {kind} archive, which is not supported" if kind else "not a zip or tar archive"
    raise SourceError(f"{archive} is {what}.", "Give a folder, or a zip or tar archive.")
