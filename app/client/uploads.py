"""Photos on their way in from a browser: written to disk as they come, in bounds, belonging to no data set yet.

A page opens a :class:`Batch` and gives its ticket to the browser, which sends each file under it (see
:mod:`app.upload_door`). Whoever knows a ticket may write into its batch, and nowhere else; nobody can guess one.

What nobody came back for is swept: a batch that no page asked for since a day, unless files are coming or somebody
works with it, and whatever a process left that is no more (tickets end with the process that gave them).
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
from app.upload_caps import DROPPED_VARIABLE, dropped_bytes
from flows.leash import Mark
from workflows.data.label_files import inside
from workflows.errors import SourceError
from workflows.store.files import storage_errors
from workflows.store.store import Store

MAX_FILE_BYTES = 4 * 1024**3
MAX_TOTAL_BYTES = 8 * 1024**3
"""Of one batch; :func:`app.upload_caps.dropped_bytes` bounds all of them together."""
MAX_FILES = 100_000
SPARE_BYTES = 1024**3
"""What is left free on the disk, whatever comes."""
KEPT_SECONDS = 24 * 3600.0
OWNER_FILE = "owner"
"""Names the process that a batch belongs to."""
MAX_NAME_BYTES = 200


class UploadRefused(SourceError):  # noqa: N818 - an answer, not a fault
    """A file can't be taken in."""


@dataclass(eq=False)
class Batch:
    """What one person uploads at once.

    Attributes:
        ticket: the secret that the browser sends files with.
        folder: holds what has come in its folder `files`, under its own names.
        bytes: of all files so far, also of those that are still coming.
        files: their places in `files`.
        coming: how many files are on their way.
        workers: how many work with it now; it is not swept under their hands.
        used: when somebody last asked for it, in seconds since 1970.
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
    """Held by who moves its files about."""


class Uploads:
    """Takes files in, under tickets. All of this process share the tickets."""

    _batches: ClassVar[dict[str, Batch]] = {}
    _strange: ClassVar[dict[Path, int]] = {}
    """Bytes in folders of other processes, as they were when the last batch was begun."""
    _lock: ClassVar[threading.Lock] = threading.Lock()  # taken before that of a batch

    def __init__(self, store: Store) -> None:
        self._folder = store.cache_folder / "uploads"

    def open(self) -> Batch:
        """Begin a batch; what was left behind is removed before.

        Raises:
            StorageError: the disk is full or can't be written.
        """
        self.sweep()
        batch = Batch(secrets.token_urlsafe(24), self._folder / secrets.token_hex(8))
        with storage_errors(batch.folder):
            batch.folder.mkdir(parents=True)
            (batch.folder / OWNER_FILE).write_text(str(Mark.mine()))
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
        """Keep a batch until somebody discards it: it was handed over, e.g. to an import."""
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
        """Make room for a file; return where to write it until it is whole.

        Args:
            name: its place in what was dropped, with `/`.
            size: in bytes, as announced.

        Raises:
            UploadRefused: an impossible name, too large, too many, or the disk has no room.
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
        """Check the bound for all batches, and the disk. The lock is held."""
        place = batch.folder.parent
        ours = sum(each.bytes for each in self._batches.values() if each.folder.parent == place)
        if ours + self._strange.get(place, 0) + size > dropped_bytes():
            raise UploadRefused(
                f"All uploads on this machine together may take {dropped_bytes() // 1024**3} GB, and that is used up.",
                "In other windows of the studio, import what was dropped or drop something else; import from a folder "
                f"on this machine; or have whoever runs the studio raise {DROPPED_VARIABLE}.",
            )
        if shutil.disk_usage(batch.folder).free - size < SPARE_BYTES:
            raise UploadRefused("There is no room for it on this machine's disk.", "Free some space there.")

    def finish(self, batch: Batch, name: str, coming: Path) -> None:
        """Give a file that has come whole its name.

        Raises:
            UploadRefused: another file stands in its way, or the page has let go of the batch.
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
        """Forget a file that did not come whole."""
        coming.unlink(missing_ok=True)
        with batch.lock:
            batch.bytes -= size
            batch.coming -= 1

    def replace(self, batch: Batch, name: str, files: int, size: int) -> None:
        """Put what an archive held in its place: it is removed, its files count instead.

        Args:
            name: the archive's place.
            files: how many were unpacked into the batch's folder.
            size: of all of them, in bytes.

        Raises:
            UploadRefused: too many files, or no room for them.
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
            SourceError: nothing came, or several archives, or an archive among photos.
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
        """Return whether a path lies where uploads are kept."""
        return Path(source).is_relative_to(self._folder)

    def in_words(self, text: str) -> str:
        """Return a message with what lies here called by the names that people know."""
        place = rf"{re.escape(str(self._folder))}/\w+/files"
        return re.sub(rf"{place}(?![/\w])", "what was dropped", re.sub(rf"{place}/(?=\w)", "", text))

    def sweep(self) -> None:
        """Remove what was left behind; what somebody still uploads, looks at or works with stays."""
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
        raise UploadRefused("The page has let go of this upload.", "Load the page again, and drop it once more.")


def _owner(folder: Path) -> Mark | None:
    try:
        return Mark.parse((folder / OWNER_FILE).read_text())
    except (OSError, ValueError):
        return None


def _ours(folder: Path) -> bool:
    """Return whether this process is just making or removing the folder."""
    owner = _owner(folder)
    return owner is not None and owner.pid == os.getpid() and owner.lives()


def _abandoned(folder: Path, oldest: float) -> bool:
    """Return whether nobody can come back for a folder that is no batch of this process."""
    owner = _owner(folder)
    if owner is not None and not _ours(folder):
        return not owner.lives()
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
    """Refuse a name that leads elsewhere, or that no file may have."""
    place, problem = inside(name)
    parts = PurePosixPath(name).parts
    if problem or place != name or not name.isprintable() or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise UploadRefused("A file can't be called that.", "Give it a simpler, shorter name.")
