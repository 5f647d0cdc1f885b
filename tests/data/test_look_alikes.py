"""Look-alikes: other exposures of one part are found, other parts of one texture are not, and groups hold together."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.data.conftest import encoded
from tests.data.exposures import exposures, part_of
from tests.properties import examples
from workflows.data import details
from workflows.data.details import DETAIL_SIDE, Details, detail_of
from workflows.data.look_alikes import LookAlikes, cohesive_groups, crowded_hashes, look_alikes
from workflows.data.measures import measure_file, measures_table

SETS: dict[str, dict[str, Any]] = {
    "one layout": {},
    "fine grain": {"grain": 1.0},
    "coarse grain": {"grain": 4.0},
    "faint": {"strength": 3.0},
    "strong": {"strength": 12.0},
    "texture alone": {"fixed_camera": False},
    "strong texture alone": {"strength": 12.0, "fixed_camera": False},
}


def facts_of(images: dict[str, bytes]) -> pd.DataFrame:
    return measures_table({name: measure_file(content) for name, content in images.items()})


def true_pairs(names: list[str]) -> set[tuple[str, str]]:
    return {pair for pair in combinations(sorted(names), 2) if part_of(pair[0]) == part_of(pair[1])}


def found_pairs(found: LookAlikes) -> set[tuple[str, str]]:
    return set(zip(found.pairs["first"], found.pairs["second"], strict=True))


@pytest.mark.parametrize("kind", SETS)
def test_other_exposures_of_one_part_are_found(kind: str) -> None:
    images = exposures(40, **SETS[kind])
    found = look_alikes(facts_of(images))
    expected = true_pairs(list(images))
    assert len(expected & found_pairs(found)) >= 0.95 * len(expected)
    assert len(found_pairs(found) - expected) <= 0.01 * len(images)
    together = {pair for pair in expected if found.groups.get(pair[0], 0) == found.groups.get(pair[1], 1)}
    assert len(together) >= 0.95 * len(expected)


@pytest.mark.parametrize("kind", SETS)
def test_other_parts_of_one_texture_are_not_taken_for_one(kind: str) -> None:
    images = exposures(120, seed=1, most=1, **SETS[kind])
    found = look_alikes(facts_of(images))
    assert len(found.groups) <= 0.01 * len(images)


def test_a_few_exposures_are_enough_to_be_found() -> None:
    images = exposures(6)
    found, expected = found_pairs(look_alikes(facts_of(images))), true_pairs(list(images))
    assert found <= expected and len(found) >= 0.95 * len(expected)


def test_copies_of_pictures_that_hashes_do_not_tell_apart_are_found() -> None:
    images = exposures(60, most=1)
    copies = {}
    for name in list(images)[::4]:
        with Image.open(io.BytesIO(images[name])) as image:
            moved = image.crop((2, 1, image.width, image.height))
            copies[f"{part_of(name)}-again"] = encoded(ImageEnhance.Brightness(moved).enhance(1.3), "JPEG", quality=90)
    found = look_alikes(facts_of(images | copies))
    assert found_pairs(found) == true_pairs([*images, *copies])


def test_hashes_of_real_photos_tell_them_apart(shared: Path) -> None:
    paths = sorted((shared / "data" / "hymenoptera" / "val").glob("*/*.jpg"))
    hashes = np.array([int(measure_file(path).phash, 16) for path in paths], np.uint64)
    assert not crowded_hashes(hashes).any()


def test_hashes_of_one_layout_do_not() -> None:
    hashes = np.array([int(measure_file(each).phash, 16) for each in exposures(80, most=1).values()], np.uint64)
    assert crowded_hashes(hashes).mean() > 0.8


def test_nothing_depends_on_the_order() -> None:
    table = facts_of(exposures(20))
    expected = look_alikes(table)
    other = look_alikes(table.sample(frac=1, random_state=1))
    assert other.pairs.equals(expected.pairs) and other.groups == expected.groups


# ------------------------------------------------------------------- details


@st.composite
def bit_pictures(draw: st.DrawFn) -> np.ndarray:
    """A few pictures of bits that have something in common."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.sampled_from([2, 5, 20]))
    usual = generator.uniform(0.1, 0.9, (DETAIL_SIDE, DETAIL_SIDE))
    return np.asarray(generator.uniform(size=(count, DETAIL_SIDE, DETAIL_SIDE)) < usual)


def texts_of(pictures: np.ndarray) -> list[str]:
    return [base64.b64encode(np.packbits(picture).tobytes()).decode() for picture in pictures]


