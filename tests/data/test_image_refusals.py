"""What is no image, damaged, too large or made to harm is refused in words, within bounds of memory."""

from __future__ import annotations

import os
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
from PIL import Image, ImageFile

from tests.data.conftest import encoded, picture, write
from tests.data.image_files import FORMATS, chunk, png
from tests.properties import examples
from workflows.data.images import MAX_SIDE, inspect_image, read_rgb
from workflows.errors import ImageError

# Pillow's warnings are switched by workflows.data.images; pytest resets the switches for each test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "error::PIL.Image.DecompressionBombWarning")


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
        (b"\0" * 100, "not an image of a"),
        (b"just some text", "not an image of a"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b"BMW is a car", "damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "supported format"),
        (b"\x80\x04\x95pickle", "supported format"),
        (b"\x93NUMPY\x01\0v\0", "supported format"),
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
    with pytest.raises(ImageError, match=r"WEBP.*Pillow"):
        read_rgb(SEEDS["WEBP"])


def test_decoder_fault_of_a_library_that_patches_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Ultralytics imported, Pillow's `open` tries to import a plugin for what it can't identify."""

    def patched(*_arguments: object, **_options: object) -> Image.Image:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", patched)
    with pytest.raises(ImageError, match="pi_heif"):
        read_rgb(encoded(picture("x")))


SEEDS = {format: encoded(picture(format, (32, 24)), format) for format in FORMATS}


@settings(max_examples=examples(300), deadline=None)
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


@settings(max_examples=examples(200), deadline=None)
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
