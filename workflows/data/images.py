"""The single place that turns a file into 8-bit RGB.

Training, evaluation, prediction and explanation all read images here, so they see the same pixels: upright
by EXIF, any mode converted, the first frame of an animation, transparency composited on white, deep samples scaled as
their data set's :class:`~workflows.data.rendering.Rendering` specifies.

Files are untrusted: the format is recognised by content from an allow-list, sizes are checked in the
header before anything is decoded, and every failure of a decoder becomes an :class:`ImageError`.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from workflows.data.formats import ImageFormat, pillow_formats, recognise
from workflows.data.image_limits import (
    LARGE_PIXELS,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_SIDE,
    SMALLER,
    check_size,
    room_for,
)
from workflows.data.jpeg_xl import jxl_header
from workflows.data.rendering import Rendering
from workflows.data.samples import Samples, choose_bands, deep_samples, tiff_header, tiff_samples
from workflows.errors import ImageError
from workflows.store.names import printable

__all__ = [
    "DECODER_ERRORS",
    "LARGE_PIXELS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_SIDE",
    "TOO_LARGE",
    "DecodedImage",
    "ImageFacts",
    "decode",
    "inspect_image",
    "opened",
    "read_file",
    "read_rgb",
]

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises for an image that declares more pixels than :data:`MAX_PIXELS` allows."""

# Pillow's decoders raise many types of errors: all of these were seen on damaged files.
# (ImportError: once Ultralytics is imported, Image.open tries to import a plugin for files that it can't identify.)
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    ImportError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)

_CAMERA_TAGS = (0x010F, 0x0110)  # Exif's Make and Model
_CAMERA_LENGTH = 80
_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")

# Values of Exif's tag Orientation, and the operation that turns the image upright.
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Broken Exif data is common and not worth a warning; the image itself may be sound.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\..*")
# Pillow only warns up to twice its limit; here, an image above the limit is refused.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class ImageFacts:
    """What is known of a verified image.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        mode: Pillow's name of the stored pixel mode, e.g. `RGB`, `L`, `CMYK`, `RGB;16`.
        format: the actual format, whatever the file's name.
        orientation: the Exif orientation as stored, 1-8.
        converted: whether the stored pixels were not 8-bit RGB.
    """

    width: int
    height: int
    mode: str
    format: str
    orientation: int
    converted: bool


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, and further facts from its file.

    Attributes:
        rgb: mode `RGB`, upright.
        camera: make and model as Exif has them, None if unknown.
        quantisation: the luminance table of a JPEG, 64 values row by row; empty for other formats.
        animated: whether further frames follow the first.
    """

    rgb: Image.Image
    facts: ImageFacts
    camera: str | None
    quantisation: tuple[int, ...]
    animated: bool


def read_rgb(source: Path | bytes, rendering: Rendering | None = None) -> np.ndarray:
    """Return an image as uint8 [height, width, 3], upright, RGB.

    Args:
        source: a file, or the bytes of one.
        rendering: of the data set or the model that the image is read for; see :func:`decode`.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    return np.array(decode(source, rendering).rgb, dtype=np.uint8)


def inspect_image(source: Path | bytes) -> ImageFacts:
    """Decode an image completely, to be sure that it is sound, and return its facts.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    return decode(source).facts


def decode(source: Path | bytes, rendering: Rendering | None = None) -> DecodedImage:
    """Decode an image completely.

    Args:
        source: a file, or the bytes of one.
        rendering: how deep samples and many bands are rendered; None gives the pixels that data sets and models from
            before renderings existed had: 16 bits lose their low byte, floats are scaled image by image.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    content, named = (source, "") if isinstance(source, bytes) else (read_file(source), f"{printable(source.name)}: ")
    try:
        return _decode(content, recognise(content), rendering)
    except TOO_LARGE as error:
        raise ImageError(f"{named}larger than {MAX_PIXELS // 1_000_000} megapixels", SMALLER) from error
    except ImageError as error:
        raise ImageError(f"{named}{error.message}", error.hint) from error
    except UnidentifiedImageError as error:  # its own message holds a memory address
        raise ImageError(f"{named}damaged (its beginning is not that of an image)") from error
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{named}damaged ({printable(reason)[:200]})") from error


def _decode(content: bytes, format: ImageFormat, rendering: Rendering | None) -> DecodedImage:
    opaque = False
    if rendering is not None and format.name == "TIFF":
        with tiff_header(content) as header:
            if header.beyond_pillow(rendering.bands):
                return _from_samples(tiff_samples(header, rendering), rendering, content)
            opaque = header.bands == 4 and (rendering.opaque or header.unclaimed_fourth)
    with opened(content, format) as image, room_for(image.width * image.height):
        return _decoded(image, content, rendering, opaque)


@contextmanager
def opened(content: bytes, format: ImageFormat) -> Iterator[ImageFile.ImageFile]:
    """Open an image without decoding it, where its decoder can; check its size.

    Raises:
        ImageError: too large, too small, or the reader is not installed. Other errors are the decoder's.
    """
    _bound_pillow()
    if format.name == "JXL":  # opening it starts the decoder, so its size is read before
        header = jxl_header(content)
        check_size(header.width, header.height)
    formats = pillow_formats(format)
    with _pillow(content, formats) as image:
        check_size(*image.size)
        yield image


