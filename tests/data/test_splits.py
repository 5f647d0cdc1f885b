"""Splits: stratified, group-aware, duplicates together, stable, and independent of the order."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.properties import examples
from workflows.data.splits import assign_splits, check_ratios, quotas
from workflows.data.version import SPLITS
from workflows.errors import DatasetError, UsageError

RATIOS = st.sampled_from([(0.7, 0.15, 0.15), (70, 15, 15), (0.8, 0.2, 0.0), (0.5, 0.25, 0.25), (0.34, 0.33, 0.33)])


def images(rows: list[tuple[str, str, str | None]], splits: list[str | None] | None = None) -> pd.DataFrame:
    """A table of (content, label, group)."""
    frame = pd.DataFrame(rows, columns=["sha256", "label", "group"])
    return frame.assign(split=pd.Series(splits or [None] * len(rows), dtype=object))


@st.composite
def class_sizes(draw: st.DrawFn) -> pd.DataFrame:
    """Images without groups or duplicates."""
    sizes = draw(st.lists(st.integers(3, 60), min_size=1, max_size=5))
    return images(
        [(f"{label}-{number}", f"c{label}", None) for label, size in enumerate(sizes) for number in range(size)]
    )


@st.composite
def bound_images(draw: st.DrawFn) -> pd.DataFrame:
    """Images with duplicates and groups, which may join several classes."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 80).map(lambda number: f"content {number}"),
                st.sampled_from(["ant", "bee", "wasp"]),
                st.none() | st.integers(0, 25).map(lambda number: f"group {number}"),
            ),
            min_size=20,
            max_size=120,
        )
    )
    return images(rows)


def assigned(frame: pd.DataFrame, *arguments: Any) -> list[str | None]:
    """Splits, or a skipped example where the classes are too small for them."""
    try:
        return list(assign_splits(frame, *arguments))
    except DatasetError:
        assume(False)
        raise


def assert_bound_stay_together(frame: pd.DataFrame, splits: list[str | None]) -> None:
    frame = frame.assign(split=splits)
    assert (frame.groupby("sha256")["split"].nunique() <= 1).all()
    assert (frame.groupby("group")["split"].nunique() <= 1).all()


@given(frame=class_sizes(), ratios=RATIOS, seed=st.integers(0, 5))
def test_each_class_gets_its_quotas_exactly(frame: pd.DataFrame, ratios: tuple[float, ...], seed: int) -> None:
    splits = assign_splits(frame, ratios, seed)
    shares = check_ratios(ratios)
    for label, part in frame.assign(split=splits).groupby("label"):
        counts = Counter(part["split"])
        assert counts == quotas(len(part), shares), label
        for split in SPLITS:
            share = shares.get(split, 0.0)
            assert abs(counts[split] - share * len(part)) < 2.0
            assert (counts[split] > 0) == (share > 0)


@given(number=st.integers(3, 10_000), ratios=RATIOS)
def test_quotas_add_up(number: int, ratios: tuple[float, ...]) -> None:
    shares = check_ratios(ratios)
    quota = quotas(number, shares)
    assert quota.total() == number and min(quota.values()) >= 1
    if number * min(shares.values()) >= 1:  # Hamilton's method: within one of the exact number
        assert all(abs(quota[split] - share * number) < 1 for split, share in shares.items())


@settings(deadline=None)
@given(frame=bound_images(), ratios=RATIOS, seed=st.integers(0, 3))
def test_groups_and_duplicates_are_on_one_side(frame: pd.DataFrame, ratios: tuple[float, ...], seed: int) -> None:
    splits = assigned(frame, ratios, seed)
    assert None not in splits
    assert_bound_stay_together(frame, splits)
    for _, part in frame.assign(split=splits).groupby("label"):
        assert set(part["split"]) == set(check_ratios(ratios))


