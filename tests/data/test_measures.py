"""What is measured of a photo: each figure against a picture made to have it, or against the library that defines it."""

from __future__ import annotations

import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.data.conftest import encoded, picture
from tests.properties import examples
from workflows.data.measures import THUMBNAIL, Measures, measure_file, measured_images, measures_table


def even(colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB", size, colour)


def measured(image: Image.Image, format: str = "PNG", **options: object) -> Measures:
    return measure_file(encoded(image, format, **options))


def test_an_even_picture() -> None:
    grey = measured(even((128, 128, 128)))
    assert grey.brightness == grey.darkest == grey.brightest == pytest.approx(128 / 255, abs=1e-4)
    assert (grey.contrast, grey.entropy, grey.sharpness, grey.saturation, grey.border) == (0, 0, 0, 0, 1)
    assert (grey.red_cast, grey.green_cast, grey.blue_cast) == (0, 0, 0)
    assert (grey.dark_share, grey.bright_share) == (0, 0)
    assert grey.thumbnail == "808080" * THUMBNAIL**2
    assert (grey.jpeg_quality, grey.camera, grey.animated, grey.trailing_bytes) == (None, None, False, 0)


def test_black_white_and_colours() -> None:
    assert measured(even((0, 0, 0))).dark_share == measured(even((255, 255, 255))).bright_share == 1
    red = measured(even((255, 0, 0)))
    assert (red.saturation, red.brightness) == (1, pytest.approx(0.299, abs=0.002))
    assert (red.red_cast, red.green_cast, red.blue_cast) == pytest.approx((2 / 3, -1 / 3, -1 / 3), abs=1e-4)
    half = Image.new("RGB", (100, 100))
    half.paste((255, 255, 255), (0, 0, 50, 100))
    both = measured(half)
    assert (both.entropy, both.contrast, both.dark_share) == (1, 0.5, 0.5)


def test_borders() -> None:
    content = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    framed = even((255, 255, 255), (100, 100))
    framed.paste(content, (10, 20))
    assert measured(framed).border == pytest.approx(1 - 60 * 80 / 100**2)
    assert measured(framed, "JPEG", quality=95).border == pytest.approx(1 - 60 * 80 / 100**2, abs=0.1)
    assert measured(content).border == 0


def test_blurring_lowers_sharpness() -> None:
    sharp = picture("sharp", (300, 200)).resize((600, 400))
    values = [measured(sharp.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 1, 3, 6)]
    assert values == sorted(values, reverse=True) and values[0] > 20 * values[-1]


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 51, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg(quality: int) -> None:
    found = measured(picture("jpeg", (64, 64)), "JPEG", quality=quality).jpeg_quality
    assert found == quality


def test_camera_animation_and_what_follows_the_picture() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\0", "  EOS 5D\n"
    photo = encoded(picture("camera"), "JPEG", exif=exif)
    assert measure_file(photo).camera == "Canon EOS 5D"
    assert (measure_file(photo).trailing_bytes, measure_file(photo + b"PK secret").trailing_bytes) == (0, 9)
    assert measure_file(photo).bytes == len(photo)
    assert measure_file(encoded(picture("png")) + b"1234").trailing_bytes == 4
    frames = [picture(number) for number in range(3)]
    assert measured(frames[0], "GIF", save_all=True, append_images=frames[1:]).animated
    assert measured(frames[0], "WEBP", save_all=True, append_images=frames[1:]).animated
    assert not measured(frames[0], "GIF").animated


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(640, 480), (33, 500), (12, 11)])
def test_the_hash_is_that_of_imagehash(format: str, size: tuple[int, int]) -> None:
    content = encoded(picture(size, size).filter(ImageFilter.GaussianBlur(2)), format)
    with Image.open(io.BytesIO(content)) as image:
        assert measure_file(content).phash == str(imagehash.phash(image.convert("RGB")))


@settings(deadline=None, max_examples=examples(40))
@given(width=st.integers(10, 400), height=st.integers(10, 400), mode=st.sampled_from(["RGB", "L", "RGBA", "P", "1"]))
def test_all_figures_are_in_their_ranges(width: int, height: int, mode: str) -> None:
    found = measured(picture((width, height), (width, height)).convert(mode))
    shares = ("brightness", "darkest", "brightest", "dark_share", "bright_share", "saturation", "border")
    assert all(0 <= getattr(found, name) <= 1 for name in shares)
    assert 0 <= found.contrast <= 0.5 and 0 <= found.entropy <= 8 and found.sharpness >= 0
    assert len(found.phash) == 16 and len(found.thumbnail) == 6 * THUMBNAIL**2
    assert found.red_cast + found.green_cast + found.blue_cast == pytest.approx(0, abs=1e-4)


def test_strips_are_measured_too() -> None:
    found = measured(picture("strip", (9000, 10)))
    assert found.sharpness == 0 and np.isfinite(found.brightness)


def test_the_table_gives_back_what_was_measured(shared: Path) -> None:
    odd = sorted((shared / "data" / "odd").iterdir())
    measures = {f"{number:064x}": measure_file(path) for number, path in enumerate(odd)}
    assert dict(measured_images(measures_table(measures))) == measures
    assert list(measured_images(measures_table({}))) == []
