"""Decoded pixels: how an image becomes the network's square input, and the cache of decoded images.

Training reads images many times; decoding them each time costs more than the network itself on a small
machine (measured: JPEG decode 620/s against 6,000-11,000/s for a random crop of decoded pixels). So
every image is decoded once into a memory-mapped file of 8-bit pixels, slightly larger than the network's
input so that random crops keep their detail; validation and test images exactly as prediction sees them.
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
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from PIL import Image

from workflows.data.images import read_rgb
from workflows.data.rendering import Rendering
from workflows.errors import StorageError
from workflows.graph.settings import Square
from workflows.progress import Progress, silent
from workflows.store.files import free_bytes, write_json
from workflows.store.locks import FileLock, hold

FORMAT = 1
"""Part of every cache key: increment it when the pixels change."""

MARGIN = 1.25
"""Training images are cached this much larger than the network's input, so that crops keep their detail."""

WIDEST = 2.0
"""In `crop` mode, very long training images are cropped to this aspect ratio."""

PADDING = 114
"""Grey level of the borders in `pad` mode (the middle of ImageNet's brightness)."""


@dataclass(frozen=True)
class SquareTransform:
    """The single deterministic transform from an image to the network's input.

    Validation, test, prediction and explanation all use it; it is stored with the model. `crop` equals
    torchvision's `Resize(size)` + `CenterCrop(size)` on 8-bit images, which is what Ultralytics does.
    """

    size: int
    square: Square
    rendering: Rendering | None = None
    """How raw samples are rendered; None for models from before renderings existed."""

    def read(self, source: Path | bytes) -> np.ndarray:
        """Turn a file, or the bytes of one, into uint8, size × size × 3. Raises ImageError."""
        return self(read_rgb(source, self.rendering))

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
    """Return the cached pixels of a training image (uint8 HWC): the same transform, with room to crop.

    An image is never enlarged here. In `crop` mode it keeps its aspect ratio (up to `WIDEST`), so that random
    crops reach all of it; in the other modes it is the square that evaluation would see.
    """
    height, width = rgb.shape[:2]
    target = math.ceil(size * MARGIN)
    if square != "crop":
        return make_square(rgb, max(1, min(target, max(height, width))), square)
    longest = round(WIDEST * min(height, width))
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    cropped = rgb[top : top + min(height, longest), left : left + min(width, longest)]
    scale = target / min(height, width)
    if scale >= 1.0:
        return np.ascontiguousarray(cropped)
    return _resize(cropped, max(1, round(cropped.shape[0] * scale)), max(1, round(cropped.shape[1] * scale)))


def _resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Pixels:
    """Decoded images of one version, split and transform.

    `evaluation` holds the squares of val and test images (uint8, n × size × size × 3, memory-mapped);
    training images differ in size and are stored one after the other in `training`.
    """

    transform: SquareTransform
    evaluation: np.ndarray
    training: np.ndarray
    rows: pd.DataFrame
    """One row per image: image_id, split, position (in its file), height, width, offset (bytes; training only)."""

    def squares(self, image_ids: Sequence[str]) -> np.ndarray:
        """Return the network's inputs of val or test images, uint8 [n, size, size, 3], in the order of `image_ids`."""
        positions = self.rows.set_index("image_id")["position"].loc[list(image_ids)].to_numpy()
        return self.evaluation[positions]

    def training_rows(self) -> pd.DataFrame:
        """Return the rows of the training images, in the order of their position."""
        return self.rows[self.rows["split"] == "train"].sort_values("position", ignore_index=True)


def open_pixels(
    records: pd.DataFrame,
    locate: Callable[[str], Path],
    transform: SquareTransform,
    cache_folder: Path,
    progress: Progress = silent,
    threads: int | None = None,
) -> Pixels:
    """Return the decoded images of `records`, from the cache if possible.

    Args:
        records: one row per image with `image_id`, `sha256`, `split` (train, val or test).
        locate: returns the file of a SHA-256.
        transform: to the network's input.
        cache_folder: where decoded pixels are cached; may be emptied at any time between runs.
        progress: called after each image.
        threads: number of concurrent decoders; default one per core (Pillow releases the interpreter lock).

    Raises:
        StorageError: there is not enough room on the disk.
        ImageError: a stored image can no longer be read.
    """
    ordered = _ordered(records)
    folder = _folder(ordered, transform, cache_folder)
    if not (folder / "rows.parquet").exists():
        _build(ordered, locate, transform, folder, progress, threads or os.cpu_count() or 1)
    rows = pd.read_parquet(folder / "rows.parquet")
    evaluation = _map(folder / "evaluation.bin").reshape(-1, transform.size, transform.size, 3)
    return Pixels(transform, evaluation, _map(folder / "training.bin"), rows)