@settings(deadline=None)
@given(frame=bound_images(), order=st.randoms(use_true_random=False))
def test_the_order_does_not_matter(frame: pd.DataFrame, order: Any) -> None:
    frame = frame.assign(split=assigned(frame))
    rows = list(range(len(frame)))
    order.shuffle(rows)
    shuffled = frame.iloc[rows].assign(split=None)
    assert assign_splits(shuffled) == frame["split"].iloc[rows].tolist()


@settings(deadline=None)
@given(frame=bound_images(), first=st.integers(10, 100), seeds=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_additions_never_move_an_old_image(frame: pd.DataFrame, first: int, seeds: tuple[int, int]) -> None:
    old = frame.iloc[:first]
    before = assigned(old, (0.7, 0.15, 0.15), seeds[0])
    known: list[str | None] = before + [None] * (len(frame) - len(old))
    after = assigned(frame.assign(split=pd.Series(known, dtype=object)), (0.7, 0.15, 0.15), seeds[1])
    assert after[: len(old)] == before
    placed = [row for row, split in enumerate(after) if split is not None]
    assert_bound_stay_together(frame.iloc[placed], [after[row] for row in placed])
    # left out is only what is bound to two sides at once
    for row in set(range(len(frame))) - set(placed):
        assert len(_sides_bound_to(frame, before, row)) > 1


def _sides_bound_to(frame: pd.DataFrame, before: list[str | None], row: int) -> set[str | None]:
    """Splits of old images that a row is bound to, through any chain of contents and groups."""
    reached, waiting = {row}, [row]
    places: dict[str, list[int]] = defaultdict(list)
    tokens = [
        [token for token in pair if isinstance(token, str)]
        for pair in zip(frame["sha256"], frame["group"], strict=True)
    ]
    for number, names in enumerate(tokens):
        for name in names:
            places[name].append(number)
    while waiting:
        for name in tokens[waiting.pop()]:
            new = set(places[name]) - reached
            reached |= new
            waiting.extend(new)
    return {before[number] for number in reached if number < len(before)}


@given(frame=class_sizes(), extra=st.integers(0, 40))
def test_added_images_restore_the_ratios(frame: pd.DataFrame, extra: int) -> None:
    frame = frame.assign(split="train")  # everything old teaches
    more = images([(f"new-{number}", "c0", None) for number in range(extra)])
    splits = assign_splits(pd.concat([frame, more], ignore_index=True))
    added = Counter(splits[len(frame) :])
    size = int((frame["label"] == "c0").sum())
    quota = quotas(size + extra, check_ratios((0.7, 0.15, 0.15)))
    for split in ("val", "test"):  # never more than the quota, and nothing for train while others lack some
        assert added[split] <= quota[split]
        assert added[split] == quota[split] or not added["train"] or added[split] > 0


def test_the_seed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = images([(str(number), "a", None) for number in range(100)])
    assert assign_splits(frame, seed=0) == assign_splits(frame, seed=0) != assign_splits(frame, seed=1)


def test_large_groups_are_balanced() -> None:
    """Thirty animals with 1 to 30 photos each: the shares are still met within a few photos."""
    rows = [(f"{animal}-{photo}", "a", f"animal {animal}") for animal in range(30) for photo in range(animal + 1)]
    counts = Counter(assign_splits(images(rows)))
    assert {split: round(100 * counts[split] / len(rows)) for split in SPLITS} == {"train": 70, "val": 15, "test": 15}


def test_three_groups_of_very_different_size_reach_all_splits() -> None:
    rows = [
        (f"{group}-{number}", "a", group) for group, size in (("x", 50), ("y", 50), ("z", 2)) for number in range(size)
    ]
    frame = images(rows)
    splits = frame.assign(split=assign_splits(frame)).groupby("group")["split"].first()
    assert sorted(splits) == ["test", "train", "val"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("1", "rare", None), ("2", "rare", None)], "Class 'rare' has too few images .*: 2"),
        ([("1", "rare", None), ("2", "rare", None), ("2", "rare", None)], "3 in 2 groups"),
        ([(str(number), "rare", f"g{number % 2}") for number in range(40)], "40 in 2 groups"),
    ],
)
def test_too_small_a_class_is_named(rows: list[tuple[str, str, str | None]], words: str) -> None:
    common = [(f"common {number}", "common", None) for number in range(10)]
    with pytest.raises(DatasetError, match=words) as caught:
        assign_splits(images(rows + common))
    assert "80/20/0" in caught.value.hint
    assert len(set(assign_splits(images(rows + common), (0.8, 0.2, 0)))) == 2


