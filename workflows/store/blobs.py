"""Files stored by their content: the same bytes are stored once, under their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from workflows.errors import StorageError
from workflows.store.files import flush_to_disk, sha256_of, storage_errors

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ABANDONED_SECONDS = 3600.0


class Blobs:
    """The content-addressed files of one store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def path(self, sha256: str) -> Path:
        """Return where the content with this SHA-256 lies (whether it is there or not).

        Raises:
            StorageError: `sha256` is not 64 hex digits.
        """
        if not _SHA256.fullmatch(sha256):
            raise StorageError(f"{sha256!r} is not a SHA-256.", "The record that names it is damaged.")
        return self._folder / sha256[:2] / sha256

    def put(self, source: Path | bytes, unsettled: set[Path] | None = None) -> str:
        """Keep a copy of a file or of bytes, and return its SHA-256.

        Always a copy, never a link: whatever happens to the original later, what we keep can't change.

        Args:
            unsettled: collects the folder of the copy, instead of flushing its names at once. The copy survives
                a power cut only after :meth:`settle`. Flushing many names together costs about as much as one.

        Raises:
            StorageError: the disk is full, read-only or refuses.
        """
        sha256 = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else sha256_of(source)
        if not self.path(sha256).exists():
            sha256 = self._keep(source, sha256 if isinstance(source, bytes) else None)
            if unsettled is None:
                self.settle({self.path(sha256).parent})
        if unsettled is not None:  # also of what was there: its name may be as new, and not flushed either
            unsettled.add(self.path(sha256).parent)
        return sha256

    def settle(self, folders: set[Path]) -> None:
        """Make the names in these folders of the store survive a power cut, and empty the set.

        Raises:
            StorageError: the disk reports an error.
        """
        with storage_errors(self._folder):
            while folders:
                flush_to_disk(folders.pop())

    def _keep(self, source: Path | bytes, sha256: str | None) -> str:
        temporary = self._incoming / secrets.token_hex(12)
        with storage_errors(self._folder):
            self._incoming.mkdir(parents=True, exist_ok=True)
            try:
                if isinstance(source, bytes):
                    temporary.write_bytes(source)
                else:
                    shutil.copyfile(source, temporary)
                # the copy's own name: the original may have changed since it was checked
                final = self.path(sha256 or sha256_of(temporary))
                temporary.chmod(0o444)
                flush_to_disk(temporary)
                if not final.parent.is_dir():
                    final.parent.mkdir(exist_ok=True)
                    flush_to_disk(self._folder)
                temporary.replace(final)
            finally:
                temporary.unlink(missing_ok=True)
        return final.name

    def list(self) -> Iterator[str]:
        """Yield the SHA-256 of everything stored, in order."""
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            yield from sorted(path.name for path in folder.iterdir() if _SHA256.fullmatch(path.name))

    def remove(self, sha256: str) -> int:
        """Remove the content with this SHA-256, if it is there; return the bytes that this freed.

        Raises:
            StorageError: `sha256` is not 64 hex digits, or the disk refuses.
        """
        path = self.path(sha256)
        with storage_errors(path, "remove"), contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            return size
        return 0

    def sweep(self) -> None:
        """Remove what a killed process left half-copied (untouched for an hour)."""
        if not self._incoming.is_dir():
            return
        oldest = time.time() - _ABANDONED_SECONDS
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process has just finished with it
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        Path(entry.path).unlink()
