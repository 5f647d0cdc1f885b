"""Made-up image files for tests of reading: every format, a picture that shows which side is up, PNGs made by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

Image.init()

FORMATS = [
    format
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    if format in Image.SAVE  # older Pillows lack AVIF
]


def quadrants() -> np.ndarray:
    """A picture that shows which side is up: red, green / blue, grey; 40 wide, 30 high."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:15, :20], pixels[:15, 20:] = (255, 0, 0), (0, 255, 0)
    pixels[15:, :20], pixels[15:, 20:] = (0, 0, 255), (128, 128, 128)
    return pixels


def png(width: int, height: int, rows: bytes, depth: int = 8, extra: bytes = b"") -> bytes:
    """A PNG put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits per channel, which Pillow itself can't write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, depth=16)
