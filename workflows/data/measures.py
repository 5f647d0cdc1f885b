"""Simple measures of an image, taken while it is decoded anyway; an audit evaluates them later.

Nothing is evaluated here: each figure is a plain property of the image or its file, in the unit that its
attribute names. All are measured on a copy of at most 256 pixels, because that is about what a network sees,
and because it costs a fraction of decoding. The two exceptions are the perceptual hash, which is
:func:`imagehash.phash` of the whole image, and properties of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from workflows.data.details import detail_of
from workflows.data.images import DecodedImage, decode, read_file
from workflows.data.rendering import Rendering

SIDE = 256  # pixels of the longer side of the copy that is measured
THUMBNAIL = 6  # pixels of each side of the tiny copy that is stored
NEAR_BLACK = 12  # grey values up to here count as black, and as many below 255 as white
NEAR_WHITE = 255 - NEAR_BLACK
_COLOUR_SIDE = 64
_FRAME_TOLERANCE = 12  # grey values: compressed frames are not perfectly even

# Luminance and chrominance are scaled alike, so the luminance table alone gives the quality.
# Values: ITU-T T.81, table K.1, row by row.
_STANDARD_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one image. Shares and brightnesses are in [0, 1], 1 is white.

    Attributes:
        bytes: size of the file.
        brightness: mean of the grey values (ITU-R 601 luma).
        contrast: their standard deviation, at most 0.5.
        darkest: 5th percentile of the grey values.
        brightest: 99th percentile of the grey values.
        dark_share: share of pixels that are black or nearly so.
        bright_share: share of pixels that are white or nearly so.
        saturation: mean of HSV's saturation.
        red_cast: mean of the red channel minus the mean of all channels, in [-1, 1].
        green_cast: the same of the green channel.
        blue_cast: the same of the blue channel.
        sharpness: variance of the Laplacian of the grey values (0-255) at `SIDE` pixels, larger is sharper
            (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000).
        entropy: Shannon entropy of the grey values' histogram, 0-8 bits; 0 means a single grey.
        border: share of the image's area that is a uniform frame, 1 if all of it is uniform.
        jpeg_quality: 1-100 on libjpeg's scale, None if the file is not a JPEG; see :func:`jpeg_quality`.
        camera: make and model from Exif, None if unknown.
        animated: whether there are further frames after the first, which alone is used.
        trailing_bytes: bytes after the end of the image; JPEG and PNG only, else 0.
        phash: :func:`imagehash.phash`, 16 hex digits.
        thumbnail: `THUMBNAIL` x `THUMBNAIL` RGB pixels, row by row, 2 hex digits for each value.
        detail: where it is brighter than its surroundings, base64; see :mod:`workflows.data.details`.
    """

    bytes: int
    brightness: float
    contrast: float
    darkest: float
    brightest: float
    dark_share: float
    bright_share: float
    saturation: float
    red_cast: float
    green_cast: float
    blue_cast: float
    sharpness: float
    entropy: float
    border: float
    jpeg_quality: int | None
    camera: str | None
    animated: bool
    trailing_bytes: int
    phash: str
    thumbnail: str
    detail: str


def measure_file(source: Path | bytes, rendering: Rendering | None = None) -> Measures:
    """Decode and measure an image, shown as `rendering` says.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    content = source if isinstance(source, bytes) else read_file(source)
    return measure(decode(content, rendering), content)


def measure(decoded: DecodedImage, content: bytes) -> Measures:
    """Measure a decoded image; `content` is the file that it came from."""
    grey = decoded.rgb.convert("L")
    phash = str(imagehash.phash(grey))  # which would convert it to grey first
    small = _shrunk(decoded.rgb, SIDE)
    small_grey = small.convert("L")
    values = np.asarray(small_grey)
    return Measures(
        bytes=len(content),
        **_tones(small_grey),
        **_colours(_shrunk(small, _COLOUR_SIDE)),
        sharpness=_laplacian_variance(values),
        border=_frame_share(values),
        jpeg_quality=jpeg_quality(decoded.quantisation) if decoded.quantisation else None,
        camera=decoded.camera,
        animated=decoded.animated,
        trailing_bytes=_trailing_bytes(content, decoded.facts.format),
        phash=phash,
        thumbnail=small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes().hex(),
        detail=detail_of(small_grey),
    )


def measures_table(measured: Mapping[str, Measures]) -> pd.DataFrame:
    """Return measures as a table: one row for each SHA-256, sorted by it."""
    rows = [{"sha256": sha256, **asdict(measures)} for sha256, measures in sorted(measured.items())]
    frame = pd.DataFrame(rows, columns=["sha256", *(item.name for item in fields(Measures))])
    texts = dict.fromkeys(("sha256", "camera", "phash", "thumbnail", "detail"), "string")
    return frame.astype({**texts, "bytes": "int64", "trailing_bytes": "int64", "jpeg_quality": "Int16"})


def measured_images(table: pd.DataFrame) -> Iterator[tuple[str, Measures]]:
    """Yield the SHA-256 and the measures of each row of a table that :func:`measures_table` made."""
    names = [item.name for item in fields(Measures)]
    columns: Iterable[pd.Series] = (table[name].astype(object).where(table[name].notna(), None) for name in names)
    for sha256, *values in zip(table["sha256"], *columns, strict=True):
        yield sha256, Measures(*values)


def jpeg_quality(luminance: tuple[int, ...]) -> int:
    """Return the quality, 1-100, at which libjpeg's tables come nearest to a luminance table (64 values).

    The tables that libjpeg scales by quality are those of the JPEG standard (ITU-T T.81, annex K); for files
    of encoders with their own tables the result is the nearest equivalent (mean absolute difference).
    """
    return 1 + int(np.abs(_TABLES - np.asarray(luminance)).sum(axis=1).argmin())


def _scaled_tables() -> np.ndarray:
    """Return libjpeg's luminance tables for the qualities 1-100 (`jpeg_quality_scaling`), shape [100, 64]."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((_STANDARD_LUMINANCE * scale[:, None] + 50) // 100, 1, 255)