def moved(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """The value at (y + down, x + right), or 0."""
    wide = np.pad(picture, 2)
    return wide[2 + down : 2 + down + DETAIL_SIDE, 2 + right : 2 + right + DETAIL_SIDE]


@settings(deadline=None, max_examples=examples(15))
@given(pictures=bit_pictures())
def test_correlations_by_words_are_those_by_numbers(pictures: np.ndarray) -> None:
    count = len(pictures)
    mean = pictures.mean(axis=0) if count >= 16 else np.full((DETAIL_SIDE, DETAIL_SIDE), 0.5)
    centred = pictures - mean
    norms = np.sqrt((centred**2).sum(axis=(1, 2)))
    shifts = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    first, second = np.triu_indices(count, 1)
    expected = [
        max((centred[one] * moved(centred[other], *shift)).sum() for shift in shifts) / (norms[one] * norms[other])
        for one, other in zip(first, second, strict=True)
    ]
    assert Details(texts_of(pictures)).correlations(first, second) == pytest.approx(expected, abs=1e-3)


def test_a_moved_picture_is_the_same() -> None:
    generator = np.random.default_rng(0)
    pictures = generator.uniform(size=(30, DETAIL_SIDE, DETAIL_SIDE)) < 0.5
    pictures[1] = np.roll(pictures[0], (2, -1), axis=(0, 1))
    correlation = Details(texts_of(pictures)).correlations(np.array([0, 0]), np.array([1, 2]))
    assert correlation[0] > 0.9 and abs(correlation[1]) < 0.2


def test_the_search_finds_what_all_comparisons_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "_BLOCK", 7)  # several blocks
    table = facts_of(exposures(20, most=3))
    known = Details(table["detail"].tolist())
    hashes = np.array([int(text, 16) for text in table["phash"]], np.uint64)
    limits = known.limits(hashes, 20)
    first, second = np.triu_indices(len(table), 1)
    close = known.correlations(first, second) >= np.maximum(limits[first], limits[second])
    found = set(zip(*(part.tolist() for part in known.search(limits)), strict=True))
    assert close.any()
    assert set(zip(first[close].tolist(), second[close].tolist(), strict=True)) <= found


@pytest.mark.parametrize("change", [lambda v: 0.5 * v, lambda v: v + 60, lambda v: 255 * (v / 255) ** 0.6])
def test_the_exposure_hardly_changes_a_detail(change: Callable[[np.ndarray], np.ndarray]) -> None:
    picture = np.random.default_rng(0).normal(100, 20, (40, 50)).clip(20, 180)
    whole = np.kron(picture, np.ones((4, 4)))
    bits = [
        np.unpackbits(np.frombuffer(base64.b64decode(detail_of(Image.fromarray(each.astype(np.uint8)))), np.uint8))
        for each in (whole, change(whole))
    ]
    assert (bits[0] == bits[1]).mean() > 0.95


# -------------------------------------------------------------------- groups


def grouped(edges: set[tuple[int, int]], apart: dict[tuple[int, int], float] | None = None) -> dict[int, int]:
    ordered = sorted(edges)
    first, second = (np.array([edge[side] for edge in ordered], np.int64) for side in (0, 1))

    def close(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.array([(min(pair), max(pair)) in edges for pair in zip(one.tolist(), other.tolist(), strict=True)])

    return cohesive_groups(first, second, np.array([(apart or {}).get(edge, 0.5) for edge in ordered]), close)


def test_a_chain_does_not_become_a_group() -> None:
    groups = grouped({(number, number + 1) for number in range(176)})
    sizes = pd.Series(groups).value_counts()
    assert sizes.max() <= 3


def test_what_is_alike_becomes_one_group_even_if_a_pair_was_missed() -> None:
    whole = set(combinations(range(6), 2))
    assert set(grouped(whole - {(0, 5), (1, 4)}).values()) == {0}


def test_a_bridge_does_not_join_two_groups() -> None:
    edges = set(combinations(range(5), 2)) | set(combinations(range(5, 10), 2)) | {(4, 5)}
    groups = grouped(edges, {(4, 5): 0.9})
    assert {groups[number] for number in range(5)} == {0} and {groups[number] for number in range(5, 10)} == {5}


@settings(max_examples=examples(60))
@given(edges=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), max_size=30))
def test_groups_lie_in_the_connected_components_and_have_two_members_at_least(edges: set[tuple[int, int]]) -> None:
    groups = grouped(edges)
    component = {number: number for number in range(12)}
    for _ in component:
        for one, other in edges:
            component[one] = component[other] = min(component[one], component[other])
    assert all(component[member] == component[group] for member, group in groups.items())
    assert all(sum(group == other for other in groups.values()) >= 2 for group in groups.values())
    assert {one for edge in edges for one in edge} >= set(groups)
