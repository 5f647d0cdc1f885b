"""Archives for tests: sound ones, and ones that no honest program writes."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.data.conftest import encoded, picture, write
from workflows.data.sources import Reading, Scan, open_source

PHOTO = encoded(picture("one"))
TWO_CLASSES = {"a/1.png": PHOTO, "b/2.png": PHOTO}
TARS = {"tar": "", "tar.gz": "gz", "tar.bz2": "bz2", "tar.xz": "xz"}
KINDS = ("zip", *TARS)


def make_zip(path: Path, entries: dict[str, bytes] | Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    """A deflated zip archive; pairs may repeat a name."""
    pairs = list(entries.items()) if isinstance(entries, dict) else entries
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return path


def make_tar(path: Path, entries: dict[str, bytes] | Sequence[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    """A tar archive, compressed by its suffix."""
    pairs = list(entries.items()) if isinstance(entries, dict) else entries
    with tarfile.open(path, f"w:{TARS[path.name.partition('.')[2]]}") as archive:  # type: ignore[call-overload]
        for name, content in pairs:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def make_archive(path: Path, entries: dict[str, bytes]) -> Path:
    """An archive of the kind that its suffix says."""
    return make_zip(path, entries) if path.suffix == ".zip" else make_tar(path, entries)


class RawEntry:
    """One zip entry, byte by byte: what the directory says may differ from what is there."""

    def __init__(
        self,
        name: bytes,
        content: bytes = PHOTO,
        *,
        says: int | None = None,
        method: int = zipfile.ZIP_DEFLATED,
        flags: int = 0x800,
        at: int | None = None,
    ) -> None:
        """Make one; `says` is its declared size, `at` the entry whose bytes it shares."""
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.packed = packer.compress(content) + packer.flush() if method == zipfile.ZIP_DEFLATED else content
        size = len(content) if says is None else says
        self.name, self.at = name, at
        self._facts = (flags, method, 0, 0x21, zlib.crc32(content), len(self.packed), size, len(name), 0)

    def local(self) -> bytes:
        """The header and the content."""
        return struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, *self._facts) + self.name + self.packed

    def central(self, offset: int) -> bytes:
        """The line in the directory."""
        return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, *self._facts, 0, 0, 0, 0, offset) + self.name


def raw_zip(path: Path, entries: Sequence[RawEntry], says: int | None = None) -> Path:
    """A zip archive of raw entries; `says` is the size of the directory by the archive's end."""
    body, directory = b"", b""
    offsets: list[int] = []
    for entry in entries:
        offsets.append(len(body) if entry.at is None else offsets[entry.at])
        body += entry.local() if entry.at is None else b""
        directory += entry.central(offsets[-1])
    size = len(directory) if says is None else says
    number = min(len(entries), 0xFFFF)
    return write(
        path, body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, size, len(body), 0)
    )


def opened(archive: Path, workspace: Path, labels: Path | None = None, **options: bool) -> AbstractContextManager[Scan]:
    """Open an archive as a source."""
    return open_source(archive, labels, workspace=workspace, reading=Reading(**options))


def left(workspace: Path) -> list[Path]:
    """What lies in a workspace, but for the locks."""
    return [path for path in workspace.glob("**/*") if path.suffix != ".lock"] if workspace.exists() else []