def test_classes_tied_together_by_too_few_groups() -> None:
    # b is only in groups with a, and has three units, but a needs them too; solvable all the same
    rows = [(f"a{number}", "a", f"g{number}") for number in range(3)] + [
        (f"b{number}", "b", f"g{number}") for number in range(3)
    ]
    frame = images(rows)
    splits = frame.assign(split=assign_splits(frame))
    assert (splits.groupby("label")["split"].nunique() == 3).all()


@pytest.mark.parametrize(
    "ratios", [(1, 0, 0), (0, 1, 0), (0.7, 0, 0.3), (-1, 1, 1), (1, 1), (0, 0, 0), (float("nan"), 1, 1)]
)
def test_impossible_ratios(ratios: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="not possible"):
        check_ratios(ratios)


@settings(deadline=None, max_examples=examples(50))
@given(frame=bound_images(), first=st.integers(0, 100), order=st.randoms(use_true_random=False))
def test_near_duplicates_bind_without_breaking_a_promise(frame: pd.DataFrame, first: int, order: Any) -> None:
    """A third of the contents are alike in tens; old images stay, bound ones stay together, the order does not matter."""
    numbers = frame["sha256"].str.removeprefix("content ").astype(int)
    frame = frame.assign(near=[f"near {number // 10}" if number % 10 < 3 else None for number in numbers])
    before = assigned(frame.iloc[:first]) if first else []
    frame = frame.assign(split=pd.Series([*before, *[None] * (len(frame) - len(before))], dtype=object))
    after = assigned(frame)
    assert after[: len(before)] == before
    placed = [row for row, split in enumerate(after) if split is not None]
    assert_bound_stay_together(frame.iloc[placed], [after[row] for row in placed])
    rows = list(range(len(frame)))
    order.shuffle(rows)
    assert assign_splits(frame.iloc[rows]) == [after[row] for row in rows]


def near_images(sizes: list[int], single: int) -> pd.DataFrame:
    """One class: groups of near duplicates of these sizes, and single images."""
    rows = [(f"{group}-{number}", f"near {group}") for group, size in enumerate(sizes) for number in range(size)]
    rows += [(f"single {number}", None) for number in range(single)]
    return images([(content, "a", None) for content, _ in rows]).assign(near=[name for _, name in rows])


def test_near_duplicates_are_on_one_side() -> None:
    frame = near_images([2, 2, 3, 5, 2, 4], 40)
    splits = frame.assign(split=assign_splits(frame))
    assert (splits.groupby("near")["split"].nunique() == 1).all()
    assert Counter(splits["split"]) == quotas(len(frame), check_ratios((0.7, 0.15, 0.15)))


def test_new_near_duplicates_follow_old_images() -> None:
    frame = near_images([3, 3], 30)
    frame.loc[[0, 3], "split"] = ["test", "val"]
    splits = assign_splits(frame)
    assert splits[:6] == ["test"] * 3 + ["val"] * 3


def test_a_giant_group_does_not_swallow_a_class() -> None:
    frame = near_images([50], 50)
    assert Counter(assign_splits(frame)) == Counter(assign_splits(frame.drop(columns="near")))


def test_near_duplicates_on_two_sides_bind_nothing() -> None:
    frame = near_images([4], 30)
    frame.loc[[0, 1], "split"] = ["train", "val"]
    splits = assign_splits(frame)
    assert splits[:2] == ["train", "val"] and None not in splits


def test_no_set_is_refused_for_likeness() -> None:
    for size in (3, 4, 6, 9):
        assert set(assign_splits(near_images([size], 0))) == set(SPLITS)
        assert set(assign_splits(near_images([size - 1], 1))) == set(SPLITS)
