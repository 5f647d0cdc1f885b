"""The way to a square, and the store of decoded photos."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torchvision.transforms as T  # noqa: N812 - the library's own convention
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.properties import examples
from workflows.data.pixels import MARGIN, PADDING, SquareTransform, make_square, open_pixels, training_pixels

SIDES = st.integers(10, 90)
SQUARES = ("crop", "pad", "stretch")


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@settings(max_examples=examples(60), deadline=None)
@given(height=SIDES, width=SIDES, size=st.sampled_from([32, 64, 96]))
def test_crop_equals_torchvision(height: int, width: int, size: int) -> None:
    rgb = photo(height, width)
    expected = np.asarray(T.Compose([T.Resize(size), T.CenterCrop(size)])(Image.fromarray(rgb)))
    np.testing.assert_array_equal(make_square(rgb, size, "crop"), expected)


@settings(max_examples=examples(60), deadline=None)
@given(height=SIDES, width=SIDES, square=st.sampled_from(SQUARES))
def test_every_way_gives_the_size_asked(height: int, width: int, square: str) -> None:
    found = SquareTransform(64, square)(photo(height, width))
    assert found.shape == (64, 64, 3)
    assert found.dtype == np.uint8


def test_pad_keeps_the_whole_photo_in_its_shape() -> None:
    found = make_square(np.full((20, 40, 3), 200, np.uint8), 64, "pad")
    assert (found[16:48] == 200).all()
    assert (found[:16] == PADDING).all()
    assert (found[48:] == PADDING).all()


@settings(max_examples=examples(60), deadline=None)
@given(height=SIDES, width=SIDES, square=st.sampled_from(SQUARES))
def test_training_pixels_never_enlarge_and_leave_room(height: int, width: int, square: str) -> None:
    found = training_pixels(photo(height, width), 32, square)
    assert found.shape[0] <= max(height, width)
    assert found.shape[1] <= max(height, width)
    short = min(height, width)
    if square == "crop":
        assert min(found.shape[:2]) == min(short, round(32 * MARGIN))
        assert max(found.shape[:2]) / min(found.shape[:2]) <= 2.1


def records(folder: Path, count: int = 12) -> pd.DataFrame:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(photo(40, 30 + number, number)).save(folder / f"h{number}.png")
    splits = ["train", "val", "test"]
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "sha256": [f"h{number}.png" for number in range(count)],
            "split": [splits[number % 3] for number in range(count)],
        }
    )


def test_cached_pixels_are_those_of_the_transform(tmp_path: Path) -> None:
    table, transform = records(tmp_path / "photos"), SquareTransform(32, "crop")
    pixels = open_pixels(table, (tmp_path / "photos").joinpath, transform, tmp_path / "cache")
    for image_id in ("i10", "i1", "i2"):
        original = np.asarray(Image.open(tmp_path / "photos" / f"h{image_id[1:]}.png"))
        np.testing.assert_array_equal(pixels.squares([image_id])[0], transform(original))
    for row in pixels.training_rows().itertuples():
        original = np.asarray(Image.open(tmp_path / "photos" / f"h{row.image_id[1:]}.png"))
        kept = pixels.training[row.offset : row.offset + row.height * row.width * 3].reshape(row.height, row.width, 3)
        np.testing.assert_array_equal(kept, training_pixels(original, 32, "crop"))


def test_photos_are_decoded_once(tmp_path: Path) -> None:
    table, transform = records(tmp_path / "photos"), SquareTransform(32, "pad")
    decoded: list[str] = []

    def locate(sha256: str) -> Path:
        decoded.append(sha256)
        return tmp_path / "photos" / sha256

    first = open_pixels(table, locate, transform, tmp_path / "cache")
    shuffled = table.sample(frac=1.0, random_state=1)
    second = open_pixels(shuffled, locate, transform, tmp_path / "cache")
    assert sorted(decoded) == sorted(table["sha256"])
    np.testing.assert_array_equal(first.evaluation, second.evaluation)


@pytest.mark.parametrize("change", [{"split": "val"}, {"sha256": "h3.png"}])
def test_another_split_or_content_is_decoded_anew(tmp_path: Path, change: dict[str, str]) -> None:
    table, transform = records(tmp_path / "photos"), SquareTransform(32, "crop")
    locate = (tmp_path / "photos").joinpath
    open_pixels(table, locate, transform, tmp_path / "cache")
    other = table.copy()
    for column, value in change.items():
        other.loc[0, column] = value
    open_pixels(other, locate, transform, tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "pixels").iterdir())) == 2


def test_decoding_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    table = records(tmp_path / "photos")
    (tmp_path / "photos" / "h7.png").write_bytes(b"no image")
    with pytest.raises(Exception, match=r"h7\.png"):
        open_pixels(table, (tmp_path / "photos").joinpath, SquareTransform(32, "crop"), tmp_path / "cache")
    assert list((tmp_path / "cache" / "pixels").iterdir()) == []


DECODING = """
    import sys, time
    from pathlib import Path
    import pandas as pd
    from workflows.data.pixels import SquareTransform, open_pixels

    place, size = Path(sys.argv[1]), int(sys.argv[2])

    def locate(sha256: str) -> Path:
        print("decoding", flush=True)
        time.sleep(0.05 if size == 32 else 60)
        return place / "photos" / sha256

    open_pixels(pd.read_parquet(place / "table"), locate, SquareTransform(size, "crop"), place / "cache", threads=1)
"""


@contextmanager
def decoding(place: Path, size: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that decodes the images of `place`: to 32 pixels within a second, to any other size for minutes."""
    command = [sys.executable, "-c", textwrap.dedent(DECODING), str(place), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "decoding\n"
        try:
            yield process
        finally:
            process.kill()


def test_two_processes_decode_once(tmp_path: Path) -> None:
    table, waits = records(tmp_path / "photos"), []
    table.to_parquet(tmp_path / "table")

    def progress(stage: str, done: int, total: int, text: str = "") -> None:
        waits.append((done, total, text))

    with decoding(tmp_path, 32) as other:
        pixels = open_pixels(table, forbidden, SquareTransform(32, "crop"), tmp_path / "cache", progress)
        assert other.wait() == 0
    assert len(pixels.rows) == len(table)
    assert [(done, total) for done, total, _ in waits] == [(0, len(table))]
    assert str(other.pid) in waits[0][2]


def forbidden(sha256: str) -> Path:
    raise AssertionError(f"{sha256} is decoded a second time")


def test_half_decoded_images_of_killed_processes_are_removed_and_others_are_not(tmp_path: Path) -> None:
    table = records(tmp_path / "photos")
    table.to_parquet(tmp_path / "table")
    cache = tmp_path / "cache" / "pixels"
    with decoding(tmp_path, 48) as killed:
        killed.kill()
    left = set(cache.iterdir())
    assert len(left) == 1
    with decoding(tmp_path, 64):
        (living,) = set(cache.iterdir())
        assert living not in left
        for _ in range(2):
            open_pixels(table, (tmp_path / "photos").joinpath, SquareTransform(32, "crop"), tmp_path / "cache")
        assert living.is_dir()
    assert len(list(cache.iterdir())) == 2
