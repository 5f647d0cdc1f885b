"""Seeded archives: sound ones damaged, and such as only an enemy would build."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

Files = dict[str, bytes]
Built = tuple[str, bytes]
"""Suffix and content of an archive."""

NAMES = (
    "../escaped.png",
    "cat/../../escaped.png",
    "/tmp/escaped-absolute.png",
    "//host/share/escaped.png",
    "C:\\escaped.png",
    "C:escaped.png",
    "..\\escaped.png",
    "cat\\inside.png",
    "cat\\..\\..\\escaped.png",
    "cat/..\\../escaped.png",
    "\\escaped-absolute.png",
    "\\\\host\\share\\escaped.png",
    "\\\\?\\C:\\escaped.png",
    "cat\\a.png\\b.png",
    "CAT\\000.PNG",
    "\\",
    "..\\",
    "cat/escaped\0.txt.png",
    "cat/" + "x" * 300 + ".png",
    "d/" * 2500 + "deep.png",
    "cat/./a.png",
    "cat//a.png",
    "",
    ".",
    "..",
    "/",
    "cat/con.png",
    "cat/trailing .png ",
    "cat/\u202egnp.exe",
    "cat/line\nbreak.png",
    "cat/\x1b[31mred.png",
    "~/escaped.png",
    "cat/a.png/b.png",
    "CAT/000.PNG",
)
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A sound zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _mode(compression: str) -> Any:
    return f"w:{compression}"


def tarred(
    files: Files, compression: str = "", form: int = tarfile.PAX_FORMAT, extra: list[tarfile.TarInfo] | None = None
) -> bytes:
    """A sound tar, with entries of any kind at its end."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=_mode(compression), format=form) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in extra or []:
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return stream.getvalue()


def _any_sound(rng: random.Random, files: Files) -> Built:
    if rng.random() < 0.5:
        return ".zip", zipped(files, rng.choice(ZIP_METHODS))
    compression = rng.choice(("", "gz", "bz2", "xz"))
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    return f".tar.{compression}".rstrip("."), tarred(files, compression, form)


def damaged(rng: random.Random, files: Files) -> Built:
    """A sound archive with flipped bits, a cut, an insertion, or fields of its headers set to extremes."""
    suffix, content = _any_sound(rng, files)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(data))
        kind = rng.choice(("flip", "cut", "insert", "zero", "extreme", "tail"))
        if kind == "flip":
            for _ in range(rng.choice((1, 10))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "cut" and at:
            del data[at:]
        elif kind == "insert":
            data[at:at] = rng.randbytes(rng.choice((1, 100, 3000)))
        elif kind == "zero":
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        elif kind == "extreme":
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)))
        else:
            end = max(0, len(data) - rng.randrange(1, 80))  # where a zip keeps its directory's place and size
            data[end : end + 2] = rng.randbytes(2)
    return suffix, bytes(data)


def odd_names(rng: random.Random, files: Files) -> Built:
    """Names that lead out, clash, or can't be file names."""
    odd = {rng.choice(NAMES): b"escaped" for _ in range(rng.choice((1, 1, 4)))}
    if rng.random() < 0.5:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in (files | odd).items():
                entry = zipfile.ZipInfo("x")
                entry.filename = name  # past the constructor, which would clean it
                archive.writestr(entry, content)
        return ".zip", stream.getvalue()
    return ".tar", tarred(files | odd)


def links_and_devices(rng: random.Random, files: Files) -> Built:
    """Entries that are no files, and files that would be written through them."""
    target = rng.choice(("/etc/passwd", "../../..", "/tmp", "cat/000.png", "cat/link", "."))
    if rng.random() < 0.3:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            link = zipfile.ZipInfo("cat/link")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            archive.writestr(link, target)
            archive.writestr("cat/link/through.png", b"through")
        return ".zip", stream.getvalue()
    entry = tarfile.TarInfo("cat/link")
    kinds = (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        b"Z",
    )
    entry.type, entry.linkname, entry.devmajor, entry.mode = rng.choice(kinds), target, 1, 0o4777
    through = tarfile.TarInfo("cat/link/through.png")
    through.size = 7
    return ".tar", tarred(files, extra=[entry, through])


def bombs(rng: random.Random, files: Files) -> Built:
    """Little that becomes much."""
    megabytes = rng.choice((30, 120))
    kind = rng.choice(("zip", "tar.gz", "tar.xz", "overlap", "many", "nested"))
    if kind == "zip":
        return ".zip", zipped(files | {"cat/bomb.png": bytes(megabytes * 2**20)})
    if kind in ("tar.gz", "tar.xz"):
        return f".{kind}", tarred(files | {"cat/bomb.png": bytes(megabytes * 2**20)}, kind[4:])
    if kind == "overlap":
        return ".zip", _overlapping(rng.choice((50, 2000)))
    if kind == "many":
        return ".zip", zipped(files | {f"cat/{number}.png": b"" for number in range(10_000)}, zipfile.ZIP_STORED)
    inner = zipped({"cat/bomb.png": bytes(megabytes * 2**20)})
    return ".zip", zipped({"cat/inner.zip": inner, **files})


def _overlapping(entries: int) -> bytes:
    """Many entries of the directory that share one compressed kernel."""
    content = zipped({"cat/000.png": bytes(2**20)})
    start = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    record = content[start:end]
    records = b"".join(record.replace(b"000", f"{number % 1000:03d}".encode()) for number in range(entries))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, len(records), start, 0)
    return content[:start] + records + tail


