"""Raw samples of images with more than 8 bits or more than three bands, before any scale is applied.

What Pillow reads as 8 bits is left to it, so that the pixels are the same. TIFF files are read by
tifffile, because Pillow refuses most with many bands and keeps only the high byte of deep colours.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workflows.data.formats import needs_extra
from workflows.data.image_limits import MAX_BYTES, SMALLER, check_size, room_for
from workflows.data.rendering import Rendering, kind_of
from workflows.errors import ImageError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

# Values of TIFF's tags.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples: kinds of transparency
_DEFLATE = (8, 32_946)
_PLAIN = (1, *_DEFLATE, 32_773)  # uncompressed, deflate, PackBits: tifffile reads them without further packages
_BY_EXTRA = (5, 50_000)  # LZW and Zstandard, whose decoders accept a limit of their output
_NO_DATA_TAG, _ORIENTATION_TAG = 42_113, 274
_DECLARED_TAGS = ((340, 341), (280, 281))  # SMinSampleValue and SMaxSampleValue; the older MinSampleValue and Max…
_MOST_BANDS = 512  # of hyperspectral cameras; more is not an image
_SIDECAR = 0b101  # NewSubfileType: a smaller copy (an overview) or a mask, not a page of its own
_PAGES_LOOKED_AT = 64


@dataclass(frozen=True)
class Samples:
    """The raw samples of an image.

    Attributes:
        values: [height, width, bands], of any real type.
        alpha: 0-255, [height, width]: opacity of each pixel; None without transparency.
        inverted: whether low values are bright.
        no_data: raw value of pixels without data.
        declared: lowest and highest value of the samples, as declared by the file.
        mode: the type and number of samples, or Pillow's name of the mode.
        orientation: as stored, 1-8, if `values` are not upright yet.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    inverted: bool = False
    no_data: float | None = None
    declared: tuple[float, float] | None = None
    mode: str = ""
    orientation: int = 1

    @property
    def kind(self) -> str:
        """The type of samples that a scale applies to."""
        return kind_of(self.values.dtype)

    def shown(self, bands: tuple[int, ...] | None) -> np.ndarray:
        """Return the bands that are shown, [height, width, 1 or 3].

        Raises:
            ImageError: the image has too few bands.
        """
        return choose_bands(self.values, bands)

    def rgb(self, rendering: Rendering) -> Image.Image:
        """Return the image in 8-bit RGB, oriented as stored. Raises ImageError: see :meth:`shown`."""
        raw = self.shown(rendering.bands)
        pixels = rendering.eight_bits(raw)
        if self.inverted:
            pixels = 255 - pixels
        if self.no_data is not None:
            pixels = np.where(raw == self.no_data, np.uint8(0), pixels)
        picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
        return picture if self.alpha is None else on_white(picture, Image.fromarray(self.alpha))

    def extremes(self, bands: tuple[int, ...] | None) -> tuple[float, float] | None:
        """Return the lowest and highest raw value that is shown; None if there is none."""
        raw = self.shown(bands)
        lowest, highest = np.inf, -np.inf
        for start in range(0, len(raw), 256):  # no copy of the whole
            part = raw[start : start + 256]
            if self.no_data is not None:
                part = part[part != self.no_data]
            if part.dtype.kind == "f":
                part = part[np.isfinite(part)]
            if part.size:
                lowest, highest = min(lowest, float(part.min())), max(highest, float(part.max()))
        return (lowest, highest) if lowest <= highest else None


def choose_bands(values: np.ndarray, bands: tuple[int, ...] | None) -> np.ndarray:
    """Return bands (counted from 1) of `values` [height, width, n]; by default the first three, or the first of two.

    Raises:
        ImageError: there are too few.
    """
    held = values.shape[2]
    if bands is None:
        return values[..., :3] if held >= 3 else values[..., :1]
    if max(bands) > held:
        raise ImageError(
            f"band {max(bands)} was requested, but there {'is only one' if held == 1 else f'are only {held}'}",
            "The bands were chosen when the data set was made: every image must have them.",
        )
    return values[..., [band - 1 for band in bands]]


