"""The supported image formats: how each is recognised, and what it needs.

A new format is one entry here. Formats without a signature at their beginning are not supported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from workflows.data import reasons
from workflows.errors import ImageError


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes:
        name: Pillow's name.
        title: its common name.
        marks: signatures of its files; some other formats are distinguished by :func:`recognise` itself.
        extra: Fieldguide's optional extra that it needs, if any.
        plugin: module of the extra that adds the format to Pillow, if any.
        register: name of the function in `plugin` that does it; empty if importing it is enough.
    """

    name: str
    title: str
    marks: tuple[bytes, ...] = ()
    extra: str = ""
    plugin: str = ""
    register: str = ""


FORMATS = (
    ImageFormat("JPEG", "JPEG", (b"\xff\xd8\xff",)),
    ImageFormat("PNG", "PNG", (b"\x89PNG\r\n\x1a\n",)),
    ImageFormat("GIF", "GIF", (b"GIF87a", b"GIF89a")),
    ImageFormat("BMP", "BMP", (b"BM",)),
    ImageFormat("WEBP", "WebP"),
    ImageFormat("TIFF", "TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ImageFormat("AVIF", "AVIF"),
    ImageFormat("JPEG2000", "JPEG 2000", (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
    ImageFormat("PPM", "PPM", tuple(f"P{digit}".encode() for digit in range(1, 7))),
    ImageFormat("HEIF", "HEIC", extra="heif", plugin="pillow_heif", register="register_heif_opener"),
    ImageFormat("JXL", "JPEG XL", (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), extra="jxl", plugin="pillow_jxl"),
)
_BY_NAME = {format.name: format for format in FORMATS}
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_BRANDS_END = 64  # brands are in the first bytes
HEAD = 4096
"""Bytes of a file that are enough to recognise it."""


def recognise(content: bytes) -> ImageFormat:
    """Return the format of a file, by its first bytes alone.

    Raises:
        ImageError: empty, or not an image of a supported format.
    """
    if not content:
        raise ImageError(reasons.EMPTY)
    for format in FORMATS:
        if format.marks and content.startswith(format.marks):
            return format
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _BY_NAME["WEBP"]
    if content[4:8] == b"ftyp":
        brands = [content[8:12], *(content[start : start + 4] for start in range(16, _BRANDS_END, 4))]
        if any(brand in _AVIF_BRANDS for brand in brands):
            return _BY_NAME["AVIF"]
        if any(brand in _HEIF_BRANDS for brand in brands):
            return _BY_NAME["HEIF"]
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise ImageError("not an image: a web page, SVG or other text with mark-up")
    raise ImageError(
        "not an image of a supported format", f"Supported are {', '.join(format.title for format in FORMATS)}."
    )


def pillow_formats(format: ImageFormat) -> tuple[str, ...]:
    """Return the formats that Pillow may open a file as, registering its plugin if needed.

    Raises:
        ImageError: the reader is not installed; the hint says how to install it.
    """
    Image.init()
    if format.name not in Image.OPEN and format.plugin:
        _register_plugin(format)
    if format.name not in Image.OPEN:  # AVIF came with Pillow 11.3
        raise ImageError(f"{format.name} can't be read by the installed Pillow", "Update Pillow, or convert the image.")
    return (format.name,)  # a JPEG followed by a second image (MPO) is opened as JPEG: only its first is read


def _register_plugin(format: ImageFormat) -> None:
    try:
        plugin = importlib.import_module(format.plugin)
    except ImportError as error:
        raise needs_extra(f"{format.title} photos can't be read", format.extra) from error
    if format.register:
        register: Callable[[], None] = getattr(plugin, format.register)
        register()


def needs_extra(what: str, extra: str) -> ImageError:
    """Return the error for something that needs an optional extra."""
    command = f"pip install 'fieldguide[{extra}]'"
    return ImageError(f"{what} without the extra {extra!r} ({command})", f"Install it: {command}")