_TABLES = _scaled_tables()


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """Return a copy with a longer side of `side` pixels; smaller images stay as they are."""
    longest = max(image.size)
    if longest <= side:
        return image
    width, height = (max(1, round(length * side / longest)) for length in image.size)
    # reducing by an integer factor first is much cheaper, and as good where 2 pixels remain for each
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _tones(grey: Image.Image) -> dict[str, float]:
    counts = np.array(grey.histogram(), np.float64)
    shares = counts / counts.sum()
    levels = np.arange(256) / 255.0
    brightness = float(shares @ levels)
    cumulative = shares.cumsum()
    present = shares[shares > 0]
    return {
        "brightness": round(brightness, 5),
        "contrast": round(float(np.sqrt(shares @ (levels - brightness) ** 2)), 5),
        "darkest": round(float(levels[np.searchsorted(cumulative, 0.05)]), 5),
        "brightest": round(float(levels[np.searchsorted(cumulative, 0.99)]), 5),
        "dark_share": round(float(shares[: NEAR_BLACK + 1].sum()), 5),
        "bright_share": round(float(shares[NEAR_WHITE:].sum()), 5),
        "entropy": round(abs(float(present @ np.log2(present))), 4),  # abs: the sum is never above 0
    }


def _colours(image: Image.Image) -> dict[str, float]:
    pixels = np.asarray(image, np.float32).reshape(-1, 3) / 255.0
    highest = pixels.max(axis=1)
    saturation = (highest - pixels.min(axis=1)) / np.maximum(highest, 1e-6)
    casts = pixels.mean(axis=0)
    casts = casts - casts.mean()
    return {
        "saturation": round(float(saturation.mean()), 5),
        **{f"{name}_cast": round(float(cast), 5) for name, cast in zip(("red", "green", "blue"), casts, strict=True)},
    }


def _laplacian_variance(grey: np.ndarray) -> float:
    values = grey.astype(np.int16)
    inner = values[1:-1, 1:-1]
    if not inner.size:  # a strip, thinner than the operator
        return 0.0
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * inner
    return round(float(laplacian.var()), 3)


def _frame_share(grey: np.ndarray) -> float:
    height, width = grey.shape
    top, bottom = _even_lines(grey), _even_lines(grey[::-1])
    if top == height:
        return 1.0
    left, right = _even_lines(grey.T), _even_lines(grey.T[::-1])
    inner = (height - top - bottom) * (width - left - right)
    return round(1.0 - max(0, inner) / (height * width), 5)


def _even_lines(grey: np.ndarray) -> int:
    """Return how many rows from the top have the same uniform grey."""
    low, high = grey.min(axis=1).astype(np.int16), grey.max(axis=1).astype(np.int16)
    # the frame so far: its darkest and brightest value, from the top down
    spread = np.maximum.accumulate(high) - np.minimum.accumulate(low)
    uneven = spread > _FRAME_TOLERANCE
    return int(uneven.argmax()) if uneven.any() else len(grey)


def _trailing_bytes(content: bytes, format_name: str) -> int:
    if format_name in ("JPEG", "MPO"):
        end = content.find(b"\xff\xd9", _start_of_scan(content)) + 2
        # a second image (MPO) is declared in the file, so it is not trailing data
        return len(content) - end if end > 1 and format_name == "JPEG" else 0
    if format_name == "PNG":
        return len(content) - content.rfind(b"IEND") - 8 if b"IEND" in content else 0
    return 0


def _start_of_scan(content: bytes) -> int:
    """Return where a JPEG's compressed pixels begin: after its segments, which may hold previews with their own end markers."""
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF and content[position + 1] != 0xDA:
        length = int.from_bytes(content[position + 2 : position + 4], "big")
        position += 1 if content[position + 1] == 0xFF else 2 + max(2, length)  # 0xFF may be padding
    return min(position, len(content))
