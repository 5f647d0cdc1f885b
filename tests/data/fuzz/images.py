"""Sound images of many formats, and seeded damage done to them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 48
SUFFIXES = {
    "jpeg": ".jpg",
    "progressive jpeg": ".jpeg",
    "cmyk jpeg": ".jpg",
    "png": ".png",
    "palette png": ".png",
    "16-bit png": ".png",
    "animated png": ".png",
    "gif": ".gif",
    "bmp": ".bmp",
    "webp": ".webp",
    "animated webp": ".webp",
    "tiff": ".tiff",
    "16-bit tiff": ".tif",
    "ppm": ".ppm",
    "avif": ".avif",
    "jpeg 2000": ".jp2",
    "mpo": ".mpo",
}
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def _picture(seed: int) -> Image.Image:
    """A smooth picture with a little noise, so that every format has something to compress."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, SIDE)
    planes = np.stack([np.add.outer(ramp, ramp) / 2, np.add.outer(ramp, ramp[::-1]) / 2, np.full((SIDE, SIDE), 99)], 2)
    return Image.fromarray(np.clip(planes + rng.normal(0, 20, planes.shape), 0, 255).astype(np.uint8))


def _encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=format_name, **options)
    return stream.getvalue()


@cache
def sound_images() -> dict[str, bytes]:
    """One sound image of each kind."""
    one, more = _picture(0), [_picture(1), _picture(2)]
    deep = Image.fromarray((np.asarray(one.convert("L"), np.uint16) * 257).astype(np.uint16))
    turned = Image.Exif()
    turned[0x0112], turned[0x0110] = 6, "Camera"
    return {
        "jpeg": _encoded(one, "JPEG", exif=turned, quality=85),
        "progressive jpeg": _encoded(one, "JPEG", progressive=True, quality=60),
        "cmyk jpeg": _encoded(one.convert("CMYK"), "JPEG"),
        "png": _encoded(one, "PNG"),
        "palette png": _encoded(one.quantize(16), "PNG", transparency=3),
        "16-bit png": _encoded(deep, "PNG"),
        "animated png": _encoded(one, "PNG", save_all=True, append_images=more),
        "gif": _encoded(one.quantize(64), "GIF", save_all=True, append_images=[m.quantize(64) for m in more]),
        "bmp": _encoded(one, "BMP"),
        "webp": _encoded(one, "WEBP"),
        "animated webp": _encoded(one, "WEBP", save_all=True, append_images=more),
        "tiff": _encoded(one, "TIFF", compression="tiff_lzw", save_all=True, append_images=more),
        "16-bit tiff": _encoded(deep, "TIFF"),
        "ppm": _encoded(one, "PPM"),
        "avif": _encoded(one, "AVIF"),
        "jpeg 2000": _encoded(one, "JPEG2000"),
        "mpo": _encoded(one, "MPO", save_all=True, append_images=more),
    }


def _flip(rng: random.Random, content: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 3, 30))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, content: bytearray) -> None:
    del content[rng.choice((rng.randrange(len(content)), rng.randrange(min(64, len(content))), len(content) - 2)) :]


def _insert(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    content[at:at] = rng.randbytes(rng.choice((1, 4, 100, 5000)))


def _overwrite(rng: random.Random, content: bytearray) -> None:
    at, length = rng.randrange(len(content)), rng.choice((4, 64, 1000))
    content[at : at + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def _repeat(rng: random.Random, content: bytearray) -> None:
    start = rng.randrange(len(content))
    piece = content[start : start + rng.choice((12, 200, 2000))]
    at = rng.randrange(len(content))
    content[at:at] = piece * rng.choice((1, 3, 50))


def _header_field(rng: random.Random, content: bytearray) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        width = rng.choice((1, 2, 4))
        at = rng.randrange(max(1, min(200, len(content) - width)))
        number = rng.choice(EXTREMES) & (256**width - 1)
        content[at : at + width] = number.to_bytes(width, rng.choice(("big", "little")))


def _lie_about_size(rng: random.Random, content: bytearray) -> None:
    """Give the size fields of the formats that have them in a known place another value, with a right checksum."""
    width, height = rng.choice(((65535, 65535), (100_000, 1), (1, 60_000), (0, 0), (9_000, 9_000), (2**31 - 1, 2)))
    if content[:4] == b"\x89PNG":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    elif content[:2] == b"\xff\xd8":
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            at = content.find(marker)
            if at > 0:
                content[at + 5 : at + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif content[:3] == b"GIF":
        content[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif content[:2] == b"BM":
        content[18:26] = struct.pack("<ii", width, rng.choice((height, -height)))
    elif content[:2] == b"P6":
        content[:] = b"P6 %d %d 255\n" % (width, height) + content[15:]
    else:
        _header_field(rng, content)


def _text_bomb(rng: random.Random, content: bytearray) -> None:
    """Put a compressed text of many megabytes into a PNG, or a long comment into whatever else."""
    if content[:4] == b"\x89PNG":
        body = b"zTXtcomment\0\0" + zlib.compress(bytes(rng.choice((1, 80)) * 2**20), 9)
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        content[33:33] = chunk
    else:
        content[len(content) // 2 : len(content) // 2] = b"\xff\xfe\xff\xff" + bytes(65_533)


def _append(rng: random.Random, content: bytearray) -> None:
    content += rng.choice(
        (rng.randbytes(20), b"PK\x03\x04" + rng.randbytes(100), b"<script>alert(1)</script>", bytes(9))
    )


def _cross(rng: random.Random, content: bytearray) -> None:
    other = rng.choice(list(sound_images().values()))
    at = rng.randrange(len(content))
    content[at:] = other[rng.randrange(len(other)) :]


DAMAGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip,
    _cut,
    _insert,
    _overwrite,
    _repeat,
    _header_field,
    _lie_about_size,
    _text_bomb,
    _append,
    _cross,
)


def damaged_images(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` names and contents; the same seed gives the same ones, a longer series begins like a shorter."""
    rng = random.Random(seed)
    kinds = list(sound_images().items())
    for number in range(count):
        kind, sound = kinds[number % len(kinds)]
        content = bytearray(sound)
        for damage in rng.sample(DAMAGES, rng.choice((1, 1, 1, 2, 3))):
            damage(rng, content)
            if not content:
                content = bytearray(rng.choice((b"", b"\0", b"\xff\xd8")))
                break
        suffix = SUFFIXES[kind] if rng.random() < 0.9 else rng.choice(list(SUFFIXES.values()))
        yield f"{number:04d} {kind}{suffix}", bytes(content)


def write_sound(folder: Path, count: int, seed: int = 7) -> None:
    """Write `count` different tiny images to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"sound-{number:03d}.png")