def on_white(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return an RGB image composited on white with `alpha` (mode `L`)."""
    overlay = picture.convert("RGBA")
    overlay.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay).convert("RGB")


def deep_samples(image: Image.Image, content: bytes) -> Samples | None:
    """Return the raw samples of an image that Pillow has decoded (not TIFF); None if it has only 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return Samples(_native(np.asarray(image))[..., np.newaxis], mode=image.mode)
    if image.format != "PNG" or content[24:25] != b"\x10":  # the depth is in PNG's first chunk
        return None
    values = _deep_colours(content)
    if values is None or values.shape[:2] != (image.height, image.width):
        raise ImageError("damaged (its 16-bit colours can't be read)")
    # Pillow has checked the file, and its transparency has all the bits that matter
    alpha = np.asarray(image.getchannel("A")) if image.mode in ("RGBA", "LA") else None
    return Samples(values, alpha, mode=f"{image.mode};16")


def _native(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.int32:  # mode `I` of formats that have no more than 16 bits
        return np.clip(values, 0, 65_535).astype(np.uint16)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _deep_colours(content: bytes) -> np.ndarray | None:
    """Return the 16-bit colours of a PNG or TIFF, [height, width, 3]; Pillow would keep only their high bytes."""
    import cv2

    try:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if values is None or values.ndim != 3 or values.dtype != np.uint16:
        return None
    return np.asarray(values[..., 2::-1])


# ---------------------------------------------------------------------- TIFF


@dataclass(frozen=True)
class TiffHeader:
    """The header of a TIFF's first page, which alone is read.

    Attributes:
        bands: number of samples per pixel.
        dtype: numpy's type of a sample; None for a mix, or for less than 8 bits.
        transparency: index of the samples that the file declares as transparency, from 0; None without.
        declares_extra: whether it declares what its samples after the colours are.
    """

    page: TiffPage
    width: int
    height: int
    photometric: int
    bands: int
    dtype: np.dtype | None
    transparency: int | None
    declares_extra: bool
    file: TiffFile = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def plain(self) -> bool:
        """Whether the samples are grey values or red, green and blue."""
        return self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and self.dtype is not None

    @property
    def deep(self) -> bool:
        """Whether a sample is not 8-bit."""
        return self.plain and self.dtype != np.uint8

    @property
    def unclaimed_fourth(self) -> bool:
        """Whether there is a fourth band after three colours whose meaning is not declared."""
        return self.photometric == _RGB and self.bands == 4 and not self.declares_extra

    def beyond_pillow(self, bands: tuple[int, ...] | None) -> bool:
        """Whether Pillow would refuse the image, lose bits, or not show these bands."""
        if not self.plain:
            return False
        colours = 3 if self.photometric == _RGB else 1
        return bool(
            self.deep
            or (bands is not None and self.bands > 1)
            or self.bands > 4
            or (self.bands > colours and not (self.photometric == _RGB and self.bands == 4) and not self._grey_alpha)
        )

    @property
    def several_pages(self) -> bool:
        """Whether there are more pages; overviews and masks do not count."""
        for number in range(1, _PAGES_LOOKED_AT):
            try:
                page = self.file.pages[number]
            except IndexError:
                return False
            if not int(getattr(page, "subfiletype", 0)) & _SIDECAR:
                return True
        return True

    @property
    def _grey_alpha(self) -> bool:
        return self.bands == 2 and self.transparency == 1


@contextmanager
def tiff_header(content: bytes) -> Iterator[TiffHeader]:
    """Read the header of a TIFF's first page; usable as long as the context lasts.

    Raises:
        ImageError: a size that is not allowed. Other errors are tifffile's, of many types.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        if not isinstance(page, tifffile.TiffPage):
            raise ImageError("damaged (its first page is not an image)")
        check_size(page.imagewidth, page.imagelength)
        yield TiffHeader(
            page=page,
            width=page.imagewidth,
            height=page.imagelength,
            photometric=int(page.photometric) if 262 in page.tags else _BLACK_IS_ZERO,
            bands=page.samplesperpixel,
            dtype=_dtype(page),
            transparency=_transparency(page),
            declares_extra=338 in page.tags,
            file=file,
            content=content,
        )


def _dtype(page: TiffPage) -> np.dtype | None:
    if page.dtype is None or not isinstance(page.bitspersample, int) or page.bitspersample < 8:
        return None
    dtype = np.dtype(page.dtype)
    return dtype if dtype.kind in "uif" and dtype.itemsize * 8 == page.bitspersample else None


def _transparency(page: TiffPage) -> int | None:
    colours = page.samplesperpixel - len(page.extrasamples)
    kinds = [int(kind) for kind in page.extrasamples]
    found = [place for place, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    return colours + found[0] if found and 338 in page.tags else None


def tiff_samples(header: TiffHeader, rendering: Rendering) -> Samples:
    """Decode the samples of a TIFF.

    Raises:
        ImageError: too large, damaged, or an unsupported compression.
    """
    page, dtype = header.page, header.dtype
    if dtype is None or header.bands > _MOST_BANDS:
        raise ImageError(f"{header.bands} bands of this kind can't be read")
    if header.width * header.height * header.bands * dtype.itemsize > MAX_BYTES:
        raise ImageError(f"its samples take more than {MAX_BYTES // 1024**2} MB", SMALLER)
    with room_for(header.width * header.height):
        values, upright = _decoded(header, dtype)
    claimed = header.transparency if not rendering.opaque and rendering.bands is None else None
    alpha = Rendering().eight_bits(values[..., claimed]) if claimed is not None else None
    if header.transparency is not None and rendering.bands is None:
        values = np.delete(values, header.transparency, axis=2) if claimed is not None else values
    orientation = page.tags.valueof(_ORIENTATION_TAG, 1)
    return Samples(
        values=values,
        alpha=alpha,
        inverted=header.photometric == _WHITE_IS_ZERO,
        no_data=_no_data(page),
        declared=_declared(page),
        mode=f"{dtype.name}x{header.bands}" if header.bands > 1 else _grey_mode(dtype),
        orientation=int(orientation) if not upright and orientation in range(1, 9) else 1,
    )


def _decoded(header: TiffHeader, dtype: np.dtype) -> tuple[np.ndarray, bool]:
    """Return the samples, [height, width, bands], and whether they are already upright."""
    page = header.page
    compression = int(page.compression)
    if compression not in _PLAIN + _BY_EXTRA:
        raise ImageError(
            f"TIFF of this kind compressed by {_compression(page)} can't be read",
            "Save it uncompressed, or with deflate, LZW or Zstandard.",
        )
    if compression not in _PLAIN and not _has_codecs():
        return _without_codecs(header, dtype)
    _check_segments(header, dtype)
    values = page.asarray(maxworkers=1)
    if page.planarconfig == 2 and header.bands > 1:
        values = np.moveaxis(values.reshape(header.bands, header.height, header.width), 0, -1)
    return values.reshape(header.height, header.width, header.bands), False


def _grey_mode(dtype: np.dtype) -> str:
    """Return Pillow's name of a mode for grey values."""
    return "F" if dtype.kind == "f" else "I;16" if dtype == np.uint16 else "I"


def _has_codecs() -> bool:
    try:
        import imagecodecs
    except ImportError:
        return False
    return bool(imagecodecs.LZW.available)


def _without_codecs(header: TiffHeader, dtype: np.dtype) -> tuple[np.ndarray, bool]:
    """Decode what Pillow and OpenCV support: grey values, and three colours of 16 bits."""
    if header.bands == 1 and dtype.itemsize <= 4 and dtype != np.float16:
        with Image.open(io.BytesIO(header.content), formats=("TIFF",)) as image:
            image.load()  # which rotates it upright
            if image.mode.startswith("I") or image.mode == "F":
                return np.asarray(image).astype(dtype.newbyteorder("="))[..., np.newaxis], True
    if header.bands == 3 and dtype == np.uint16 and header.page.tags.valueof(_ORIENTATION_TAG, 1) == 1:
        values = _deep_colours(header.content)
        if values is not None and values.shape[:2] == (header.height, header.width):
            return values, True
    raise needs_extra(f"TIFF of this kind compressed by {_compression(header.page)} can't be read", "tiff")


def _check_segments(header: TiffHeader, dtype: np.dtype) -> None:
    """Check that all strips or tiles are inside the file, and that none unpacks to more than allowed.

    Raises:
        ImageError: damaged or malicious.
    """
    page, content = header.page, header.content
    planes = header.bands if page.planarconfig == 2 else 1
    if page.is_tiled:
        segment = page.tilewidth * page.tilelength * max(1, page.tiledepth)
        number = -(-header.width // max(1, page.tilewidth)) * -(-header.height // max(1, page.tilelength))
    else:
        rows = min(page.rowsperstrip or header.height, header.height)
        segment, number = header.width * rows, -(-header.height // rows)
    most = segment * (header.bands // planes) * dtype.itemsize
    if len(page.dataoffsets) < number * planes or most > MAX_BYTES:
        raise ImageError("damaged (its strips or tiles don't cover it)")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if offset == 0 and length == 0:  # a tile without data, which GDAL leaves out
            continue
        if offset + length > len(content) or length == 0:
            raise ImageError("damaged (truncated)")
        if int(page.compression) in _DEFLATE:
            unpacked = zlib.decompressobj().decompress(content[offset : offset + length], most + 1)
            if len(unpacked) > most:
                raise ImageError("damaged (a part of it unpacks to more than declared)")


def _no_data(page: TiffPage) -> float | None:
    try:
        return float(str(page.tags.valueof(_NO_DATA_TAG)).strip("\0 ")) if _NO_DATA_TAG in page.tags else None
    except ValueError:
        return None


def _declared(page: TiffPage) -> tuple[float, float] | None:
    for low_tag, high_tag in _DECLARED_TAGS:
        high = page.tags.valueof(high_tag)
        if high is None:
            continue
        low = page.tags.valueof(low_tag)
        lowest, highest = float(np.min(low)) if low is not None else 0.0, float(np.max(high))
        if lowest < highest:
            return lowest, highest
    return None


def _compression(page: TiffPage) -> str:
    return str(getattr(page.compression, "name", page.compression))
