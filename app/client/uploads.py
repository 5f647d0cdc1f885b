"""Uploads from a browser: written to disk as they arrive, within limits, in no data set yet.

A page opens a :class:`Batch` and gives its ticket to the browser, which sends each file under it (see
:mod:`app.upload_endpoint`). Whoever has a ticket may write into its batch, and nowhere else; nobody can guess one.

Abandoned uploads are swept: a batch that no page used for a day, unless files are arriving or somebody
works with it, and whatever an ended process left (tickets end with the process that issued them).
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from app.client.arrivals import Arrived, understood
from app.upload_caps import dropped_bytes
from flows.process_identity import ProcessIdentity
from workflows.data.label_files import inside
from workflows.errors import SourceError
from workflows.settings import MAX_DROPPED_GB
from workflows.store.files import storage_errors
from workflows.store.store import Store

MAX_FILE_BYTES = 4 * 1024**3
MAX_TOTAL_BYTES = 8 * 1024**3
"""Of one batch; :func:`app.upload_caps.dropped_bytes` bounds all of them together."""
MAX_FILES = 100_000
SPARE_BYTES = 1024**3
"""Space that is always left free on the disk."""
KEPT_SECONDS = 24 * 3600.0
OWNER_FILE = "owner"
"""File that names the process that a batch belongs to."""
MAX_NAME_BYTES = 200


class UploadRefused(SourceError):  # noqa: N818 - an answer, not an error
    """A file can't be uploaded."""