def _pillow(content: bytes, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except (RuntimeError, ValueError) as error:
        if formats == ("JXL",):  # its plugin's message is about building libraries
            raise ImageError("damaged (not a sound JPEG XL)") from error
        raise


def _from_samples(samples: Samples, rendering: Rendering, content: bytes) -> DecodedImage:
    """Return a TIFF that Pillow would not read, or not completely."""
    rgb = samples.rgb(rendering)
    if samples.orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[samples.orientation])
    facts = ImageFacts(*rgb.size, samples.mode, "TIFF", samples.orientation, converted=True)
    return DecodedImage(rgb, facts, _tiff_camera(content), (), animated=False)


def _tiff_camera(content: bytes) -> str | None:
    with tiff_header(content) as header:
        parts = [str(header.page.tags.valueof(tag, "")) for tag in _CAMERA_TAGS]
    return _camera_name(parts)


def _bound_pillow() -> None:
    # Set before each use, because other libraries in the process switch these off.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def read_file(path: Path) -> bytes:
    """Return the bytes of an image file, undecoded.

    Raises:
        ImageError: no regular file, too large, or not readable.
    """
    name = printable(path.name)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # reading a pipe would block forever
            raise ImageError(f"{name}: not a file")
        if facts.st_size > MAX_BYTES:
            raise ImageError(f"{name}: larger than {MAX_BYTES // 1024**2} MB", SMALLER)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"{name}: can't be read ({reason})") from error


def _decoded(image: ImageFile.ImageFile, content: bytes, rendering: Rendering | None, opaque: bool) -> DecodedImage:
    """Decode what Pillow has opened; `opaque` drops the bands after three colours."""
    upright = _turned_by_decoder(image, content)
    mode = _stored_mode(image)  # first of all: reading the Exif data of a PNG decodes it
    stored = 1 if upright else _orientation(image)
    image.load()
    remaining = 1 if upright else _orientation(image)  # Pillow rotates some formats (TIFF) itself while loading
    rgb = _rendered(image, content, rendering, opaque) if rendering is not None else _to_rgb(image)
    if remaining in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[remaining])
    facts = ImageFacts(*rgb.size, mode, image.format or "", stored, mode != "RGB")
    return DecodedImage(rgb, facts, _camera(image), _quantisation(image), _is_animated(image))


def _turned_by_decoder(image: Image.Image, content: bytes) -> bool:
    """Return whether a JPEG XL was decoded upright, so that its Exif data must not rotate it again."""
    if image.format != "JXL" or getattr(image, "jpeg", False):  # a JPEG inside a JPEG XL is decoded like the JPEG
        return False
    return jxl_header(content).orientation != 1


def _rendered(image: ImageFile.ImageFile, content: bytes, rendering: Rendering, opaque: bool) -> Image.Image:
    samples = deep_samples(image, content)
    if samples is not None:
        return samples.rgb(rendering)
    rgb = Image.merge("RGB", image.split()[:3]) if opaque and len(image.getbands()) == 4 else _to_rgb(image)
    if rendering.bands is None:
        return rgb
    grey = image.mode in ("1", "L", "LA")
    chosen = choose_bands(np.asarray(rgb)[..., : 1 if grey else 3], rendering.bands)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(chosen, (*chosen.shape[:2], 3))))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except DECODER_ERRORS:  # broken Exif data; the image itself may be sound
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _camera(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        parts = [str(exif.get(tag) or "") for tag in _CAMERA_TAGS]
    except DECODER_ERRORS:
        return None
    return _camera_name(parts)


def _camera_name(parts: list[str]) -> str | None:
    words = " ".join(" ".join(parts).replace("\0", " ").split())
    return printable(words)[:_CAMERA_LENGTH] or None


def _quantisation(image: Image.Image) -> tuple[int, ...]:
    tables = getattr(image, "quantization", None)  # Pillow's name, JPEG only
    luminance = tuple(tables.get(0, ())) if isinstance(tables, dict) else ()
    return luminance if len(luminance) == 64 else ()


def _is_animated(image: Image.Image) -> bool:
    if image.format not in _ANIMATED_FORMATS:  # elsewhere further images are pages or previews
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except DECODER_ERRORS:  # what follows the first image is damaged, and not used
        return True


def _stored_mode(image: ImageFile.ImageFile) -> str:
    """Return the stored pixel mode; `;16` is added where Pillow reduces 16 bits to 8 while decoding."""
    raw_modes = [tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3] for tile in image.tile or []]
    deep = "16" not in image.mode and any(str(raw_mode).partition(";")[2].startswith("16") for raw_mode in raw_modes)
    return f"{image.mode};16" if deep else image.mode


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(image)).convert("RGB")
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        white = Image.new("RGBA", overlay.size, "white")
        return Image.alpha_composite(white, overlay).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> np.ndarray:
    """Return grey values of more than 8 bits as uint8 [height, width].

    Integers are treated as 16 bit and lose their low byte (>> 8). Floats have no standard range: up to 1 they
    are fractions of white, up to 255 grey values, above 16 bit.
    """
    values = np.asarray(image)
    if image.mode != "F":
        return (np.clip(values, 0, 65_535).astype(np.uint16) >> 8).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    highest = finite.max(initial=0.0)
    scale = 255.0 if highest <= 1.0 else 1.0 if highest <= 255.0 else 1.0 / 256.0
    return np.clip(np.rint(finite * scale), 0, 255).astype(np.uint8)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ImageError("LAB colours can't be converted")
    return converted
