"""HEIC, JPEG XL, and files of several pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.data.conftest import encoded, picture, write
from tests.data.deep_files import TWELVE, hand_scaled, scene
from tests.data.image_files import quadrants
from tests.texts import one_mentions
from workflows.data.images import decode, inspect_image, read_rgb
from workflows.data.importing import add_dataset
from workflows.data.rendering import Rendering
from workflows.data.sources import Reading
from workflows.errors import ImageError
from workflows.store.store import Store

# ---------------------------------------------------------------------- HEIC, JPEG XL, several pages


@pytest.fixture
def turned() -> tuple[Image.Image, bytes]:
    """The picture of quadrants lying on its side, and the Exif data that say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return Image.fromarray(np.ascontiguousarray(np.rot90(quadrants()))), exif.tobytes()


def near(pixels: np.ndarray) -> bool:
    """Whether the picture shows the quadrants upright; lossy coding moves values a little, most at the edges."""
    wanted = quadrants().astype(int)
    if pixels.shape != wanted.shape:
        return False
    inner = [(7, 9), (7, 30), (22, 9), (22, 30)]
    return all(np.abs(pixels[place].astype(int) - wanted[place]).max() < 12 for place in inner)


def test_heic(turned: tuple[Image.Image, bytes]) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image, exif = turned
    for content in (encoded(image, "HEIF", exif=exif, quality=95), encoded(Image.fromarray(quadrants()), "HEIF")):
        assert near(read_rgb(content, Rendering())) and near(read_rgb(content))
    assert inspect_image(content).format == "HEIF"
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(content[: len(content) // 2])


def test_jpeg_xl(turned: tuple[Image.Image, bytes], tmp_path: Path) -> None:
    import pillow_jxl  # noqa: F401

    image, exif = turned
    lossless = encoded(Image.fromarray(quadrants()), "JXL", lossless=True)
    np.testing.assert_array_equal(read_rgb(lossless, Rendering()), quadrants())
    assert near(read_rgb(encoded(image, "JXL", exif=exif, lossless=True)))
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0)
    with Image.open(tmp_path / "turned.jpg") as opened:
        whole = encoded(opened, "JXL", lossless_jpeg=True)
    assert near(read_rgb(whole))
    # without what restores the JPEG, the decoder turns the picture, and the Exif data still say that it lies
    assert near(read_rgb(without_box(whole, b"jbrd")))
    deep = imagecodecs.jpegxl_encode(scene(3, 4095)[..., 0].astype(np.uint16), lossless=True)
    assert inspect_image(bytes(deep)).mode == "I;16"
    np.testing.assert_array_equal(
        read_rgb(bytes(deep), TWELVE)[..., 0], hand_scaled(scene(3, 4095)[..., 0].astype(np.uint16), 0, 4095)
    )
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(lossless[: len(lossless) // 2])


def without_box(content: bytes, kind: bytes) -> bytes:
    """A JPEG XL without one of its boxes."""
    kept, position = b"", 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big") or len(content) - position
        if content[position + 4 : position + 8] != kind:
            kept += content[position : position + length]
        position += length
    assert len(kept) < len(content)
    return kept


def test_a_jpeg_xl_that_promises_too_much() -> None:
    """Refused by its header: the decoder would begin with it at once."""
    bits = "0" + "11" + f"{2**30 - 1:030b}"[::-1] + "100" + "1"
    header = int(bits[::-1], 2).to_bytes(8, "little")
    with pytest.raises(ImageError, match="megapixels"):
        read_rgb(b"\xff\x0a" + header + bytes(50))


@pytest.mark.parametrize(
    ("plugin", "format", "extra", "content"),
    [
        ("pillow_heif", "HEIF", "heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("pillow_jxl", "JXL", "jxl", b"\xff\x0a\x7f\x00\x10" + bytes(60)),
    ],
)
def test_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, plugin: str, format: str, extra: str, content: bytes
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, plugin, None)
    monkeypatch.delitem(Image.OPEN, format, raising=False)
    with pytest.raises(ImageError, match=rf"fieldguide\[{extra}\]"):
        read_rgb(content)


def test_of_several_pages_the_first_is_taken_and_that_is_told(store: Store, tmp_path: Path) -> None:
    first, second = (picture(name, (40, 30)) for name in ("first", "second"))
    options: dict[str, Any] = {"save_all": True, "append_images": [second]}
    write(tmp_path / "photos" / "a" / "pages.tif", encoded(first, "TIFF", **options))
    write(tmp_path / "photos" / "a" / "moving.gif", encoded(first, "GIF", **options))
    write(tmp_path / "photos" / "a" / "moving.png", encoded(first, "PNG", **options))
    write(tmp_path / "photos" / "a" / "moving.webp", encoded(first, "WEBP", lossless=True, **options))
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:  # with an overview, which is no page
        writer.write(np.asarray(first), photometric="rgb", metadata=None)
        writer.write(np.asarray(first)[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    write(tmp_path / "photos" / "a" / "overview.tif", stream.getvalue())
    for number in range(6):
        write(tmp_path / "photos" / "b" / f"{number}.png", encoded(picture(number, (40, 30))))
    report = add_dataset(store, "set", tmp_path / "photos", reading=Reading(unlabelled=True))
    assert report.accepted == 11
    assert one_mentions(report.notes, "pages", 4)
    for name in ("pages.tif", "moving.png", "moving.webp"):
        np.testing.assert_array_equal(decode(tmp_path / "photos" / "a" / name, Rendering()).rgb, np.asarray(first))
