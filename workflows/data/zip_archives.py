"""Zip archives, read with extra checks on top of Python's own reader.

Python's reader cuts names at a NUL, uses the last of two entries of one name, and (before 3.12) reads
overlapping entries, by which a few kilobytes become gigabytes. All that is checked in the
raw directory before anything is read. Only stored and deflated entries are read: the reader expands the
chunks of other methods without a bound.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from workflows.data.archive_checks import MAX_ENTRIES, ArchiveEntry, refusal
from workflows.errors import SourceError

_LARGEST_READ = 64 * 1024**2  # the directory is read in one piece; 100,000 entries need some 30 MB
_ENTRY_MARK = b"PK\x01\x02"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1 | 0x40
_UTF8_NAME = 0x800
_HALF_LETTER = re.compile(r"[^\0-\x7f]\\")
_DAMAGED = (
    zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, EOFError, KeyError, struct.error, zlib.error,
)  # fmt: skip


class ZipReader:
    """The entries of one zip archive. Close its stream to close it."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Read the directory at the archive's end.

        Raises:
            SourceError: damaged, or with far too many entries.
        """
        self._path = path
        self._stream = stream
        guarded: Any = _Guarded(path, stream)
        with self._in_words():
            self._zip = zipfile.ZipFile(guarded)
            self._infos = self._zip.infolist()

    def entries(self) -> list[ArchiveEntry]:
        """Return every entry, with its fault, if any.

        Raises:
            SourceError: two entries overlap, or one is outside the file.
        """
        with self._in_words():
            self._refuse_overlaps()
        return [
            ArchiveEntry(_name(info), info.file_size, _is_folder(info), _fault(info), _separators(info))
            for info in self._infos
        ]

    def extract(self, wanted: Collection[int], keep: Callable[[int, IO[bytes]], None]) -> None:
        """Call `keep` with the index and the content of each wanted entry; at its end the checksum is verified.

        Raises:
            SourceError: damaged, or not as the directory declares.
        """
        for index in sorted(wanted):
            with self._in_words(_name(self._infos[index])), self._zip.open(self._infos[index]) as stream:
                keep(index, stream)

    def checksum(self, index: int) -> int:
        """Return the CRC-32 of an entry's content by the directory."""
        return self._infos[index].CRC

    @contextlib.contextmanager
    def _in_words(self, name: str | None = None) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except _DAMAGED as error:
            what = "its directory is damaged" if name is None else "is damaged, or not as long as declared"
            raise refusal(self._path, f"{what} ({error})", name) from error

    def _refuse_overlaps(self) -> None:
        end = self._zip.start_dir
        for info in sorted(self._infos, key=lambda info: info.header_offset, reverse=True):
            if not 0 <= info.header_offset < end:
                raise refusal(self._path, "overlaps another one, or is outside the archive", _name(info))
            self._stream.seek(info.header_offset)
            mark, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(self._stream.read(_LOCAL_HEADER.size))
            start = info.header_offset + _LOCAL_HEADER.size
            if mark != b"PK\x03\x04" or start + name_bytes + extra_bytes + info.compress_size > end:
                raise refusal(self._path, "overlaps another one, or is outside the archive", _name(info))
            end = info.header_offset


class _Guarded:
    """The archive's stream as the reader sees it: no read larger than a directory can be."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_READ:
            raise refusal(self._path, "its directory is too large")
        content = self._stream.read(size)
        # each entry costs the reader far more memory than its 46 bytes: count before it creates objects
        if content.startswith(_ENTRY_MARK) and content.count(_ENTRY_MARK) > 2 * MAX_ENTRIES:
            raise refusal(self._path, f"it holds more than {MAX_ENTRIES:,} entries")
        return content

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and position < 0:
            raise zipfile.BadZipFile("it points before its start")
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True


def _name(info: zipfile.ZipInfo) -> str:
    """Return an entry's whole name; the reader's own `filename` ends at the first NUL."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8_NAME:  # many programs write UTF-8 without declaring it
        with contextlib.suppress(UnicodeError):
            return name.encode("cp437").decode("utf-8")
    return name


def _separators(info: zipfile.ZipInfo) -> str:
    """Return the path separators in a name: `/` by the format, but programs on Windows write backslashes.

    In several old encodings of Chinese and Japanese, the second byte of a letter may be a backslash's. Where that
    can't be ruled out, it separates nothing.
    """
    name = _name(info)
    declared = info.flag_bits & _UTF8_NAME or name != info.orig_filename
    return "/" if not declared and _HALF_LETTER.search(name) else "/\\"


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename.endswith(tuple(_separators(info)))


def _fault(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is not a file but a device or similar"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in _READABLE:
        method = zipfile.compressor_names.get(info.compress_type, f"method {info.compress_type}")  # type: ignore[attr-defined]
        return f"is compressed by {method}; only the usual method (deflate) is supported"
    if _is_folder(info) and info.file_size:
        return "is a folder with content"
    return ""
