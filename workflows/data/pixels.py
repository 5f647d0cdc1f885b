"""Decoded pixels: how a photo becomes the network's square, and the store of photos decoded once.

Training reads photos many times; decoding them each time costs more than the network does on a small
machine (measured: JPEG decode 620/s against 6,000-11,000/s for a random crop of decoded pixels). So
every photo is decoded once into a memory-mapped file of 8-bit pixels, slightly larger than the network's
input so that random crops keep their detail; validation and test photos exactly as prediction sees them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from PIL import Image

from workflows.data.images import read_rgb
from workflows.errors import StorageError
from workflows.graph.settings import Square
from workflows.progress import Progress, silent
from workflows.store.files import free_bytes, write_json

FORMAT = 1
"""Part of every cache key: raise it when pixels come out differently."""

MARGIN = 1.25
"""Training photos are kept this much larger than the network's input, so that crops keep their detail."""

WIDEST = 2.0
"""In `crop` mode no more than this aspect ratio is kept of a very long photo for training."""

PADDING = 114
"""Grey level of the borders in `pad` mode (the middle of ImageNet's brightness)."""


@dataclass(frozen=True)
class SquareTransform:
    """The one deterministic way from a photo to the network's input.

    Validation, test, prediction and explanation all use it; it is stored with the model. `crop` equals
    torchvision's `Resize(size)` + `CenterCrop(size)` on 8-bit images, which is what Ultralytics does.
    """

    size: int
    square: Square

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Turn `rgb` (uint8, height × width × 3) into uint8, size × size × 3."""
        return make_square(rgb, self.size, self.square)


def make_square(rgb: np.ndarray, size: int, square: Square) -> np.ndarray:
    """Return `rgb` (uint8 HWC) as a square of `size` pixels by cropping, padding or stretching."""
    height, width = rgb.shape[:2]
    if square == "stretch":
        return _resize(rgb, size, size)
    if square == "pad":
        scale = size / max(height, width)
        new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (size - new_height) // 2, (size - new_width) // 2
        canvas = np.full((size, size, 3), PADDING, np.uint8)
        canvas[top : top + new_height, left : left + new_width] = _resize(rgb, new_height, new_width)
        return canvas
    short = min(height, width)
    new_height = size if height == short else int(size * height / short)
    new_width = size if width == short else int(size * width / short)
    top, left = round((new_height - size) / 2.0), round((new_width - size) / 2.0)
    return np.ascontiguousarray(_resize(rgb, new_height, new_width)[top : top + size, left : left + size])


def training_pixels(rgb: np.ndarray, size: int, square: Square) -> np.ndarray:
    """Return what is kept of a training photo (uint8 HWC): the same way to a square, with room to crop.

    A photo is never enlarged here. In `crop` mode it keeps its aspect ratio (up to `WIDEST`), so that random
    crops reach all of it; in the other modes it is the square that evaluation would see.
    """
    height, width = rgb.shape[:2]
    target = math.ceil(size * MARGIN)
    if square != "crop":
        return make_square(rgb, max(1, min(target, max(height, width))), square)
    longest = round(WIDEST * min(height, width))
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    kept = rgb[top : top + min(height, longest), left : left + min(width, longest)]
    scale = target / min(height, width)
    if scale >= 1.0:
        return np.ascontiguousarray(kept)
    return _resize(kept, max(1, round(kept.shape[0] * scale)), max(1, round(kept.shape[1] * scale)))


def _resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Pixels:
    """Decoded photos of one version, split and transform.

    `evaluation` holds the squares of val and test photos (uint8, n × size × size × 3, memory-mapped);
    training photos differ in size and lie one after the other in `training`.
    """

    transform: SquareTransform
    evaluation: np.ndarray
    training: np.ndarray
    rows: pd.DataFrame
    """One row per photo: image_id, split, position (in its file), height, width, offset (bytes; training only)."""

    def squares(self, image_ids: Sequence[str]) -> np.ndarray:
        """Return the network's inputs of val or test photos, uint8 [n, size, size, 3], in the order asked."""
        positions = self.rows.set_index("image_id")["position"].loc[list(image_ids)].to_numpy()
        return self.evaluation[positions]

    def training_rows(self) -> pd.DataFrame:
        """Return the rows of the training photos, in the order of their position."""
        return self.rows[self.rows["split"] == "train"].sort_values("position", ignore_index=True)


