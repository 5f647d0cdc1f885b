"""The size and orientation of a JPEG XL image, from its header: decoders report them only after decoding all of it.

The layout is that of ISO/IEC 18181-1 (codestream) and 18181-2 (boxes around it).
"""

from __future__ import annotations

from dataclasses import dataclass

from workflows.errors import ImageError

_CODESTREAM = b"\xff\x0a"
_BOXES_LOOKED_AT = 1000
_ENOUGH = 40  # bytes that always hold the whole header
# width : height, where the height alone is stored
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class JxlHeader:
    """Width and height in pixels, as stored; the orientation, 1-8, that decoders apply themselves."""

    width: int
    height: int
    orientation: int


def jxl_header(content: bytes) -> JxlHeader:
    """Read the header of a JPEG XL image.

    Raises:
        ImageError: damaged.
    """
    bits = _Bits(_codestream(content)[2:_ENOUGH])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        width = height * across // down
    else:
        width = _side(bits, small)
    all_default = bits.take(1)
    orientation = 1 + bits.take(3) if not all_default and bits.take(1) else 1
    return JxlHeader(width, height, orientation)


def _side(bits: _Bits, small: int) -> int:
    """Read one side: eighths in 5 bits for small pictures, else 9, 13, 18 or 30 bits."""
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take((9, 13, 18, 30)[bits.take(2)])


def _codestream(content: bytes) -> bytes:
    """Return the beginning of the codestream: the file itself, or its boxes, which may hold it in parts."""
    if content.startswith(_CODESTREAM):
        return content[:_ENOUGH]
    found, position = b"", 0
    for _ in range(_BOXES_LOOKED_AT):
        length, kind = int.from_bytes(content[position : position + 4], "big"), content[position + 4 : position + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(content[position + 8 : position + 16], "big"), 16
        end = position + length if length else len(content)  # 0: up to the end of the file
        if kind in (b"jxlc", b"jxlp"):
            start = position + head + (4 if kind == b"jxlp" else 0)  # a part begins with its number
            found += content[start : min(end, start + _ENOUGH)]
        if len(found) >= _ENOUGH or end <= position or end >= len(content):
            break
        position = end
    if not found.startswith(_CODESTREAM):
        raise ImageError("damaged (it holds no image)")
    return found


class _Bits:
    """A bit reader, lowest bit first."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "little"), 8 * len(content)

    def take(self, number: int) -> int:
        """Return the next bits as a number."""
        self._left -= number
        if self._left < 0:
            raise ImageError("damaged (truncated)")
        taken = self._value & ((1 << number) - 1)
        self._value >>= number
        return taken
