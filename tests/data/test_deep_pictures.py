"""Pictures of more than 8 bits or three bands: one scale and one choice of bands for a data set, told and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.data.conftest import encoded, picture
from tests.data.deep_files import TWELVE, band_folder, hand_scaled, scene, tiff
from tests.data.image_files import deep_png, quadrants
from tests.processes import ROOT
from workflows.data.images import inspect_image, read_rgb
from workflows.data.importing import add_dataset
from workflows.data.rendering import Rendering
from workflows.data.survey import parse_bands
from workflows.errors import ImageError, UsageError
from workflows.store.store import Store

# ---------------------------------------------------------------------- the table of docs/pixels.md

# input (as in the document) -> values of a picture, how the TIFF is written, raw values shown as 0 and 255
TABLE: dict[str, tuple[Any, dict[str, Any], tuple[str, float, float] | None]] = {
    "8 bits, grey or RGB": (lambda seed: scene(seed, 255, 3).astype(np.uint8), {"photometric": "rgb"}, None),
    "12 bits in 16": (lambda seed: scene(seed, 4095)[..., 0].astype(np.uint16), {}, ("uint16", 0, 4095)),
    "16 bits, all used": (lambda seed: scene(seed, 65535)[..., 0].astype(np.uint16), {}, ("uint16", 0, 65535)),
    "RGB of 16 bits, 0-10,000": (
        lambda seed: scene(seed, 10_000, 3).astype(np.uint16),
        {"photometric": "rgb"},
        ("uint16", 0, 10_000),
    ),
    "16 bits, 29,000-31,000": (
        lambda seed: scene(seed, 31_000, 1, 29_000)[..., 0].astype(np.uint16),
        {},
        ("uint16", 29_000, 31_000),
    ),
    "signed 16 bits, -1,000-2,000": (
        lambda seed: scene(seed, 2000, 1, -1000)[..., 0].astype(np.int16),
        {},
        ("int16", -1000, 2000),
    ),
    "32-bit whole numbers, 0-4,080": (
        lambda seed: scene(seed, 4080)[..., 0].astype(np.int32),
        {},
        ("int32", 0, 4095),
    ),
    "floats, 0-1": (lambda seed: scene(seed, 1.0)[..., 0].astype(np.float32), {}, ("float", 0, 1)),
    "floats, 250-320": (
        lambda seed: scene(seed, 320, 1, 250)[..., 0].astype(np.float64),
        {},
        ("float", 250, 320),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_data_set_has_one_scale_by_its_own_range(store: Store, tmp_path: Path, name: str) -> None:
    values_of, options, expected = TABLE[name]
    source = band_folder(tmp_path / "photos", values_of, **options)
    report = add_dataset(store, "set", source)
    rendering = report.version.rendering()
    assert rendering is not None and report.rendering == rendering
    told = json.loads(json.dumps(report.to_dict()))["rendering"]
    assert told == rendering.to_dict() and Rendering.from_dict(told) == rendering
    if expected is None:
        assert rendering.scales == ()
        low, high = 0.0, 255.0
    else:
        kind, low, high = expected
        (scale,) = rendering.scales
        assert scale.kind == kind
        assert scale.low == pytest.approx(low, rel=1e-3) and scale.high == pytest.approx(high, rel=1e-3)
        low, high = scale.low, scale.high
        assert any(f"{low:g}-{high:g}" in note for note in report.notes)
    for path in sorted(source.rglob("*.tif")):
        raw = tifffile.imread(path)
        expected_pixels = hand_scaled(raw if raw.ndim == 3 else raw[..., np.newaxis], low, high)
        np.testing.assert_array_equal(read_rgb(path, rendering), np.broadcast_to(expected_pixels, (48, 64, 3)))


def test_the_document_has_every_row_of_the_table() -> None:
    text = (ROOT / "docs" / "pixels.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    for name, (_, _, expected) in TABLE.items():
        assert name in rows
        for value in expected[1:] if expected else ():
            assert f"{value:,}" in rows[name]
    assert set(BANDS) <= set(rows)


# ---------------------------------------------------------------------- bands

BANDS: dict[str, tuple[int, type, dict[str, Any]]] = {
    "2 bands of 16 bits": (2, np.uint16, {}),
    "4 bands of 8 bits, the fourth undeclared": (4, np.uint8, {}),
    "4 bands of 8 bits, the fourth declared as transparency": (
        4,
        np.uint8,
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
    ),
    "4 bands of 16 bits": (4, np.uint16, {}),
    "5 bands of 8 bits": (5, np.uint8, {}),
    "13 bands of 16 bits": (13, np.uint16, {"compression": "zlib", "predictor": True}),
}


@pytest.mark.parametrize("name", BANDS)
def test_the_first_three_bands_are_shown_and_that_is_told(store: Store, tmp_path: Path, name: str) -> None:
    bands, dtype, options = BANDS[name]
    top = 255 if dtype is np.uint8 else 10_000
    source = band_folder(tmp_path / "photos", lambda seed: scene(seed, top, bands).astype(dtype), **options)
    report = add_dataset(store, "set", source)
    rendering = report.version.rendering()
    assert rendering is not None and report.accepted == 8
    assert any(f"{bands} bands" in note for note in report.notes)
    high = rendering.scales[0].high if rendering.scales else 255
    for path in sorted(source.rglob("*.tif")):
        raw = tifffile.imread(path)
        shown = raw[..., :3] if bands > 2 else raw[..., :1]
        np.testing.assert_array_equal(
            read_rgb(path, rendering), np.broadcast_to(hand_scaled(shown, 0, high), (48, 64, 3))
        )


def test_a_fourth_band_is_transparency_only_where_it_is_a_mask(store: Store, tmp_path: Path) -> None:
    """Decided for the whole data set: one picture whose fourth band is nearly even changes nothing."""

    def masked(seed: int) -> np.ndarray:
        values = scene(seed, 255, 4).astype(np.uint8)
        values[..., 3] = np.where(values[..., 3] > 100, 255, 0)
        return values

    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    source = band_folder(tmp_path / "masks", masked, **options)
    rendering = add_dataset(store, "masks", source).version.rendering()
    assert rendering is not None and not rendering.opaque
    path = source / "field" / "0.tif"
    clear = tifffile.imread(path)[..., 3] == 0
    assert clear.any() and (read_rgb(path, rendering)[clear] == 255).all()


def test_bands_can_be_chosen_and_stay(store: Store, tmp_path: Path) -> None:
    source = band_folder(tmp_path / "photos", lambda seed: scene(seed, 10_000, 5).astype(np.uint16))
    report = add_dataset(store, "set", source, bands=(4, 3, 2))
    rendering = report.version.rendering()
    assert rendering is not None and rendering.bands == (4, 3, 2)
    assert any("4, 3, 2" in note for note in report.notes)
    path = source / "field" / "1.tif"
    expected = hand_scaled(tifffile.imread(path)[..., [3, 2, 1]], 0, rendering.scales[0].high)
    np.testing.assert_array_equal(read_rgb(path, rendering), expected)
    with pytest.raises(UsageError, match="4,3,2"):
        add_dataset(store, "set", source, bands=(1, 2, 3))
    assert not add_dataset(store, "set", source).changed
    with pytest.raises(ImageError, match="band 4"):
        read_rgb(encoded(picture("plain", (64, 48))), rendering)
    with pytest.raises(ImageError, match="band 4"):
        read_rgb(tiff(scene(1, 10_000, 3).astype(np.uint16)), rendering)


def test_one_band_is_grey_and_bands_of_ordinary_pictures_can_be_chosen() -> None:
    pixels = quadrants()
    swapped = read_rgb(encoded(Image.fromarray(pixels)), Rendering(bands=(3, 2, 1)))
    np.testing.assert_array_equal(swapped, pixels[..., ::-1])
    grey = read_rgb(tiff(scene(1, 255, 5).astype(np.uint8)), Rendering(bands=(5,)))
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize("text", ["", "0,1,2", "1,2", "a", "1,2,3,4", "-1", "1,,2", "²"])
def test_bands_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_bands(text)


def test_bands_as_text() -> None:
    assert parse_bands("4,3,2") == (4, 3, 2) and parse_bands(" 8 ") == (8,)


# ---------------------------------------------------------------------- ways to write samples


def test_white_is_zero() -> None:
    values = scene(3, 4095)[..., 0].astype(np.uint16)
    pixels = read_rgb(tiff(values, photometric="miniswhite"), TWELVE)
    np.testing.assert_array_equal(pixels[..., 0], 255 - hand_scaled(values, 0, 4095))


def test_deep_colours_of_png() -> None:
    values = scene(5, 4095, 3).astype(np.uint16)
    np.testing.assert_array_equal(read_rgb(deep_png(values), TWELVE), hand_scaled(values, 0, 4095))


def test_orientation_of_deep_tiff() -> None:
    values = np.zeros((30, 40, 3), np.uint16)
    values[:15, :20], values[15:, 20:] = (4095, 0, 0), (0, 4095, 0)
    upright = hand_scaled(values, 0, 4095)
    stored = np.rot90(values)  # orientation 6 asks for a quarter turn clockwise
    for options in ({"photometric": "rgb"}, {"photometric": "rgb", "tile": (16, 16), "bigtiff": True}):
        content = tiff(np.ascontiguousarray(stored), extratags=[(274, "H", 1, 6, True)], **options)
        np.testing.assert_array_equal(read_rgb(content, TWELVE), upright)
        assert inspect_image(content).orientation == 6


@pytest.mark.parametrize(
    "options",
    [
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"tile": (16, 32), "compression": "zlib"},
        {"compression": "lzw", "predictor": True},
        {"compression": "zstd"},
        {"compression": "packbits"},
        {"byteorder": ">"},
        {"planarconfig": "separate"},
        {"rowsperstrip": 7},
    ],
)
def test_every_way_to_write_bands(options: dict[str, Any]) -> None:
    values = scene(9, 4095, 5).astype(np.uint16)
    stored = np.moveaxis(values, -1, 0) if options.get("planarconfig") == "separate" else values
    content = tiff(np.ascontiguousarray(stored), **options)
    np.testing.assert_array_equal(read_rgb(content, TWELVE), hand_scaled(values[..., :3], 0, 4095))


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"tile": (16, 16)}, {"tile": (16, 16), "compression": "lzw"}])
def test_big_and_tiled_tiff_of_8_bits(options: dict[str, Any]) -> None:
    pixels = quadrants()
    np.testing.assert_array_equal(read_rgb(tiff(pixels, photometric="rgb", **options), Rendering()), pixels)


def test_compression_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    five = tiff(scene(9, 4095, 5).astype(np.uint16), compression="lzw")
    grey = scene(9, 4095)[..., 0].astype(np.uint16)
    colours = scene(9, 4095, 3).astype(np.uint16)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=r"fieldguide\[tiff\]"):
        read_rgb(five, TWELVE)
    # what Pillow and OpenCV know needs no extra
    for values, options in ((grey, {}), (colours, {"photometric": "rgb"})):
        monkeypatch.undo()
        content = tiff(values, compression="lzw", **options)
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
        shown = read_rgb(content, TWELVE)
        np.testing.assert_array_equal(shown[..., 0], hand_scaled(values.reshape(48, 64, -1)[..., 0], 0, 4095))
