"""How large an image may be, checked in its header before anything is decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from workflows.errors import ImageError

MAX_PIXELS = 50_000_000
MAX_SIDE = 10_000
LARGE_PIXELS = 25_000_000  # above, images are decoded one at a time: a single one can take 0.8 GB
MIN_SIDE = 10  # below this an image holds nothing that a network could learn from
MAX_BYTES = 512 * 1024**2  # of a file, and of its raw samples
SMALLER = "Import a smaller copy of it."

_one_at_a_time = threading.Lock()


def check_size(width: int, height: int) -> None:
    """Check the size of an image before decoding it. Raises ImageError if it is too large or too small."""
    size = f"{width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise ImageError(f"{size} is more than {MAX_PIXELS // 1_000_000} megapixels", SMALLER)
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{size}: a side is longer than {MAX_SIDE:,} pixels", SMALLER)
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{size}: a side is shorter than {MIN_SIDE} pixels", "Enlarge the images first.")


@contextmanager
def room_for(pixels: int) -> Iterator[None]:
    """Make large images be decoded one at a time."""
    if pixels <= LARGE_PIXELS:
        yield
        return
    with _one_at_a_time:
        yield
