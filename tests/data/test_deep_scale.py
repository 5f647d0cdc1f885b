"""How the scale of a data set of deep pictures is found, and that it stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.conftest import encoded, picture, tree_state, write
from tests.data.deep_files import TWELVE, band_folder, deep_folder, hand_scaled, scene, tiff
from tests.properties import examples
from workflows.data import edits
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.facts import version_measures
from workflows.data.images import read_rgb
from workflows.data.importing import add_dataset
from workflows.data.measures import measure_file
from workflows.data.pixels import SquareTransform, open_pixels
from workflows.data.publishing import publish_record
from workflows.data.rendering import Rendering, Scale
from workflows.data.resplit import resplit
from workflows.data.sources import scan
from workflows.data.thumbnails import thumbnail
from workflows.data.undoing import undo
from workflows.data.verification import Journal, VerifiedImage, verify_images
from workflows.store.store import Store


def test_what_the_files_declare_goes_first(store: Store, tmp_path: Path) -> None:
    """A set of dark pictures says that its sensor gives up to 4,095."""
    tags = [(281, "H", 1, 4095, True)]  # MaxSampleValue
    source = band_folder(tmp_path / "photos", lambda seed: scene(seed, 900)[..., 0].astype(np.uint16), extratags=tags)
    rendering = add_dataset(store, "set", source).version.rendering()
    assert rendering is not None and rendering.scales == TWELVE.scales


def test_a_dark_picture_stays_darker_than_a_light_one(store: Store, tmp_path: Path) -> None:
    source = deep_folder(tmp_path / "photos")
    dark = scene(7, 500)[..., 0].astype(np.uint16)
    write(source / "low" / "dark.tif", tiff(dark))
    rendering = add_dataset(store, "set", source).version.rendering()
    assert rendering == TWELVE
    np.testing.assert_array_equal(read_rgb(tiff(dark), rendering)[..., 0], hand_scaled(dark, 0, 4095))


def test_nodata_and_not_a_number_have_no_say(store: Store, tmp_path: Path) -> None:
    def holed(seed: int) -> np.ndarray:
        values = scene(seed, 0.9)[..., 0].astype(np.float32)
        values[:4] = -9999
        values[4] = np.nan
        values[5] = np.inf
        return values

    source = band_folder(tmp_path / "photos", holed, extratags=[(42113, "s", 0, "-9999", True)])
    rendering = add_dataset(store, "set", source).version.rendering()
    assert rendering is not None and rendering.scales == (Scale("float", 0.0, 1.0),)
    pixels = read_rgb(source / "field" / "0.tif", rendering)
    assert (pixels[:6] == 0).all() and pixels[6:].max() > 200


@settings(max_examples=examples(60), deadline=None)
@given(
    values=st.lists(st.integers(0, 65_535), min_size=100, max_size=100),
    low=st.integers(0, 60_000),
    width=st.integers(1, 65_535),
)
def test_scaling_is_by_the_definition_whatever_the_type(values: list[int], low: int, width: int) -> None:
    raw = np.array(values).reshape(10, 10)
    scales = tuple(Scale(kind, float(low), float(low + width)) for kind in ("uint16", "int32", "float"))
    expected = hand_scaled(raw, low, low + width)
    for dtype in (np.uint16, np.dtype(">u2"), np.int32, np.float64):
        np.testing.assert_array_equal(Rendering(scales).eight_bits(raw.astype(dtype)), expected)


def test_everything_that_shows_a_data_set_uses_its_scale(store: Store, tmp_path: Path) -> None:
    source = deep_folder(tmp_path / "photos")
    before = tree_state(source)
    version = add_dataset(store, "set", source).version
    assert version.rendering() == TWELVE and tree_state(source) == before
    measures = version_measures(version, store.blobs)
    assert measures["brightness"].between(0.2, 0.8).all() and (measures["contrast"] > 0.1).all()
    assert not {finding.key for finding in audit(store, version).findings} & {"blank", "dark", "low-contrast"}
    row = version.labelled().iloc[0]
    path = store.blobs.path(row["sha256"])
    expected = read_rgb(path, TWELVE)
    small = np.asarray(Image.open(thumbnail(store, row["sha256"], rendering=TWELVE)).convert("L"), np.float64)
    assert abs(small.mean() - expected.mean()) < 3
    assert np.asarray(Image.open(thumbnail(store, row["sha256"])).convert("L")).mean() < 20  # as it was before
    transform = SquareTransform(32, "crop", TWELVE)
    pixels = open_pixels(version.labelled().assign(split="test"), store.blobs.path, transform, store.cache_folder)
    np.testing.assert_array_equal(pixels.squares([row["image_id"]])[0], transform(expected))
    np.testing.assert_array_equal(transform.read(path), transform(expected))
    plain = SquareTransform(32, "crop")
    others = open_pixels(version.labelled().assign(split="test"), store.blobs.path, plain, store.cache_folder)
    np.testing.assert_array_equal(others.squares([row["image_id"]])[0], plain(read_rgb(path)))


def test_the_scale_stays_when_images_are_added_and_clipping_is_told(store: Store, tmp_path: Path) -> None:
    add_dataset(store, "set", deep_folder(tmp_path / "photos"))
    brighter = deep_folder(tmp_path / "brighter", 60_000, number=5)
    report = add_dataset(store, "set", brighter)
    assert report.changed and report.version.rendering() == TWELVE
    assert sum("clipped" in note and "10 files" in note for note in report.notes) == 1
    assert add_dataset(store, "other", brighter).version.rendering() != TWELVE


def test_a_new_type_of_samples_gets_its_scale_without_touching_the_others(store: Store, tmp_path: Path) -> None:
    add_dataset(store, "set", deep_folder(tmp_path / "photos"))
    report = add_dataset(store, "set", deep_folder(tmp_path / "floats", 1.0, dtype=np.float32))
    rendering = report.version.rendering()
    assert rendering is not None and rendering.scales == (*TWELVE.scales, Scale("float", 0.0, 1.0))


def test_edits_and_undo_keep_it(store: Store, tmp_path: Path) -> None:
    version = add_dataset(store, "set", deep_folder(tmp_path / "photos")).version
    image = version.table()["image_id"].iloc[0]
    assert edits.relabel(store, "set", {image: "tall"}).rendering() == TWELVE
    assert undo(store, "set").rendering() == TWELVE
    assert resplit(store, "set", (0.5, 0.25, 0.25), 3).rendering() == TWELVE


def test_a_version_made_before_keeps_its_pixels(store: Store, tmp_path: Path) -> None:
    """As an earlier programme wrote it: without a rendering."""
    source = deep_folder(tmp_path / "photos")
    version = add_dataset(store, "set", source).version
    record = store.datasets.versions("set")[-1]
    publish_record(store, _renumbered(record, 2), version.table())
    old = get_version(store, "set")
    assert old.rendering() is None
    more = deep_folder(tmp_path / "more", 60_000, number=5)
    report = add_dataset(store, "set", more)
    assert report.changed and report.version.rendering() is None and report.to_dict()["rendering"] is None
    row = version.table().iloc[0]
    path = store.blobs.path(row["sha256"])
    raw = np.asarray(Image.open(path)).astype(np.uint16)
    np.testing.assert_array_equal(read_rgb(path, report.version.rendering())[..., 0], (raw >> 8).astype(np.uint8))


def _renumbered(record: Any, number: int) -> Any:
    return replace(record, number=number, parent=number - 1, fingerprint="0" * 64)


def test_8_bits_are_what_they_were(shared_or_made: list[bytes]) -> None:
    for content in shared_or_made:
        np.testing.assert_array_equal(read_rgb(content, TWELVE), read_rgb(content))


@pytest.fixture(params=["RGB", "L", "LA", "P", "1", "RGBA", "CMYK"])
def shared_or_made(request: pytest.FixtureRequest) -> list[bytes]:
    """Files of one mode in all formats that can hold it."""
    made = []
    for format in ("PNG", "TIFF", "JPEG", "WEBP", "GIF", "BMP"):
        try:
            made.append(encoded(picture(format, (40, 30), request.param), format))
        except (OSError, ValueError):  # a mode that the format does not know
            continue
    return made


def test_a_killed_import_measures_anew_what_is_shown_otherwise_now(store: Store, tmp_path: Path) -> None:
    """The journal of an import that was killed is of another scale if the folder holds brighter pictures since."""
    source = deep_folder(tmp_path / "photos")
    path = tmp_path / "journal.jsonl"
    entries = scan(source).entries
    with Journal(path, {}, TWELVE) as journal:
        verify_images(entries, store.blobs, journal, lambda *_: None, 1)
    assert len(Journal(path, {}, TWELVE).known) == len(entries)
    other = Rendering((Scale("uint16", 0.0, 65535.0),))
    with Journal(path, {}, other) as again:
        assert not again.known
        (image, *_) = verify_images(entries, store.blobs, again, lambda *_: None, 1)
    assert isinstance(image, VerifiedImage) and image.measures == measure_file(image.entry.path, other)
