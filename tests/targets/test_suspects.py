"""Planted wrong labels are found by answers that never saw them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workflows.errors import DatasetError
from workflows.targets.single_label.suspects import COLUMNS, check_labels, limits

CLASSES = np.array(["ash", "beech", "oak", "yew"])


def clouds(count: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features [n, 40] around one centre for each class, and the classes."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(CLASSES), 40))
    codes = np.arange(count) % len(CLASSES)
    return (centres[codes] + rng.normal(scale=spread, size=(count, 40))).astype(np.float32), codes


def images(labels: np.ndarray, together: np.ndarray | None = None) -> pd.DataFrame:
    ids = [f"{number:05}" for number in range(len(labels))]
    groups = np.arange(len(labels)) if together is None else together
    paths = [f"{name}.jpg" for name in ids]
    return pd.DataFrame({"image_id": ids, "path": paths, "split": "train", "label": labels, "together": groups})


def planted(codes: np.ndarray, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(codes)) < rate
    shift = rng.integers(1, len(CLASSES), len(codes))
    return np.where(wrong, (codes + shift) % len(CLASSES), codes), wrong


@pytest.mark.parametrize("rate", [0.02, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_planted_labels_are_found_and_their_class_is_named(rate: float, seed: int) -> None:
    features, codes = clouds(600, 1.0, seed)
    given, wrong = planted(codes, rate, seed)
    check = check_labels(images(CLASSES[given]), features)
    assert list(check.table.columns) == COLUMNS
    suspected = check.table[check.table["suspected"]]
    rows = suspected["image_id"].astype(int).to_numpy()
    assert wrong[rows].sum() >= 0.85 * wrong.sum()
    assert wrong[rows].mean() >= 0.9
    right = CLASSES[codes[rows]] == suspected["suggested"].to_numpy()
    assert right[wrong[rows]].mean() >= 0.95
    assert (check.blind, check.left_out, check.images) == ("", (), 600)


def test_right_labels_are_left_alone() -> None:
    features, codes = clouds(600, 0.5)
    assert not check_labels(images(CLASSES[codes]), features).table["suspected"].any()


def test_features_that_see_nothing_doubt_nothing() -> None:
    features, codes = clouds(400, 60.0)
    given, _ = planted(codes, 0.05, 0)
    check = check_labels(images(CLASSES[given]), features)
    assert check.blind
    assert check.accuracy < 0.5
    assert not check.table["suspected"].any()


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other() -> None:
    features, codes = clouds(400, 1.0)
    # ten copies of one ash, all called oak: a neighbour in another fold would confirm each of them
    features = np.concatenate([features, np.repeat(features[:1], 10, axis=0)])
    labels = np.concatenate([CLASSES[codes], np.repeat("oak", 10)])
    together = np.concatenate([np.arange(400), np.full(10, 400)])
    found = check_labels(images(labels, together), features).table
    assert set(found.loc[found["suspected"], "image_id"].astype(int)) >= set(range(400, 410))


def test_the_same_images_give_the_same_answer() -> None:
    features, codes = clouds(400, 1.0)
    given, _ = planted(codes, 0.05, 1)
    table = images(CLASSES[given])
    one = check_labels(table, features).table
    again = check_labels(table, features).table
    pd.testing.assert_frame_equal(one, again)


def test_a_class_of_one_image_is_left_out_and_named() -> None:
    features, codes = clouds(401, 0.5)
    labels = CLASSES[codes].astype(object)
    labels[400] = "rowan"
    check = check_labels(images(labels), features)
    assert check.left_out == ("rowan",)
    assert check.images == 400
    with pytest.raises(DatasetError):
        check_labels(images(np.array(["ash", "ash", "oak"])), features[:3])


def test_small_classes_are_judged() -> None:
    features, codes = clouds(12, 0.3)
    assert check_labels(images(CLASSES[codes]), features).images == 12


def test_a_class_of_two_that_are_unlike_is_judged_without_an_error_and_takes_no_folds_from_others() -> None:
    features, codes = clouds(200, 0.5)
    keep = np.isin(codes, [0, 1])
    features, labels = features[keep], CLASSES[codes[keep]].astype(object)
    alone = check_labels(images(labels), features)
    rare = np.stack([features[0] + 9, features[1] - 9])
    check = check_labels(images(np.append(labels, ["rowan", "rowan"])), np.concatenate([features, rare]))
    assert check.images == len(labels) + 2 and check.few == ("rowan",)
    own = check.table[check.table["label"] != "rowan"]
    assert abs(int(own["suspected"].sum()) - int(alone.table["suspected"].sum())) <= 1


def test_classes_that_the_check_can_hardly_judge_are_named() -> None:
    features, codes = clouds(404, 0.5)
    labels = CLASSES[codes].astype(object)
    labels[400:] = "rowan"
    features[400:] = features[400:].mean(axis=0) + 4  # like nothing else
    beech = np.flatnonzero(labels == "beech")
    labels[beech[::2]] = "larch"  # two names for the same trees
    check = check_labels(images(labels), features)
    assert check.few == ("rowan",)
    assert [(each.one, each.other) for each in check.overlaps] == [("beech", "larch")]
    assert 0.3 < check.overlaps[0].share <= 1
    said = " ".join(limits(check, full="the file"))
    assert "rowan" in said and "larch" in said
    clear, _ = clouds(400, 0.5)
    assert check_labels(images(CLASSES[codes[:400]]), clear).overlaps == ()
