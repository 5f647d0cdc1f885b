"""Zip and tar archives of photographs: judged whole, then unpacked file by file into a workspace.

What is judged is in `archive_checks`; how the two kinds are read, in `zip_archives` and `tar_archives`. Every
file appears under its name only when it is complete, so an unpacking that was cut can be gone on with.
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
    """Return what changes when the archive does: its place, size and time.

    Raises:
        SourceError: it isn't there.
    """
    try:
        facts = archive.stat()
    except OSError as error:
        raise SourceError(
            f"There is no folder or archive {archive}.",
            "Check the path: it is looked for on the machine that Fieldguide runs on.",
        ) from error
    return f"{archive}\0{facts.st_size}\0{facts.st_mtime_ns}"


@contextmanager
def unpacked(archive: Path, workspace: Path, progress: Progress) -> Iterator[Unpacked]:
    """Unpack the images of an archive for as long as the context lasts.

    Args:
        archive: zip, or tar (also compressed by gzip, bzip2 or xz), told by its content and not by its name.
        workspace: a folder on a disk with room for the images. What a killed process left there is used; what
            nobody came back for in three days is removed.
        progress: told how many files are unpacked, as stage `unpack`.

    Raises:
        SourceError: no archive, or one that is refused; the message names the entry and the reason.
        StorageError: the workspace's disk is too small, full, or can't be written.
    """
    before = stamp(archive)
    name = f"{slug(archive.stem, 'archive')}-{hashlib.sha256(before.encode()).hexdigest()[:12]}"

    def waiting(text: str) -> None:
        progress("unpack", 0, 0, text)

    with storage_errors(workspace):
        workspace.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(workspace)
    folder = workspace / name
    with hold(workspace / f"{name}.lock", waiting=waiting):
        try:
            with storage_errors(archive, "read"), archive.open("rb") as stream:
                chosen = _Unpacking(archive, stream, folder, progress).run()
            if stamp(archive) != before:
                raise refusal(archive, "it changed while it was read")
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
    """One archive on its way into a folder."""

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
        self._progress("unpack", 0, 0, f"looking through {self._archive.name}")
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
                f"{self._archive.name} needs {needed / 1e6:,.0f} MB to unpack, but {self._folder.parent} has "
                f"{free / 1e6:,.0f} MB.",
                "Free some space there, or unpack it elsewhere and give the folder.",
            )

    def _target(self, index: int) -> Path:
        return self._folder / _FILES / self._plan.wanted[index]

    def _is_there(self, index: int) -> bool:
        """Return whether an earlier attempt left this file whole. A tar has no checksums: it is read anyway."""
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
                    raise refusal(self._archive, "is longer than it says", entry.name)
                file.write(chunk)
        if length < entry.size:
            raise refusal(self._archive, "is shorter than it says", entry.name)
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
    what = f"a {kind} archive, which can't be read" if kind else "a file, but no zip or tar archive"
    raise SourceError(f"{archive} is {what}.", "Give a folder, or a zip or tar archive.")
