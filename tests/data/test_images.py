"""Any image file to upright 8-bit RGB: formats, colours, transparency, orientation, frames."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.data.conftest import encoded, picture
from tests.data.image_files import FORMATS, deep_png, quadrants
from workflows.data.images import inspect_image, read_rgb

# Pillow's warnings are switched by workflows.data.images; pytest resets the switches for each test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "error::PIL.Image.DecompressionBombWarning")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format(format: str) -> None:
    content = encoded(Image.fromarray(quadrants()), format)
    facts, pixels = inspect_image(content), read_rgb(content)
    assert (facts.width, facts.height, facts.format) == (40, 30, format)
    assert pixels.shape == (30, 40, 3) and pixels.dtype == np.uint8 and pixels.flags.writeable
    inner = [pixels[7, 10], pixels[7, 30], pixels[22, 10], pixels[22, 30]]
    assert np.abs(np.array(inner, int) - [[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]).max() < 40


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", [format for format in FORMATS if format in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF")])
def test_exif_orientation_is_honoured(format: str, orientation: int) -> None:
    """Every way to store the picture shows the same picture."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the stored picture, made upright by this orientation
    upright = Image.fromarray(quadrants())
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = (
        {"lossless": True} if format == "WEBP" else {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    )
    content = encoded(stored, format, exif=exif, **lossless)
    facts, pixels = inspect_image(content), read_rgb(content)
    assert (facts.width, facts.height, facts.orientation) == (40, 30, orientation)
    tolerance = 40 if format == "AVIF" else 3
    assert (
        np.abs(
            pixels[[7, 7, 22, 22], [10, 30, 10, 30]].astype(int) - quadrants()[[7, 7, 22, 22], [10, 30, 10, 30]]
        ).max()
        < tolerance
    )


def test_broken_exif_is_no_reason_to_refuse() -> None:
    content = encoded(picture("x"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert inspect_image(content).orientation == 1


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_senseless_orientation(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert inspect_image(encoded(picture("x"), "JPEG", exif=exif)).orientation == 1


@pytest.mark.parametrize(
    ("mode", "format", "converted"),
    [
        ("RGB", "PNG", False),
        ("L", "PNG", True),
        ("1", "PNG", True),
        ("P", "GIF", True),
        ("P", "PNG", True),
        ("LA", "PNG", True),
        ("RGBA", "PNG", True),
        ("CMYK", "JPEG", True),
        ("LAB", "TIFF", True),
    ],
)
def test_every_mode(mode: str, format: str, converted: bool) -> None:
    source = picture("x").convert("RGB" if mode == "LAB" else mode)
    if mode == "LAB":
        source = Image.merge("LAB", source.split())
    content = encoded(source, format)
    facts, pixels = inspect_image(content), read_rgb(content)
    assert (facts.mode, facts.converted) == (mode, converted)
    assert pixels.shape == (16, 24, 3)
    if mode not in ("LAB", "CMYK"):
        assert np.array_equal(
            pixels, np.asarray(source.convert("RGBA").convert("RGB") if "A" not in mode else source.convert("RGB"))
        )


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_loses_its_low_byte(format: str) -> None:
    values = np.arange(0, 65_536, 160, dtype=np.uint16)[:400].reshape(20, 20)
    content = encoded(Image.fromarray(values), format)
    assert inspect_image(content).mode == "I;16"
    assert np.array_equal(read_rgb(content), np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_sixteen_bit_colour() -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (12, 10, 3), dtype=np.uint16)
    facts, pixels = inspect_image(deep_png(values)), read_rgb(deep_png(values))
    assert (facts.mode, facts.converted) == ("RGB;16", True)
    assert np.array_equal(pixels, (values >> 8).astype(np.uint8))


@pytest.mark.parametrize(("highest", "expected"), [(1.0, 255), (255.0, 255), (65_280.0, 255)])
def test_floats_by_their_range(highest: float, expected: int) -> None:
    values = np.linspace(0, highest, 400, dtype=np.float32).reshape(20, 20)
    values[0, 1] = np.nan
    pixels = read_rgb(encoded(Image.fromarray(values), "TIFF"))
    assert (pixels[0, 0, 0], pixels[0, 1, 0], pixels[-1, -1, 0]) == (0, 0, expected)


def test_transparency_is_laid_on_white() -> None:
    half = Image.new("RGBA", (12, 12), (255, 0, 0, 128))
    half.putpixel((0, 0), (0, 0, 0, 0))
    pixels = read_rgb(encoded(half))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.abs(pixels[5, 5].astype(int) - [255, 127, 127]).max() <= 1


def test_transparent_palette_and_colour_key() -> None:
    palette = Image.new("P", (12, 12), 1)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.putpixel((0, 0), 0)
    key = Image.new("RGB", (12, 12), (0, 0, 255))
    key.putpixel((0, 0), (1, 2, 3))
    for content in (
        encoded(palette, transparency=0),
        encoded(key, transparency=(1, 2, 3)),
        encoded(palette, "GIF", transparency=0),
    ):
        pixels = read_rgb(content)
        assert (pixels[0, 0].tolist(), pixels[5, 5].tolist()) == ([255, 255, 255], [0, 0, 255])


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(format: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "lime")]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(read_rgb(content).astype(int) - [255, 0, 0]).max() < 5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_trailing_bytes_are_no_damage(format: str) -> None:
    content = encoded(picture("x"), format)
    assert np.array_equal(read_rgb(content + b"\0" * 20), read_rgb(content))


ODD = {
    "exif-rotated-6.jpeg": (294, 392, "JPEG", "RGB", 6),
    "gif-named.jpg": (480, 360, "GIF", "P", 1),
    "grey.jpg": (600, 254, "JPEG", "L", 1),
    "mpo.jpg": (512, 512, "MPO", "RGB", 1),
    "palette.bmp": (640, 426, "BMP", "P", 1),
    "palette.png": (1920, 540, "PNG", "P", 1),
    "png-named.jpg": (600, 300, "PNG", "RGB", 1),
    "rgba-png-named.jpg": (284, 177, "PNG", "RGBA", 1),
}


def test_all_odd_files_load_upright(shared: Path) -> None:
    files = {path.name: path for path in (shared / "data" / "odd").iterdir()}
    assert set(files) == set(ODD)
    for name, (width, height, _, mode, _) in ODD.items():
        facts, pixels = inspect_image(files[name]), read_rgb(files[name])
        assert (facts.width, facts.height, facts.format, facts.mode, facts.orientation) == ODD[name]
        assert pixels.shape == (height, width, 3) and pixels.std() > 10
        assert facts.converted == (mode != "RGB")


def test_rotated_photo_is_the_stored_one_turned(shared: Path) -> None:
    path = shared / "data" / "odd" / "exif-rotated-6.jpeg"
    with Image.open(path) as stored:
        assert np.array_equal(read_rgb(path), np.rot90(np.asarray(stored.convert("RGB")), k=-1))


def test_pillow_metadata_of_png_text_is_harmless() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 1000, zip=True)
    stream = io.BytesIO()
    picture("x").save(stream, "PNG", pnginfo=info)
    assert read_rgb(stream.getvalue()).shape == (16, 24, 3)
