"""Near duplicates: the index against brute force, and real photos that were stored anew."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.data.conftest import encoded
from tests.properties import examples
from workflows.data import near
from workflows.data.look_alikes import look_alikes
from workflows.data.measures import measure_file, measures_table
from workflows.data.near import close_hashes, connected


def brute_force(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    return {
        (one, other)
        for one in range(len(hashes))
        for other in range(one + 1, len(hashes))
        if int(hashes[one] ^ hashes[other]).bit_count() <= distance
    }


def as_set(pairs: tuple[np.ndarray, np.ndarray]) -> set[tuple[int, int]]:
    return set(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


@st.composite
def hash_sets(draw: st.DrawFn) -> np.ndarray:
    """A few hashes, and many that differ from those in up to 12 bits."""
    seeds = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8))
    flips = st.lists(st.integers(0, 63), max_size=12, unique=True)
    copies = draw(st.lists(st.tuples(st.sampled_from(seeds), flips), max_size=14))
    made = [seed ^ sum(1 << bit for bit in bits) for seed, bits in copies]
    return np.array(seeds + made, np.uint64)


@settings(deadline=None, max_examples=examples(60))
@given(hashes=hash_sets(), distance=st.integers(0, near.MAX_DISTANCE))
def test_the_index_finds_what_brute_force_finds(hashes: np.ndarray, distance: int) -> None:
    assert as_set(close_hashes(hashes, distance)) == brute_force(hashes, distance)


def test_many_random_hashes() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**63, 1500).astype(np.uint64)
    hashes[700:1400] = hashes[:700]
    for _ in range(10):
        hashes[700:1400] ^= np.uint64(1) << generator.integers(0, 64, 700).astype(np.uint64)
    assert as_set(close_hashes(hashes)) == brute_force(hashes, near.MAX_DISTANCE)


def test_a_crowd_of_equal_hashes_stays_one_group_and_few_pairs() -> None:
    hashes = np.full(20_000, 0x123456789ABCDEF0, np.uint64)
    first, second = close_hashes(hashes)
    assert 20_000 - 1 <= len(first) < 20_000 * 50
    names = pd.DataFrame({"first": [f"{one:05}" for one in first], "second": [f"{other:05}" for other in second]})
    assert set(connected(names).values()) == {"00000"}


def test_nothing_in_nothing_out() -> None:
    assert as_set(close_hashes(np.zeros(0, np.uint64))) == set() == as_set(close_hashes(np.zeros(1, np.uint64)))
    assert look_alikes(measures_table({})).groups == {}


def test_groups_are_the_connected_components() -> None:
    pairs = pd.DataFrame([("b", "c"), ("a", "c"), ("x", "y")], columns=["first", "second"])
    assert connected(pairs) == {"a": "a", "b": "a", "c": "a", "x": "x", "y": "x"}


def facts_of(images: dict[str, bytes]) -> pd.DataFrame:
    return measures_table({name: measure_file(content) for name, content in images.items()})


def test_blank_pictures_are_nobodys_duplicates() -> None:
    blank = {
        f"{level:03}": encoded(Image.new("RGB", (50 + level % 7, 40), (level, level, level)))
        for level in range(0, 250, 5)
    }
    assert len(look_alikes(facts_of(blank)).pairs) == 0


def cut(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    return image.crop((round(width * share), round(height * share), width - round(width * share), height))


STORED_ANEW: dict[str, Callable[[Image.Image], bytes]] = {
    "quality 40": lambda image: encoded(image, "JPEG", quality=40),
    "WebP": lambda image: encoded(image, "WEBP", quality=60),
    "half": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=85),
    "larger": lambda image: encoded(image.resize((image.width * 2, image.height * 2)), "JPEG", quality=85),
    "square": lambda image: encoded(image.resize((224, 224)), "PNG"),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2), "JPEG"),
    "grey": lambda image: encoded(image.convert("L"), "JPEG"),
    "cut": lambda image: encoded(cut(image, 0.01), "JPEG"),
}


@pytest.mark.parametrize("way", STORED_ANEW)
def test_real_photos_stored_anew_are_found_and_no_others(shared: Path, way: str) -> None:
    paths = sorted((shared / "data" / "hymenoptera" / "val").glob("*/*.jpg"))[::4]
    images = {}
    for number, path in enumerate(paths):
        images[f"{number:03} original"] = path.read_bytes()
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            images[f"{number:03} copy"] = STORED_ANEW[way](image.convert("RGB"))
    pairs = look_alikes(facts_of(images)).pairs
    assert all(first[:3] == second[:3] for first, second in zip(pairs["first"], pairs["second"], strict=True))
    assert len(pairs) >= 0.94 * len(paths)


def test_nothing_depends_on_the_order(shared: Path) -> None:
    paths = sorted((shared / "data" / "flowers" / "daisy").glob("1*.jpg"))
    table = facts_of({path.name: path.read_bytes() for path in paths})
    expected = look_alikes(table).pairs
    assert len(expected) >= 2
    assert look_alikes(table.sample(frac=1, random_state=1)).pairs.equals(expected)
