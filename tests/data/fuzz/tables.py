"""Seeded label files: what people, spreadsheets, programs and enemies write."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

FILENAME_HEADERS = ("filename", "Filename", "FILE", "image", "path", " filename ", "name", "", "filename\0", "Bild")
LABEL_HEADERS = ("label", "Label", "class", "CATEGORY", "label ", "klasse", "", "filename")
EXTRA_HEADERS = ("split", "camera", "split", "label", "x" * 3000, "", "=cmd()", "Split", "group")
LABELS = (
    "cat",
    "dog",
    "NA",
    "007",
    "None",
    "null",
    "nan",
    "",
    " cat ",
    "Cat",
    "=HYPERLINK(1)",
    "ca\nt",
    "ä\u0301",
    "🐈",
)
ODD_LABELS = ("x" * 200_000, "\0", "../..", "a/b", "cat\u202egod", "\ud800", "CON", ".", "1e999", "\x1b[31m")
ODD_NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "..\\..\\x.png",
    "a/../../x.png",
    "",
    ".",
    "sound-000.png\0.jpg",
    "SOUND-001.PNG",
    "nowhere.png",
    "x" * 5000 + ".png",
    "file:///etc/passwd",
    "http://127.0.0.1:9/x.png",
    "~/x.png",
    "$HOME/x.png",
)
SPLITS = ("train", "val", "test", "", "TRAIN", "training", "holdout", "0")
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "utf-32")


def _cell(rng: random.Random, text: str, delimiter: str, odd: float) -> str:
    if any(mark in text for mark in (delimiter, '"', "\n")) or rng.random() < 0.1:
        quoted = text.replace('"', '""')
        return f'"{quoted}"' if rng.random() >= odd / 4 else f'"{text}'
    return text


def _row(rng: random.Random, files: Sequence[str], headers: Sequence[str], odd: float) -> list[str]:
    cells = []
    for position, header in enumerate(headers):
        if position == 0:
            cells.append(rng.choice(ODD_NAMES) if rng.random() < odd else rng.choice(files))
        elif header.strip().lower() == "split":
            cells.append(rng.choice(SPLITS) if rng.random() < odd else rng.choice(SPLITS[:3]))
        else:
            cells.append(
                rng.choice(ODD_LABELS if rng.random() < odd / 4 else LABELS[: 2 if rng.random() > odd else None])
            )
    if rng.random() < odd / 4:
        cells = cells[: rng.randrange(len(cells) + 1)] if rng.random() < 0.5 else [*cells, "more"]
    return cells


def _written(rng: random.Random, files: Sequence[str]) -> bytes:
    """A table of this folder by somebody who is careful (`odd` = 0), hasty, or means harm."""
    odd = rng.choice((0.0, 0.0, 0.01, 0.3))
    headers = [
        FILENAME_HEADERS[0] if rng.random() > odd else rng.choice(FILENAME_HEADERS),
        LABEL_HEADERS[0] if rng.random() > odd else rng.choice(LABEL_HEADERS),
        *rng.sample(EXTRA_HEADERS, rng.choice((0, 1, 3)) if odd > 0.1 else 0),
        *(["camera"] if rng.random() < 0.3 else []),
    ]
    delimiter = rng.choice((",", ",", ";", "\t", "|", " ") if odd else (",", ";", "\t"))
    rows = [
        _row(rng, files, headers, odd)
        for _ in range(rng.choice((0, len(files), 2 * len(files))) if odd else len(files))
    ]
    if odd < 0.1 or rng.random() < 0.5:
        for row, name in zip(rows, files, strict=False):
            row[:1] = [name]
    lines = [delimiter.join(_cell(rng, cell, delimiter, odd) for cell in row) for row in [headers, *rows]]
    if rng.random() < odd:
        lines.insert(0, rng.choice(("", "sep=;", "# made by a program", "\ufeff")))
    text = rng.choice(("\n", "\n", "\r\n", "\r", "\n\n")).join(lines) + rng.choice(("", "\n"))
    return text.encode(rng.choice(ENCODINGS) if odd else rng.choice(("utf-8", "utf-8-sig")), "replace")


def _sound(files: Sequence[str]) -> bytes:
    rows = [f"{name},{'cat' if number % 2 else 'dog'}" for number, name in enumerate(files)]
    return "\n".join(["filename,label", *rows, ""]).encode()


def _flip(rng: random.Random, content: bytearray) -> None:
    for _ in range(rng.choice((1, 5, 40))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, content: bytearray) -> None:
    del content[rng.randrange(len(content)) :]


def _insert(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    pieces = (
        b"\0",
        b'"',
        b"\xff\xfe",
        b"\r",
        b",,,,",
        b"\n\n\n",
        rng.randbytes(50),
        b'"' + b"x" * 200_000,
        b"\xef\xbb\xbf",
    )
    content[at:at] = rng.choice(pieces)


def _replace_all(rng: random.Random, content: bytearray) -> None:
    whole = (
        b"",
        b"\n",
        b"PK\x03\x04" + rng.randbytes(3000),
        b"\xd0\xcf\x11\xe0" + rng.randbytes(3000),
        b"filename,label\n" * 5000,
        b"," * 200_000,
        b'"' * 100_001,
        b"filename,label\n" + b"a.png,cat\n" * 100_000,
        b"<html><body>login</body></html>",
        b'{"images": []}',
        b"\xff" * 4096,
        bytes(4096),
    )
    content[:] = rng.choice(whole)


DAMAGES: tuple[Callable[[random.Random, bytearray], None], ...] = (_flip, _cut, _insert, _replace_all)


def label_files(seed: int, count: int, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield `count` names and contents of label files for a folder that holds `files`."""
    rng = random.Random(seed)
    for number in range(count):
        if rng.random() < 0.6:
            yield f"{number:03d} written", _written(rng, files)
        else:
            content, damage = bytearray(_sound(files)), rng.choice(DAMAGES)
            damage(rng, content)
            yield f"{number:03d} {damage.__name__.strip('_')}", bytes(content)
