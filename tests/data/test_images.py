"""Any file to upright 8-bit RGB, or a reason why not."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import textwrap
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from tests.data.conftest import encoded, picture, write
from workflows.data.images import MAX_SIDE, inspect_image, read_rgb
from workflows.errors import ImageError

# Pillow's warnings are switched by workflows.data.images; pytest resets the switches for each test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "error::PIL.Image.DecompressionBombWarning")

Image.init()
FORMATS = [
    format
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    if format in Image.SAVE  # older Pillows lack AVIF
]


def quadrants() -> np.ndarray:
    """A picture that shows which side is up: red, green / blue, grey; 40 wide, 30 high."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:15, :20], pixels[:15, 20:] = (255, 0, 0), (0, 255, 0)
    pixels[15:, :20], pixels[15:, 20:] = (0, 0, 255), (128, 128, 128)
    return pixels


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


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits per channel, which Pillow itself can't write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, depth=16)


def png(width: int, height: int, rows: bytes, depth: int = 8, extra: bytes = b"") -> bytes:
    """A PNG put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


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


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, -2])
def test_truncated_jpeg(kept: float, progressive: bool) -> None:
    content = encoded(picture("x", (200, 100)), "JPEG", progressive=progressive)
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(content[: int(kept * len(content)) if kept > 0 else int(kept)])


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_file(format: str) -> None:
    content = encoded(picture("x", (200, 100)), format)
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 100, "not an image of a known format"),
        (b"just some text", "not an image of a known format"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\xd8\xff", "damaged"),
        (b"BMW is a car", "damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "known format"),
        (b"\x80\x04\x95pickle", "known format"),
        (b"\x93NUMPY\x01\0v\0", "known format"),
    ],
)
def test_no_images(tmp_path: Path, content: bytes, reason: str) -> None:
    path = write(tmp_path / "photo.jpg", content)
    with pytest.raises(ImageError, match=rf"photo\.jpg: .*{reason}"):
        read_rgb(path)


def test_not_a_readable_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in (
        ("none.jpg", "No such file"),
        (".", "not a file"),
        ("pipe.jpg", "not a file"),
        ("a\0b", "null byte"),
    ):
        with pytest.raises(ImageError, match=reason):
            read_rgb(tmp_path / name)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (9, 9, "shorter than 10 pixels"),
        (1, 1, "shorter than 10"),
        (10_000, 10_000, "larger than 50 megapixels|more than 50 megapixels"),
        (7_100, 7_100, "megapixels"),
        (MAX_SIDE + 1, 100, "longer than 10,000"),
        (65_535, 65_535, "megapixels"),
        (2**31 - 1, 2**31 - 1, "megapixels"),
        (0, 100, "shorter than 10|damaged"),
    ],
)
def test_size_is_judged_from_the_header(width: int, height: int, reason: str) -> None:
    """None of these files holds the pixels that its header promises: nothing is decoded."""
    with pytest.raises(ImageError, match=reason) as caught:
        read_rgb(png(width, height, b""))
    assert "truncated" not in caught.value.message


def test_limits_hold_whatever_other_libraries_set() -> None:
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, True
        with pytest.raises(ImageError, match="megapixels"):
            read_rgb(png(8_000, 8_000, b""))
        with pytest.raises(ImageError, match="damaged"):
            read_rgb(encoded(picture("x"), "JPEG")[:-50])
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def test_text_bomb() -> None:
    bomb = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(80 * 1024**2)))
    rows = (b"\0" + bytes(36)) * 12
    assert read_rgb(png(12, 12, rows)).shape == (12, 12, 3)
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(png(12, 12, rows, extra=bomb))


def test_format_that_this_pillow_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Image.OPEN, "WEBP")
    with pytest.raises(ImageError, match="WEBP can't be read by the installed Pillow"):
        read_rgb(SEEDS["WEBP"])


def test_decoder_fault_of_a_library_that_patches_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Ultralytics imported, Pillow's `open` tries to import a plugin for what it can't identify."""

    def patched(*_arguments: object, **_options: object) -> Image.Image:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", patched)
    with pytest.raises(ImageError, match="pi_heif"):
        read_rgb(encoded(picture("x")))


SEEDS = {format: encoded(picture(format, (32, 24)), format) for format in FORMATS}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), format=st.sampled_from(FORMATS))
def test_mutated_files_never_escape(data: st.DataObject, format: str) -> None:
    """Bit flips, cuts and overwritten stretches: pixels or an ImageError, nothing else."""
    content = bytearray(SEEDS[format])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    try:
        pixels = read_rgb(bytes(content))
    except ImageError as error:
        assert error.message
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and min(pixels.shape[:2]) >= 10


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([seed[:length] for seed in SEEDS.values() for length in (2, 4, 12, 60)]),
    rest=st.binary(max_size=300),
)
def test_garbage_behind_a_true_beginning(start: bytes, rest: bytes) -> None:
    try:
        read_rgb(start + rest)
    except ImageError as error:
        assert error.message


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Fifty images that promise 100 megapixels each, and one real one of 48, in a process of its own: below 1 GB."""
    program = """
        import re, sys
        from pathlib import Path
        from workflows.data.images import inspect_image, read_rgb
        from workflows.errors import ImageError
        for _ in range(50):
            try:
                inspect_image(Path(sys.argv[1]))
            except ImageError:
                pass
        print(read_rgb(Path(sys.argv[2])).shape)
        # not getrusage: its peak is inherited from the process that started this one
        print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
    """
    row = b"\0" + bytes(3 * 10_000)
    bomb = write(tmp_path / "bomb.png", png(10_000, 10_000, row * 10_000))
    large = write(tmp_path / "large.png", encoded(Image.new("RGBA", (8_000, 6_000), (1, 2, 3, 100))))
    command = [sys.executable, "-c", textwrap.dedent(program), str(bomb), str(large)]
    shape, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert shape == "(6000, 8000, 3)"
    assert int(peak) < 1_000_000  # kB


def test_large_images_from_many_threads() -> None:
    content = encoded(Image.new("L", (6_000, 5_000)), "PNG")
    with ThreadPoolExecutor(3) as pool:
        assert {facts.width for facts in pool.map(inspect_image, [content] * 4)} == {6_000}


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
