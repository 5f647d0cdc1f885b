"""Cached thumbnails of images.

They can be deleted at any time: `HOME/cache/thumbnails/SIDE/ab/ab…jpg`, one for each content, size and rendering.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from workflows.data.images import read_rgb
from workflows.data.rendering import Rendering
from workflows.errors import ImageError
from workflows.store.files import storage_errors
from workflows.store.store import Store

SIDE = 192
QUALITY = 85
# Decoders release Python's lock; more threads than a small machine has cores would only hold more images in memory.
THREADS = 4


def thumbnail(store: Store, sha256: str, side: int = SIDE, rendering: Rendering | None = None) -> Path:
    """Return a JPEG of the image with this content, at most `side` pixels wide and high; created if absent.

    `rendering` is that of the version in which the image is viewed.

    Raises:
        ImageError: the image can't be read.
        StorageError: `sha256` is not a SHA-256, or the disk is full or refuses.
    """
    blob = store.blobs.path(sha256)
    folder = str(side) if rendering is None else f"{side}-{rendering.key}"
    path = store.cache_folder / "thumbnails" / folder / sha256[:2] / f"{sha256}.jpg"
    if _is_whole(path):
        return path
    picture = Image.fromarray(read_rgb(blob, rendering))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=QUALITY)
    # no fsync, which takes longer than the rest: a cache may be lost
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content.getvalue())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def thumbnails(
    store: Store, contents: Iterable[str], side: int = SIDE, rendering: Rendering | None = None
) -> dict[str, Path]:
    """Return the thumbnails of many images by their SHA-256; those that can't be read are left out.

    Raises:
        StorageError: the disk is full or refuses.
    """
    wanted = list(dict.fromkeys(contents))

    def make(sha256: str) -> Path | None:
        try:
            return thumbnail(store, sha256, side, rendering)
        except ImageError:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        made = dict(zip(wanted, pool.map(make, wanted), strict=True))
    return {sha256: path for sha256, path in made.items() if path is not None}


def _is_whole(path: Path) -> bool:
    """Return whether the file exists and is not empty; a power failure can leave an empty one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