def lies(rng: random.Random, files: Files) -> Built:
    """Headers that say other sizes, methods or counts than are there."""
    content = bytearray(zipped(files))
    kind = rng.choice(
        ("size", "packed", "method", "encrypted", "count", "offset", "local name", "zip64", "tar size", "tar pax")
    )
    central, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    if kind == "size":
        content[central + 24 : central + 28] = struct.pack("<L", rng.choice((0, 10, 2**31, 2**32 - 2)))
    elif kind == "packed":
        content[central + 20 : central + 24] = struct.pack("<L", rng.choice((0, 2**31, 2**32 - 2)))
    elif kind == "method":
        content[central + 10 : central + 12] = struct.pack("<H", rng.choice((1, 6, 9, 95, 99, 65535)))
    elif kind == "encrypted":
        content[6] |= 1
        content[central + 8] |= 1
    elif kind == "count":
        content[end + 8 : end + 12] = struct.pack("<HH", *[rng.choice((0, 1, 60_000))] * 2)
    elif kind == "offset":
        content[central + 42 : central + 46] = struct.pack("<L", rng.choice((1, 2**31, central, len(content))))
    elif kind == "local name":
        content[30:33] = b"../"
    elif kind == "zip64":
        content[end + 16 : end + 20] = b"\xff" * 4
        content[end:end] = struct.pack("<4sLQL", b"PK\x06\x07", 0, rng.choice((0, 2**63, len(content))), 1)
    else:
        return ".tar", _lying_tar(rng, files, kind)
    return ".zip", bytes(content)


def _lying_tar(rng: random.Random, files: Files, kind: str) -> bytes:
    entry = tarfile.TarInfo("cat/lie.png")
    if kind == "tar pax":
        entry.pax_headers = rng.choice(
            (
                {"size": "-1"},
                {"size": "99999999999999"},
                {"size": "x"},
                {"path": "../../escaped.png"},
                {"path": "x" * 100_000},
                {"linkpath": "/etc/passwd"},
                {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 12},
                {"GNU.sparse.map": "0,1,99999999999,1", "GNU.sparse.size": "99999999999"},
                {"hdrcharset": "BINARY", "path": "cat/\udcff.png"},
            )
        )
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape") as archive:
            archive.addfile(entry)
        return stream.getvalue()[:-1024] + tarred(files)
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = rng.choice(
        (b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0", b"-0000000001\0", b"            ")
    )
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + tarred(files)


def foreign(rng: random.Random, files: Files) -> Built:
    """Other things in an archive's clothes, empty ones, and ones with planted files."""
    planted = {
        "train.cache": b"\x80\x04.",
        "cat/000.npy": b"\x93NUMPY",
        "weights.pt": b"PK\x03\x04",
        ".ndjson.yaml": b"names: [pwn]",
        "__MACOSX/cat/._000.png": b"\0",
        "setup.py": b"import os",
        "cat/.hidden.png": b"x",
    }
    gz = gzip.compress(tarred(files))
    choices: tuple[Built, ...] = (
        (".zip", b""),
        (".zip", zipped({})),
        (".tar", tarred({})),
        (".tar.gz", gzip.compress(b"")),
        (".zip", tarred(files, "gz")),
        (".tar", zipped(files)),
        (".zip", zipped(dict.fromkeys(("readme.txt", "a/b.txt"), b"text"))),
        (".tar.gz", gz + gz),
        (".tar.gz", gz + rng.randbytes(100)),
        (".tar.bz2", bz2.compress(rng.randbytes(5000))),
        (".tar.xz", lzma.compress(rng.randbytes(5000))),
        (".tar.gz", gzip.compress(rng.randbytes(20_000))),
        (".zip", b"PK\x03\x04" + rng.randbytes(500)),
        (".7z", b"7z\xbc\xaf\x27\x1c" + rng.randbytes(500)),
        (".rar", b"Rar!\x1a\x07\0" + rng.randbytes(500)),
        (".zip", rng.randbytes(300) + zipped(files)),
        (".zip", zipped(files) + rng.randbytes(300)),
        (".zip", zipped(files | planted)),
        (".tar", tarred(files | planted)),
        (".zip", zipped({**files, "cat": b"a file with the name of a folder"})),
    )
    return rng.choice(choices)


def twins(rng: random.Random, files: Files) -> Built:
    """The same name twice, also by case or by Unicode form."""
    first = next(iter(files))
    again = rng.choice(
        (first, first.upper(), first.replace("a", "a\u0301"), first.replace("a", "\u00e1"), f"./{first}")
    )
    names = [*files, again, first.replace("a", "\u00e1")]
    if rng.random() < 0.5:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name in names:
                archive.writestr(name, files.get(name, b"second"))
        return ".zip", stream.getvalue()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(files[first])
            tar.addfile(entry, io.BytesIO(files[first]))
    return ".tar", stream.getvalue()


KINDS: tuple[Callable[[random.Random, Files], Built], ...] = (
    damaged,
    odd_names,
    damaged,
    links_and_devices,
    damaged,
    lies,
    damaged,
    foreign,
    bombs,
    twins,
)


def hostile_archives(seed: int, count: int, files: Files) -> Iterator[tuple[str, bytes]]:
    """Yield `count` file names and contents; the same seed gives the same ones."""
    rng = random.Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        suffix, content = kind(rng, files)
        yield f"{number:03d} {kind.__name__}{suffix}", content
