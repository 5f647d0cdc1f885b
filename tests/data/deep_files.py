"""Pictures of more than 8 bits or three bands, for tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tests.data.conftest import encoded, write
from workflows.data.rendering import Rendering, Scale

TWELVE = Rendering((Scale("uint16", 0.0, 4095.0),))


def scene(seed: int, top: float, bands: int = 1, low: float = 0.0) -> np.ndarray:
    """A smooth picture with light and dark parts, 48 high and 64 wide, from `low` to `top`."""
    coarse = np.random.default_rng(seed).random((4, 5, bands))
    smooth = np.stack(
        [
            np.asarray(Image.fromarray(coarse[..., band].astype(np.float32)).resize((64, 48), Image.Resampling.BICUBIC))
            for band in range(bands)
        ],
        axis=-1,
    )
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return low + smooth * (top - low)


def tiff(values: np.ndarray, **options: Any) -> bytes:
    """A TIFF, written by tifffile."""
    stream = io.BytesIO()
    settings = {"photometric": "minisblack", "planarconfig": "contig"} if values.ndim == 3 else {}
    tifffile.imwrite(stream, values, metadata=None, **{**settings, **options})
    return stream.getvalue()


def deep_folder(folder: Path, top: float = 4095, number: int = 8, dtype: type = np.uint16) -> Path:
    """Two classes of grey pictures whose values go up to `top`, as PNG (if they may be) and TIFF."""
    for kind, label in enumerate(("low", "tall")):
        for index in range(number):
            values = scene(100 * kind + index, top)[..., 0].astype(dtype)
            as_png = index % 2 and dtype is np.uint16
            content = encoded(Image.fromarray(values)) if as_png else tiff(values)
            write(folder / label / f"{index}.{'png' if as_png else 'tif'}", content)
    return folder


def band_folder(folder: Path, values_of: Any, number: int = 4, **options: Any) -> Path:
    """Two classes of TIFF files, of the values that `values_of(seed)` returns."""
    for kind, label in enumerate(("field", "water")):
        for index in range(number):
            write(folder / label / f"{index}.tif", tiff(values_of(100 * kind + index), **options))
    return folder


def hand_scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The pixels by the definition, value by value."""
    return np.clip(np.rint((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)
