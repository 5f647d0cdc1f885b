"""Tar archives, plain or compressed, read with extra checks on top of Python's own reader.

A tar has no directory: it is read once to check every entry, and once more to unpack. The reader
sees it through a forward-only stream that counts the decompressor's output, and bounds what
one header can hold (the reader holds a header in memory, and searches it in quadratic time).
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from workflows.data.archive_checks import MAX_ENTRIES, ArchiveEntry, check_total, refusal

Compression = Literal["", "gzip", "bzip2", "xz"]

_BLOCK = 512
_CHUNK = 64 * 1024
_LARGEST_HEADER = 64 * 1024
_XZ_MEMORY = 128 * 1024**2  # `xz -9` needs 65 MB to unpack
_DIGITS = re.compile(rb"[0-9]{40}")
_DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError, RecursionError)


class TarReader:
    """The entries of one tar archive. Close its stream to close it."""

    def __init__(self, path: Path, stream: BinaryIO, compression: Compression) -> None:
        self._path = path
        self._stream = stream
        self._compression = compression
        self._packed = os.fstat(stream.fileno()).st_size
        self._entries: list[ArchiveEntry] = []

    def entries(self) -> list[ArchiveEntry]:
        """Read the whole archive and return every entry with its fault, if any.

        Raises:
            SourceError: damaged, cut off, or with more entries or bytes than allowed.
        """
        self._entries = []
        with self._in_words(), self._opened(checking=True) as (tar, through):
            for member in _members(tar):
                self._entries.append(_entry(member))
                if len(self._entries) > 2 * MAX_ENTRIES:
                    raise refusal(self._path, f"it holds more than {MAX_ENTRIES:,} entries")
            if through.last != bytes(_BLOCK):
                raise tarfile.ReadError("its end is missing")
            through.drain()
        return self._entries

    def extract(self, wanted: Collection[int], keep: Callable[[int, IO[bytes]], None]) -> None:
        """Call `keep` with the index and the content of each wanted entry.

        Raises:
            SourceError: damaged, or changed since :meth:`entries`.
        """
        with self._in_words(), self._opened(checking=False) as (tar, _):
            for index, member in enumerate(_members(tar)):
                if index >= len(self._entries) or _entry(member) != self._entries[index]:
                    raise refusal(self._path, "it changed while it was being read")
                stream = tar.extractfile(member) if index in wanted else None
                if stream is not None:
                    keep(index, stream)

    @contextlib.contextmanager
    def _opened(self, checking: bool) -> Iterator[tuple[tarfile.TarFile, _Forward]]:
        self._stream.seek(0)
        through = _Forward(self._path, _decompressed(self._stream, self._compression), self._packed, checking)
        stream: Any = through
        with tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8", errors="surrogateescape") as tar:
            yield tar, through

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise refusal(self._path, f"it is damaged ({error or type(error).__name__})") from error
        except OSError as error:
            if error.errno is not None:
                raise  # an error of the disk, not of the decompressor
            raise refusal(self._path, f"it is damaged ({error})") from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # the reader collects all members; we have them already


def _entry(member: tarfile.TarInfo) -> ArchiveEntry:
    return ArchiveEntry(member.name, member.size, member.isdir(), _fault(member))


def _fault(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "is a link"
    if member.issparse():
        return "is a sparse file"
    if not (member.isreg() or member.isdir()):
        return "is not a file but a device or similar"
    return "is a folder with content" if member.isdir() and member.size else ""


class _Forward:
    """A decompressed archive as the reader sees it: forward-only, counted, with bounded headers."""

    def __init__(self, path: Path, stream: IO[bytes], packed: int, checking: bool) -> None:
        self._path = path
        self._stream = stream
        self._packed = packed
        self._checking = checking
        self._position = 0
        self.last = b""  # the last block read: zeros at a proper end

    def read(self, size: int) -> bytes:
        if size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self.last = self._take(size)
        if self._checking and _DIGITS.search(self.last):
            raise tarfile.ReadError("a header with an unbounded number")
        return self.last

    def _take(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._position += len(content)
        check_total(self._path, self._position, self._packed)
        return content

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("an entry with a negative length")
        while self._position < position and self._take(min(_CHUNK, position - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        return self._position

    def drain(self) -> None:
        """Read to the end, where the decompressor verifies its checksum."""
        while self._take(_CHUNK):
            pass


def _decompressed(stream: BinaryIO, compression: Compression) -> IO[bytes]:
    if compression == "gzip":
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), _CHUNK)
    if compression == "bzip2":
        return bz2.BZ2File(stream)
    return io.BufferedReader(_Xz(stream), _CHUNK) if compression == "xz" else stream


class _Xz(io.RawIOBase):
    """An xz stream, decompressed in bounded memory (the library's reader allocates as much as the stream requests)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._decompressor.eof:
                if not self._next_stream():
                    return 0
            elif self._decompressor.needs_input:
                self._left = self._stream.read(_CHUNK)
                if not self._left:
                    raise EOFError("the compressed data ends too early")
            content = self._decompressor.decompress(self._left, len(buffer))
            self._left = b""
            if content:
                buffer[: len(content)] = content
                return len(content)

    def _next_stream(self) -> bool:
        """Start the next stream, if there is one: several may follow each other, with zeros between."""
        left = self._decompressor.unused_data
        while not left.strip(b"\0"):
            left = self._stream.read(_CHUNK)
            if not left:
                return False
        self._left = left.lstrip(b"\0")
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        return True
