"""The one place that turns a file into 8-bit RGB.

Training, evaluation, prediction and explanation all read images here, so they see the same pixels: upright
by EXIF, any mode converted, the first frame of an animation, transparency laid on white.

Files come from strangers: the format is recognised by content from an allow-list, sizes are checked in the
header before anything is decoded, and every failure of a decoder becomes an :class:`ImageError`.
"""

from __future__ import annotations

import io
import stat
import struct
import threading
import warnings
import zlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from workflows.errors import ImageError
from workflows.store.names import printable

MAX_PIXELS = 50_000_000
MAX_SIDE = 10_000
LARGE_PIXELS = 25_000_000  # above, images are decoded one after the other: one alone can take 0.8 GB
MIN_SIDE = 10  # below this a photo holds nothing that a network could learn from
MAX_BYTES = 512 * 1024**2

# Beginnings of the files we read, and Pillow's name of the format. Formats without such a mark are not read.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    *((f"P{digit}".encode(), "PPM") for digit in range(1, 7)),
)
KNOWN_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "AVIF", "JPEG 2000", "PPM")
_SMALLER = "Make a smaller copy of it and import that."
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

# Pillow's decoders are not written for hostile bytes: all of these were seen on damaged files.
# (ImportError: once Ultralytics is imported, Image.open tries to import a plugin for files that it can't identify.)
_DECODER_ERRORS = (
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

# Exif's values of the tag Orientation, and what makes the picture upright.
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

_one_at_a_time = threading.Lock()

# Broken Exif data is common and no news; the picture behind it is judged by itself.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\..*")
# Pillow only warns up to twice its limit; a picture above the limit is refused here.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class ImageFacts:
    """What is known of a verified image.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        mode: Pillow's name of the stored pixel mode, e.g. `RGB`, `L`, `CMYK`, `RGB;16`.
        format: the true format, whatever the file's name says.
        orientation: the Exif orientation as stored, 1-8.
        converted: whether the stored pixels were something else than 8-bit RGB.
    """

    width: int
    height: int
    mode: str
    format: str
    orientation: int
    converted: bool


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, and what else its file tells.

    Attributes:
        rgb: mode `RGB`, upright.
        camera: make and model as Exif has them, None if unknown.
        quantisation: the luminance table of a JPEG, 64 values row by row; empty for other formats.
        animated: whether more pictures follow the first one, to be shown one after the other.
    """

    rgb: Image.Image
    facts: ImageFacts
    camera: str | None
    quantisation: tuple[int, ...]
    animated: bool


def read_rgb(source: Path | bytes) -> np.ndarray:
    """Return an image as uint8 [height, width, 3], upright, RGB.

    Args:
        source: a file, or the bytes of one.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    return np.array(decode(source).rgb, dtype=np.uint8)


def inspect_image(source: Path | bytes) -> ImageFacts:
    """Decode an image completely, to be sure that it can be, and return what it is.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    return decode(source).facts


def decode(source: Path | bytes) -> DecodedImage:
    """Decode an image completely.

    Args:
        source: a file, or the bytes of one.

    Raises:
        ImageError: the image can't be read; the message says why.
    """
    content, named = (source, "") if isinstance(source, bytes) else (read_file(source), f"{printable(source.name)}: ")
    try:
        format_name = _recognise(content)
        _bound_pillow()
        with Image.open(io.BytesIO(content), formats=_pillow_formats(format_name)) as image:
            return _upright_rgb(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{named}larger than {MAX_PIXELS // 1_000_000} megapixels", _SMALLER) from error
    except ImageError as error:
        raise ImageError(f"{named}{error.message}", error.hint) from error
    except UnidentifiedImageError as error:  # its own words hold a memory address
        raise ImageError(f"{named}damaged (its beginning is not that of an image)") from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{named}damaged ({printable(reason)[:200]})") from error


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
        if not stat.S_ISREG(facts.st_mode):  # reading a pipe would wait for ever
            raise ImageError(f"{name}: not a file")
        if facts.st_size > MAX_BYTES:
            raise ImageError(f"{name}: larger than {MAX_BYTES // 1024**2} MB", _SMALLER)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"{name}: can't be read ({reason})") from error


def _recognise(content: bytes) -> str:
    """Return the format of the content, by its first bytes alone."""
    if not content:
        raise ImageError("the file is empty")
    for beginning, format_name in _MAGIC:
        if content.startswith(beginning):
            return format_name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        brands = [content[8:12], *(content[start : start + 4] for start in range(16, 64, 4))]
        if any(brand in _AVIF_BRANDS for brand in brands):
            return "AVIF"
        if any(brand in _HEIF_BRANDS for brand in brands):
            raise ImageError("HEIC photos can't be read", "Export them as JPEG first.")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise ImageError("not an image: a web page, SVG or other text with mark-up")
    raise ImageError("not an image of a known format", f"Known are {', '.join(KNOWN_FORMATS)}.")


def _pillow_formats(format_name: str) -> tuple[str, ...]:
    Image.init()
    if format_name not in Image.OPEN:  # AVIF came with Pillow 11.3
        raise ImageError(f"{format_name} can't be read by the installed Pillow", "Update Pillow, or convert the image.")
    return (format_name,)  # a JPEG with a second picture behind it (MPO) is opened as JPEG, and read by its first


def _upright_rgb(image: ImageFile.ImageFile) -> DecodedImage:
    _check_size(*image.size)
    with _one_at_a_time if image.width * image.height > LARGE_PIXELS else nullcontext():
        return _decoded(image)


def _decoded(image: ImageFile.ImageFile) -> DecodedImage:
    mode = _stored_mode(image)  # first of all: reading the Exif data of a PNG decodes it
    stored = _orientation(image)
    image.load()
    remaining = _orientation(image)  # Pillow turns some formats (TIFF) by itself while loading
    rgb = _to_rgb(image)
    if remaining in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[remaining])
    facts = ImageFacts(*rgb.size, mode, image.format or "", stored, mode != "RGB")
    return DecodedImage(rgb, facts, _camera(image), _quantisation(image), _is_animated(image))


def _check_size(width: int, height: int) -> None:
    size = f"{width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise ImageError(f"{size} is more than {MAX_PIXELS // 1_000_000} megapixels", _SMALLER)
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{size}: a side is longer than {MAX_SIDE:,} pixels", _SMALLER)
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{size}: a side is shorter than {MIN_SIDE} pixels", "Enlarge the images first.")


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:  # broken Exif data; the picture itself may be sound
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _camera(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        parts = [str(exif.get(tag) or "") for tag in _CAMERA_TAGS]
    except _DECODER_ERRORS:
        return None
    words = " ".join(" ".join(parts).replace("\0", " ").split())
    return printable(words)[:_CAMERA_LENGTH] or None


def _quantisation(image: Image.Image) -> tuple[int, ...]:
    tables = getattr(image, "quantization", None)  # Pillow's name, JPEG only
    luminance = tuple(tables.get(0, ())) if isinstance(tables, dict) else ()
    return luminance if len(luminance) == 64 else ()


def _is_animated(image: Image.Image) -> bool:
    if image.format not in _ANIMATED_FORMATS:  # elsewhere further pictures are pages or previews
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except _DECODER_ERRORS:  # what follows the first picture is damaged, and not used
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

    Integers are taken as 16 bit and lose their low byte (>> 8). Floats have no agreed range: up to 1 they
    are taken as shares of white, up to 255 as they are, above as 16 bit.
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
        raise ImageError("colours in LAB can't be converted")
    return converted