def open_pixels(
    records: pd.DataFrame,
    locate: Callable[[str], Path],
    transform: SquareTransform,
    cache_folder: Path,
    progress: Progress = silent,
    threads: int | None = None,
) -> Pixels:
    """Decode the photos of `records` once, or find them decoded.

    Args:
        records: one row per photo with `image_id`, `sha256`, `split` (train, val or test).
        locate: gives the file of a SHA-256.
        transform: the way to the network's square.
        cache_folder: where decoded pixels are kept; may be emptied at any time between runs.
        progress: told after each photo.
        threads: decoders side by side; default one per core (Pillow releases the interpreter lock).

    Raises:
        StorageError: there is not enough room on the disk.
        ImageError: a stored photo can't be read any more.
    """
    ordered = records[["image_id", "sha256", "split"]].sort_values(["split", "image_id"], ignore_index=True)
    folder = cache_folder / "pixels" / _cache_key(ordered, transform)
    if not (folder / "rows.parquet").exists():
        _build(ordered, locate, transform, folder, progress, threads or os.cpu_count() or 1)
    rows = pd.read_parquet(folder / "rows.parquet")
    evaluation = _map(folder / "evaluation.bin").reshape(-1, transform.size, transform.size, 3)
    return Pixels(transform, evaluation, _map(folder / "training.bin"), rows)


def _cache_key(ordered: pd.DataFrame, transform: SquareTransform) -> str:
    digest = hashlib.blake2b(json.dumps([FORMAT, MARGIN, asdict(transform)]).encode(), digest_size=16)
    for column in ("image_id", "sha256", "split"):
        digest.update("\0".join(ordered[column].astype(str)).encode())
    return digest.hexdigest()


def _map(path: Path) -> np.ndarray:
    if path.stat().st_size == 0:  # an empty file can't be mapped
        return np.zeros(0, np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r")


def _build(
    ordered: pd.DataFrame,
    locate: Callable[[str], Path],
    transform: SquareTransform,
    folder: Path,
    progress: Progress,
    threads: int,
) -> None:
    """Write the cache beside its final name, then rename: a half cache is never opened."""
    _check_room(ordered, transform, folder.parent)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        rows = _decode_all(ordered, locate, transform, partial, progress, threads)
        rows.to_parquet(partial / "rows.parquet", index=False)
        write_json(partial / "about.json", asdict(transform) | {"images": len(ordered)})
        if (folder / "rows.parquet").exists():
            return  # another process was faster, and may be reading its files already
        shutil.rmtree(folder, ignore_errors=True)  # what an emptied cache left
        partial.rename(folder)
    except OSError as error:
        raise StorageError(
            f"The decoded photos can't be written to {folder.parent}: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_room(ordered: pd.DataFrame, transform: SquareTransform, parent: Path) -> None:
    parent.mkdir(parents=True, exist_ok=True)
    pixels = transform.size**2 * 3
    training = int((ordered["split"] == "train").sum())
    needed = pixels * (len(ordered) - training) + round(pixels * MARGIN**2 * 1.5) * training
    if free_bytes(parent) < needed:
        raise StorageError(
            f"Decoding the photos needs about {needed / 1e9:.1f} GB in {parent}, but {free_bytes(parent) / 1e9:.1f} GB are free.",
            "Free some space, choose a smaller image size, or set FIELDGUIDE_HOME to a larger disk.",
        )


def _decode_all(
    ordered: pd.DataFrame,
    locate: Callable[[str], Path],
    transform: SquareTransform,
    folder: Path,
    progress: Progress,
    threads: int,
) -> pd.DataFrame:
    def decode(row: tuple[str, str]) -> np.ndarray:
        sha256, split = row
        rgb = read_rgb(locate(sha256))
        return training_pixels(rgb, transform.size, transform.square) if split == "train" else transform(rgb)

    ids, hashes, splits = (ordered[column].tolist() for column in ("image_id", "sha256", "split"))
    rows = []
    with (
        (folder / "training.bin").open("wb") as training,
        (folder / "evaluation.bin").open("wb") as evaluation,
        ThreadPoolExecutor(threads) as pool,
    ):
        files = {"train": _PixelFile(training), "other": _PixelFile(evaluation)}
        decoded = _map_in_order(pool, decode, zip(hashes, splits, strict=True), ahead=4 * threads)
        for image_id, split, pixels in zip(ids, splits, decoded, strict=True):
            position, offset = files[split if split == "train" else "other"].append(pixels)
            rows.append((image_id, split, position, pixels.shape[0], pixels.shape[1], offset))
            progress("decode photos", len(rows), len(ids))
    return pd.DataFrame(rows, columns=["image_id", "split", "position", "height", "width", "offset"])


@dataclass
class _PixelFile:
    """A file of decoded photos, one after the other."""

    handle: BinaryIO
    photos: int = 0
    size: int = 0

    def append(self, pixels: np.ndarray) -> tuple[int, int]:
        """Write a photo and return its number and the byte it begins at."""
        place = self.photos, self.size
        self.handle.write(pixels.tobytes())
        self.photos += 1
        self.size += pixels.size
        return place


def _map_in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[tuple[str, str]], np.ndarray],
    tasks: Iterable[tuple[str, str]],
    ahead: int,
) -> Iterable[np.ndarray]:
    """Like `pool.map`, but with no more than `ahead` results waiting in memory."""
    waiting = []
    for task in tasks:
        waiting.append(pool.submit(work, task))
        if len(waiting) >= ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()
