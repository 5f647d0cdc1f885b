"""Checks of labels as they are stored, and what has become of their doubts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.photos import digit_folders
from workflows.data.catalog import get_version
from workflows.data.edits import relabel, remove
from workflows.data.importing import add_dataset
from workflows.data.label_checks import (
    CHANGED,
    CHECK_FILE,
    CONFIRMED,
    OPEN,
    Speed,
    confirm_labels,
    estimate,
    features_folder,
    newest_check,
    standing,
    store_check,
    store_speed,
    stored_check,
)
from workflows.store.store import Store
from workflows.targets.single_label.suspects import COLUMNS, LabelCheck, Overlap

NAME = "digits"


@pytest.fixture
def checked(store: Store, tmp_path: Path) -> tuple[Store, LabelCheck]:
    """A store with 12 digits, and a check that doubts the first three."""
    add_dataset(store, NAME, digit_folders(tmp_path / "photos", classes=2, per_class=6))
    version = get_version(store, NAME)
    table = version.table().head(3).assign(suggested="1", score=[0.99, 0.97, 0.6], suspected=[True, True, False])
    check = LabelCheck(table[COLUMNS], 12, 0.9, "", ("7",), ("0",), (Overlap("0", "1", 0.2),))
    store_check(version, check, "a file")
    return store, check


def labels_of(store: Store) -> pd.Series:
    return get_version(store, NAME).table().set_index("image_id")["label"]


def test_a_stored_check_is_read_as_it_was(checked: tuple[Store, LabelCheck]) -> None:
    store, check = checked
    found = stored_check(get_version(store, NAME))
    assert found is not None
    assert (found.version, found.weights) == (1, "a file")
    pd.testing.assert_frame_equal(found.check.table, check.table)
    facts = ("images", "accuracy", "blind", "left_out", "few", "overlaps")
    assert [getattr(found.check, name) for name in facts] == [getattr(check, name) for name in facts]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"check_version": 0}'])
def test_a_damaged_check_counts_as_none(checked: tuple[Store, LabelCheck], content: bytes) -> None:
    (get_version(checked[0], NAME).folder / CHECK_FILE).write_bytes(content)
    assert newest_check(checked[0], NAME) is None


def test_doubts_stand_until_the_label_is_changed_or_confirmed(checked: tuple[Store, LabelCheck]) -> None:
    store, check = checked
    first, second, third = check.table["image_id"]
    confirm_labels(store, NAME, {first: "0", second: "1"})  # the second's label is 0: another one was confirmed
    relabel(store, NAME, {third: "1"})
    found = newest_check(store, NAME)
    assert found is not None and found.version == 1  # of the version before the edit
    table = standing(found.check.table, labels_of(store), store.confirmed_labels.of(NAME)).set_index("image_id")
    assert table["state"].to_dict() == {first: CONFIRMED, second: OPEN, third: CHANGED}
    relabel(store, NAME, {third: "0"})
    remove(store, NAME, [first])
    table = standing(found.check.table, labels_of(store), store.confirmed_labels.of(NAME)).set_index("image_id")
    assert table["state"].to_dict() == {second: OPEN, third: OPEN}


def test_an_estimate_counts_what_is_new_at_the_measured_speed(checked: tuple[Store, LabelCheck]) -> None:
    store, _ = checked
    version = get_version(store, NAME)
    before = estimate(store, version)
    assert (before.images, before.new, before.seconds) == (12, 12, None)
    contents = np.array(version.table()["sha256"].head(5).tolist())
    features_folder(store).mkdir(parents=True)
    np.savez(features_folder(store) / "some.npz", contents=contents, features=np.zeros((5, 2), np.float16))
    store_speed(store, Speed(features=2.0, fits=0.5))
    after = estimate(store, version)
    assert (after.images, after.new) == (12, 7)
    assert after.seconds == pytest.approx(7 * 2.0 + 12 * 2 * 0.5)