@dataclass(eq=False)
class Batch:
    """What one person uploads at once.

    Attributes:
        ticket: the secret that the browser sends files with.
        folder: holds the files, under their own names, in its folder `files`.
        bytes: of all files so far, including those still arriving.
        files: their paths in `files`.
        coming: how many files are still arriving.
        workers: how many work with it now; it is not swept meanwhile.
        used: when it was last used, in seconds since 1970.
        gone: it was discarded.
    """

    ticket: str
    folder: Path
    bytes: int = 0
    files: set[str] = field(default_factory=set)
    coming: int = 0
    workers: int = 0
    used: float = field(default_factory=time.time)
    gone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    sorting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Held while files are moved."""


class Uploads:
    """Stores uploaded files under tickets, which all instances in this process share."""

    _batches: ClassVar[dict[str, Batch]] = {}
    _strange: ClassVar[dict[Path, int]] = {}
    """Bytes in folders of other processes, as of the start of the last batch."""
    _lock: ClassVar[threading.Lock] = threading.Lock()  # acquired before that of a batch

    def __init__(self, store: Store) -> None:
        self._folder = store.cache_folder / "uploads"

    def open(self) -> Batch:
        """Start a batch; abandoned ones are removed first.

        Raises:
            StorageError: the disk is full or can't be written.
        """
        self.sweep()
        batch = Batch(secrets.token_urlsafe(24), self._folder / secrets.token_hex(8))
        with storage_errors(batch.folder):
            batch.folder.mkdir(parents=True)
            (batch.folder / OWNER_FILE).write_text(str(ProcessIdentity.current()))
            (batch.folder / "files").mkdir()
            (batch.folder / "coming").mkdir()
        with self._lock:
            self._batches[batch.ticket] = batch
        return batch

    def find(self, ticket: str) -> Batch | None:
        """Return the batch with this ticket, None if there is none (any more)."""
        with self._lock:
            batch = self._batches.get(ticket)
            if batch is not None:
                batch.used = time.time()
            return batch

    def keep(self, batch: Batch) -> None:
        """Keep a batch until it is discarded: it was handed over, e.g. to an import."""
        with self._lock:
            batch.workers += 1

    @contextmanager
    def working(self, batch: Batch) -> Iterator[None]:
        """Keep a batch while the body works with it."""
        self.keep(batch)
        try:
            yield
        finally:
            with self._lock:
                batch.workers -= 1
                batch.used = time.time()

    def begin(self, batch: Batch, name: str, size: int) -> Path:
        """Reserve space for a file; return where to write it until it is complete.

        Args:
            name: its path in what was dropped, with `/`.
            size: in bytes, as announced.

        Raises:
            UploadRefused: an invalid name, too large, too many, or the disk is full.
        """
        _check_name(name)
        if size > MAX_FILE_BYTES:
            raise UploadRefused(f"It is larger than {MAX_FILE_BYTES // 1024**3} GB.", _INSTEAD)
        with self._lock, batch.lock:
            _check_there(batch)
            if batch.bytes + size > MAX_TOTAL_BYTES:
                raise UploadRefused(f"This is more than {MAX_TOTAL_BYTES // 1024**3} GB in all.", _INSTEAD)
            if len(batch.files) >= MAX_FILES:
                raise UploadRefused(f"These are more than {MAX_FILES:,} files.", _INSTEAD)
            self._check_room(batch, size)
            batch.bytes += size
            batch.coming += 1
            batch.used = time.time()
        return batch.folder / "coming" / secrets.token_hex(8)

    def _check_room(self, batch: Batch, size: int) -> None:
        """Check the limit for all batches, and the disk. The lock is held."""
        place = batch.folder.parent
        ours = sum(each.bytes for each in self._batches.values() if each.folder.parent == place)
        if ours + self._strange.get(place, 0) + size > dropped_bytes():
            raise UploadRefused(
                f"All uploads on this machine together are limited to {dropped_bytes() // 1024**3} GB, which is used up.",
                "In other windows of the studio, import what was dropped or drop something else; import from a folder "
                f"on this machine; or have whoever runs the studio raise {MAX_DROPPED_GB.variable}.",
            )
        if shutil.disk_usage(batch.folder).free - size < SPARE_BYTES:
            raise UploadRefused("This machine's disk is full.", "Free some space on it.")

    def finish(self, batch: Batch, name: str, coming: Path) -> None:
        """Move a complete file to its name.

        Raises:
            UploadRefused: another file is in its way, or the page has discarded the batch.
        """
        place = batch.folder / "files" / name
        with batch.lock:
            _check_there(batch)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                coming.replace(place)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise UploadRefused("A file and a folder have the same name.", "Rename one of them.") from error
            batch.files.add(name)
            batch.coming -= 1
            batch.used = time.time()

    def give_up(self, batch: Batch, coming: Path, size: int) -> None:
        """Discard an incomplete file."""
        coming.unlink(missing_ok=True)
        with batch.lock:
            batch.bytes -= size
            batch.coming -= 1

    def replace(self, batch: Batch, name: str, files: int, size: int) -> None:
        """Replace an archive by its contents: it is removed, its files count instead.

        Args:
            name: the archive's path.
            files: how many were unpacked into the batch's folder.
            size: of all of them, in bytes.

        Raises:
            UploadRefused: too many files, or not enough space.
        """
        archive = batch.folder / "files" / name
        with self._lock, batch.lock:
            _check_there(batch)
            if len(batch.files) + files > MAX_FILES:
                raise UploadRefused(f"These are more than {MAX_FILES:,} files.", "Drop fewer at once.")
            freed = archive.stat().st_size
            self._check_room(batch, max(0, size - freed))
            archive.unlink()
            batch.files.discard(name)
            batch.bytes += size - freed

    def arrived(self, batch: Batch) -> Arrived:
        """Return a batch as a source.

        Raises:
            SourceError: nothing arrived, or several archives, or an archive among photos.
        """
        with batch.lock:
            return understood(batch.folder / "files", sorted(batch.files), batch.bytes)

    def discard(self, batch: Batch) -> None:
        """Remove a batch with its files."""
        with self._lock:
            self._batches.pop(batch.ticket, None)
        with batch.lock:
            batch.gone = True
        shutil.rmtree(batch.folder, ignore_errors=True)

    def holds(self, source: str) -> bool:
        """Return whether a path is in the folder of uploads."""
        return Path(source).is_relative_to(self._folder)

    def in_words(self, text: str) -> str:
        """Return a message with the paths of uploads replaced by the names that people know."""
        place = rf"{re.escape(str(self._folder))}/\w+/files"
        return re.sub(rf"{place}(?![/\w])", "what was dropped", re.sub(rf"{place}/(?=\w)", "", text))

    def sweep(self) -> None:
        """Remove abandoned uploads; what somebody still uploads, views or works with stays."""
        oldest = time.time() - KEPT_SECONDS
        with self._lock:
            idle = [each for each in self._batches.values() if each.used < oldest and not each.coming + each.workers]
            for batch in idle:
                del self._batches[batch.ticket]
            held = {batch.folder for batch in self._batches.values()}
        for batch in idle:
            self.discard(batch)
        strange = 0
        for folder in self._folder.glob("*"):
            if folder in held:
                continue
            if _abandoned(folder, oldest):
                shutil.rmtree(folder, ignore_errors=True)
            elif not _ours(folder):
                strange += _size(folder)
        with self._lock:
            self._strange[self._folder] = strange


_INSTEAD = "Put it into a folder on the studio's machine, and import that folder on the page Data."


def _check_there(batch: Batch) -> None:
    if batch.gone:
        raise UploadRefused("The page has discarded this upload.", "Reload the page, and drop the files again.")


def _owner(folder: Path) -> ProcessIdentity | None:
    try:
        return ProcessIdentity.parse((folder / OWNER_FILE).read_text())
    except (OSError, ValueError):
        return None


def _ours(folder: Path) -> bool:
    """Return whether this process is creating or removing the folder right now."""
    owner = _owner(folder)
    return owner is not None and owner.pid == os.getpid() and owner.is_alive()


def _abandoned(folder: Path, oldest: float) -> bool:
    """Return whether a folder that is no batch of this process is abandoned."""
    owner = _owner(folder)
    if owner is not None and not _ours(folder):
        return not owner.is_alive()
    try:
        return folder.stat().st_mtime < oldest
    except OSError:  # removed meanwhile
        return False


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed meanwhile
            total += path.lstat().st_size
    return total


def _check_name(name: str) -> None:
    """Refuse a name that leads out of the folder, or that no file may have."""
    place, problem = inside(name)
    parts = PurePosixPath(name).parts
    if problem or place != name or not name.isprintable() or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise UploadRefused("This name is not possible for a file.", "Give it a simpler, shorter name.")
