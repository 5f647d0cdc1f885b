"""Photos on their way in from a browser: written to disk as they come, in bounds, belonging to no data set yet.

A page opens a :class:`Batch` and gives its ticket to the browser, which sends each file under it (see
:mod:`app.upload_door`). Whoever knows a ticket may write into its batch, and nowhere else; nobody can guess one.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.label_files import inside
from workflows.errors import SourceError, StorageError
from workflows.store.files import storage_errors
from workflows.store.store import Store

MAX_FILE_BYTES = 4 * 1024**3
MAX_TOTAL_BYTES = 8 * 1024**3
MAX_FILES = 100_000
SPARE_BYTES = 1024**3
"""What is left free on the disk, whatever comes."""
KEPT_SECONDS = 24 * 3600.0
MAX_NAME_BYTES = 200

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
LABEL_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".xml")


class UploadRefused(SourceError):  # noqa: N818 - an answer, not a fault
    """A file can't be taken in."""


@dataclass
class Batch:
    """What one person uploads at once.

    Attributes:
        ticket: the secret that the browser sends files with.
        folder: holds what has come, under its own names.
        bytes: of all files so far, also of those that are still coming.
        files: their places in `folder`.
    """

    ticket: str
    folder: Path
    bytes: int = 0
    files: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass(frozen=True)
class Arrived:
    """An upload as a source for an import.

    Attributes:
        source: the folder or archive.
        labels: a label file that came with it, None if there is none or the source holds it itself.
        name: what a person would call it.
        files: how many files came.
    """

    source: Path
    labels: Path | None
    name: str
    files: int
    bytes: int


class Uploads:
    """Takes files in, under tickets. All of this process share the tickets."""

    _batches: ClassVar[dict[str, Batch]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, store: Store) -> None:
        self._folder = store.cache_folder / "uploads"

    def open(self) -> Batch:
        """Begin a batch.

        Raises:
            StorageError: the disk is full or can't be written.
        """
        self._sweep()
        ticket = secrets.token_urlsafe(24)
        folder = self._folder / secrets.token_hex(8)
        with storage_errors(folder):
            (folder / "files").mkdir(parents=True)
            (folder / "coming").mkdir()
        batch = Batch(ticket, folder)
        with self._lock:
            self._batches[ticket] = batch
        return batch

    def find(self, ticket: str) -> Batch | None:
        """Return the batch with this ticket, None if there is none (any more)."""
        with self._lock:
            return self._batches.get(ticket)

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
            raise UploadRefused(
                f"It is larger than {MAX_FILE_BYTES // 1024**3} GB.", "Import it from a folder instead."
            )
        with batch.lock:
            if batch.bytes + size > MAX_TOTAL_BYTES:
                raise UploadRefused(
                    f"This is more than {MAX_TOTAL_BYTES // 1024**3} GB in all.", "Import from a folder."
                )
            if len(batch.files) >= MAX_FILES:
                raise UploadRefused(f"These are more than {MAX_FILES:,} files.", "Import them from a folder.")
            if shutil.disk_usage(batch.folder).free - size < SPARE_BYTES:
                raise UploadRefused("There is no room for it on this machine's disk.", "Free some space.")
            batch.bytes += size
        return batch.folder / "coming" / secrets.token_hex(8)

    def finish(self, batch: Batch, name: str, coming: Path) -> None:
        """Give a file that has come whole its name.

        Raises:
            UploadRefused: another file stands in its way.
        """
        place = batch.folder / "files" / name
        with batch.lock:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                coming.replace(place)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise UploadRefused("A file and a folder have the same name.", "Rename one of them.") from error
            batch.files.add(name)

    def give_up(self, batch: Batch, coming: Path, size: int) -> None:
        """Forget a file that did not come whole."""
        coming.unlink(missing_ok=True)
        with batch.lock:
            batch.bytes -= size

    def arrived(self, batch: Batch) -> Arrived:
        """Return a batch as a source.

        Raises:
            SourceError: nothing came, or several archives, or an archive among photos.
        """
        with batch.lock:
            names = sorted(batch.files)
        archives = [name for name in names if name.lower().endswith(ARCHIVE_SUFFIXES)]
        tables = [name for name in names if "/" not in name and name.lower().endswith(LABEL_SUFFIXES)]
        photos = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if not photos and not archives:
            raise SourceError(
                "There is no photo in what was dropped.", "Drop photos, a folder of photos, or a zip of photos."
            )
        if len(archives) > 1 or (archives and photos):
            raise SourceError(
                "One archive can be taken in at a time, and no photos beside it.",
                "Take in the first, then add the others to the data set.",
            )
        files = batch.folder / "files"
        labels = files / tables[0] if len(tables) == 1 else None
        if archives:
            return Arrived(files / archives[0], labels, _stem(archives[0]), len(names), batch.bytes)
        top = _common_top(names, tables)
        return Arrived(files / top, labels, top or "", len(names), batch.bytes)

    def discard(self, batch: Batch) -> None:
        """Remove a batch with its files."""
        with self._lock:
            self._batches.pop(batch.ticket, None)
        shutil.rmtree(batch.folder, ignore_errors=True)

    def holds(self, source: str) -> bool:
        """Return whether a path lies where uploads are kept."""
        return Path(source).is_relative_to(self._folder)

    def _sweep(self) -> None:
        """Remove what was left behind."""
        with self._lock:
            held = {batch.folder for batch in self._batches.values()}
        oldest = time.time() - KEPT_SECONDS
        for folder in self._folder.glob("*"):
            try:
                if folder not in held and folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError as error:
                raise StorageError(f"{folder} can't be looked at: {error.strerror}.") from error


def _check_name(name: str) -> None:
    """Refuse a name that leads elsewhere, or that no file may have."""
    place, problem = inside(name)
    parts = PurePosixPath(name).parts
    if problem or place != name or not name.isprintable() or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise UploadRefused("A file can't be called that.", "Give it a simpler, shorter name.")


def _common_top(names: list[str], tables: list[str]) -> str:
    """Return the folder around everything, if there is one that is no class: it holds folders or a label file."""
    others = [name for name in names if name not in tables]
    tops = {name.partition("/")[0] for name in others if "/" in name}
    if len(tops) != 1 or any("/" not in name for name in others):
        return ""
    inside_it = [name.partition("/")[2] for name in others]
    described = any("/" not in name and name.lower().endswith(LABEL_SUFFIXES) for name in inside_it)
    return tops.pop() if tables or described or any("/" in name for name in inside_it) else ""


def _stem(name: str) -> str:
    base = PurePosixPath(name).name
    suffix = next((end for end in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True) if base.lower().endswith(end)), "")
    return base[: len(base) - len(suffix)] or "photos"