def _cache_key(ordered: pd.DataFrame, transform: SquareTransform) -> str:
    digest = hashlib.blake2b(json.dumps([FORMAT, MARGIN, _about(transform)]).encode(), digest_size=16)
    for column in ("image_id", "sha256", "split"):
        digest.update("\0".join(ordered[column].astype(str)).encode())
    return digest.hexdigest()


def _about(transform: SquareTransform) -> dict[str, Any]:
    """Return a transform as plain data; one without a rendering in the old form, so that its cache is found."""
    plain = asdict(transform)
    return plain if transform.rendering is not None else {"size": plain["size"], "square": plain["square"]}


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
    """Write the cache under a temporary name, then rename: an incomplete cache is never opened.

    Of several processes that need the same cache one decodes, and the others wait for it.
    """
    with hold(_lock(folder), waiting=lambda holder: progress("decode photos", 0, len(ordered), holder)):
        if (folder / "rows.parquet").exists():
            return  # another process has just made it
        _remove_abandoned(folder)
        _check_room(ordered, transform, folder.parent)
        partial = folder.with_name(f"{folder.name}.partial")
        partial.mkdir(parents=True)
        try:
            rows = _decode_all(ordered, locate, transform, partial, progress, threads)
            rows.to_parquet(partial / "rows.parquet", index=False)
            write_json(partial / "about.json", _about(transform) | {"images": len(ordered)})
            shutil.rmtree(folder, ignore_errors=True)  # left behind when the cache was emptied
            partial.rename(folder)
        except OSError as error:
            raise StorageError(
                f"The decoded photos can't be written to {folder.parent}: {error.strerror or error}"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _lock(folder: Path) -> Path:
    return folder.parent.with_name("locks") / f"{folder.name}.lock"


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-decoded: of `folder`, whose lock is ours, and of those that nobody makes."""
    for partial in folder.parent.glob("*.partial"):
        other = partial.with_name(partial.name.split(".")[0])
        lock = FileLock(_lock(other))
        if other == folder or lock.acquire():
            shutil.rmtree(partial, ignore_errors=True)
            lock.release()


def decoded_bytes(training: int, others: int, size: int) -> int:
    """Return about how much room decoded images need, for a square of `size` pixels."""
    pixels = size**2 * 3
    return pixels * others + round(pixels * MARGIN**2 * 1.5) * training


def is_decoded(records: pd.DataFrame, transform: SquareTransform, cache_folder: Path) -> bool:
    """Return whether the decoded images of `records` are in the cache already; see `open_pixels`."""
    return (_folder(_ordered(records), transform, cache_folder) / "rows.parquet").exists()


def _ordered(records: pd.DataFrame) -> pd.DataFrame:
    return records[["image_id", "sha256", "split"]].sort_values(["split", "image_id"], ignore_index=True)


def _folder(ordered: pd.DataFrame, transform: SquareTransform, cache_folder: Path) -> Path:
    return cache_folder / "pixels" / _cache_key(ordered, transform)


def _check_room(ordered: pd.DataFrame, transform: SquareTransform, parent: Path) -> None:
    parent.mkdir(parents=True, exist_ok=True)
    training = int((ordered["split"] == "train").sum())
    needed = decoded_bytes(training, len(ordered) - training, transform.size)
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
        rgb = read_rgb(locate(sha256), transform.rendering)
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
    """A file of decoded images, one after the other."""

    handle: BinaryIO
    photos: int = 0
    size: int = 0

    def append(self, pixels: np.ndarray) -> tuple[int, int]:
        """Write an image and return its number and its offset in bytes."""
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
