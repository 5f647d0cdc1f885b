"""Edits: each makes a version, says who and why, and can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.data.conftest import MakeImages, encoded, picture, write
from tests.texts import mentions
from workflows.data.catalog import get_version, list_versions
from workflows.data.edits import (
    clean_label,
    merge_classes,
    move,
    relabel,
    remove,
    rename_class,
)
from workflows.data.importing import add_dataset
from workflows.data.publishing import next_record
from workflows.data.undoing import undo
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError, UsageError
from workflows.settings import USER
from workflows.store.store import Store


@pytest.fixture
def first(store: Store, make_images: MakeImages) -> DatasetVersion:
    """A data set `set` of 20 cats and 20 dogs."""
    return add_dataset(store, "set", make_images(cats=20, dogs=20)).version


def ids(version: DatasetVersion, **where: str) -> list[str]:
    table = version.table()
    for column, value in where.items():
        table = table[table[column] == value]
    return list(table["image_id"])


def by_id(version: DatasetVersion, column: str) -> dict[str, Any]:
    table = version.table()
    return {key: None if pd.isna(value) else value for key, value in zip(table["image_id"], table[column], strict=True)}


def blobs(store: Store) -> set[Path]:
    return set((store.home / "blobs").glob("??/*"))


def test_relabel(store: Store, first: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER.variable, "Ada\n Lovelace")
    wrong = ids(first, label="cats")[:2]
    before = blobs(store)
    second = relabel(store, "set", dict.fromkeys(wrong, "  dogs "), reason="they\nbark")
    assert (second.number, second.parent, second.action, second.author) == (2, 1, "relabel", "Ada Lovelace")
    assert second.reason == "they bark" and second.images == 40
    assert {key for key, label in by_id(second, "label").items() if label != by_id(first, "label")[key]} == set(wrong)
    assert by_id(second, "split") == by_id(first, "split")
    assert blobs(store) == before and get_version(store, "set", 1) == first


def test_what_changes_nothing_makes_no_version(store: Store, first: DatasetVersion) -> None:
    assert relabel(store, "set", dict.fromkeys(ids(first, label="cats"), "cats")) == first
    assert rename_class(store, "set", "cats", " cats") == first
    assert len(list_versions(store, "set")) == 1


def test_labels_taken_away_and_given_back(store: Store, first: DatasetVersion) -> None:
    chosen = ids(first)[:10]
    second = relabel(store, "set", dict.fromkeys(chosen, None))
    assert len(second.labelled()) == 30 and second.images == 40
    assert all(by_id(second, "split")[key] is None for key in chosen)
    third = relabel(store, "set", {key: by_id(first, "label")[key] for key in chosen})
    assert third.split_counts().equals(first.split_counts())


def test_labelling_from_nothing_keeps_the_shares(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    """One image after the other, as in a studio: small classes wait, then every class is divided 70/15/15."""
    version = add_dataset(store, "set", make_images(a=3, b=3)).version
    version = relabel(store, "set", dict.fromkeys(ids(version), None))
    assert version.classes == () and version.labelled().empty
    everything = ids(version)
    for number, image in enumerate(everything):
        before = by_id(version, "split")
        version = relabel(store, "set", {image: "ab"[number % 2]})
        after = by_id(version, "split")
        assert all(after[key] == split for key, split in before.items() if split is not None)
        assert len(version.labelled()) == (0 if number < 4 else 3 if number == 4 else 6)
    assert version.split_counts().to_dict("index") == {each: {"train": 1, "val": 1, "test": 1} for each in "ab"}
    more = add_dataset(store, "set", make_images(below="more", a=30, b=30)).version
    assert more.split_counts().to_dict("index") == {each: {"train": 23, "val": 5, "test": 5} for each in "ab"}


def test_remove(store: Store, first: DatasetVersion) -> None:
    second = remove(store, "set", ids(first, label="cats"))
    assert second.classes == ("dogs",) and second.images == 20
    assert mentions(second.reason, 20, "cats")
    with pytest.raises(DatasetError, match="'set'"):
        remove(store, "set", ids(second))
    assert undo(store, "set").fingerprint == first.fingerprint


def test_rename_and_merge(store: Store, first: DatasetVersion) -> None:
    with pytest.raises(UsageError, match="'dogs'"):
        rename_class(store, "set", "cats", "dogs")
    with pytest.raises(DatasetError, match="'cat'") as caught:
        rename_class(store, "set", "cat", "kittens")
    assert mentions(caught.value.hint, "cats")
    second = rename_class(store, "set", "cats", "kittens")
    assert second.classes == ("dogs", "kittens") and mentions(second.reason, "cats", "kittens")
    third = merge_classes(store, "set", ["kittens"], "dogs")
    assert third.classes == ("dogs",) and by_id(third, "split") == by_id(first, "split")
    with pytest.raises(UsageError, match="No class"):
        merge_classes(store, "set", [], "dogs")


def test_move(store: Store, first: DatasetVersion) -> None:
    chosen = ids(first, split="test")
    second = move(store, "set", dict.fromkeys(chosen, "train"))
    assert second.split_counts()["test"].sum() == 0 and second.images == 40
    unlabelled = relabel(store, "set", {chosen[0]: None})
    assert unlabelled.number == 3
    with pytest.raises(DatasetError, match="label"):
        move(store, "set", {chosen[0]: "val"})
    with pytest.raises(UsageError, match="'dev'"):
        move(store, "set", {chosen[1]: "dev"})  # type: ignore[dict-item]


def test_copies_are_moved_together(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    write(source / "a/copy.png", (source / "a/0.png").read_bytes())
    version = add_dataset(store, "set", source).version
    table = version.table()
    both = list(table.loc[table["path"].isin(["a/0.png", "a/copy.png"]), "image_id"])
    target = "val" if table.set_index("image_id").loc[both[0], "split"] != "val" else "train"
    with pytest.raises(DatasetError, match="copies"):
        move(store, "set", {both[0]: target})
    assert move(store, "set", dict.fromkeys(both, target)).number == 2


def test_undo_of_an_import(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=5, b=5)
    first = add_dataset(store, "set", source).version
    make_images(a=9, b=9)
    second = add_dataset(store, "set", source).version
    assert undo(store, "set").fingerprint == first.fingerprint
    assert add_dataset(store, "set", source).version.fingerprint == second.fingerprint  # the images come again


@pytest.mark.parametrize("action", [lambda s: relabel(s, "set", {"0" * 16: "a"}), lambda s: remove(s, "set", ["x"])])
def test_unknown_images(store: Store, first: DatasetVersion, action: Callable[[Store], object]) -> None:
    with pytest.raises(DatasetError, match="newest version"):
        action(store)
    with pytest.raises(UsageError, match="No image"):
        remove(store, "set", [])
    assert get_version(store, "set") == first


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "a\0", "x" * 256, "\u202e"])
def test_impossible_labels(label: str) -> None:
    with pytest.raises(UsageError, match="label"):
        clean_label(label)


def test_labels_are_composed_and_stripped() -> None:
    assert clean_label(" Cafe\u0301 ") == "Café"


def test_publishing_from_an_old_version_is_refused(store: Store, first: DatasetVersion) -> None:
    rename_class(store, "set", "cats", "kittens")
    with pytest.raises(DatasetError, match=r"is 2, not 1"):
        next_record(
            store,
            "set",
            first.table(),
            action="relabel",
            reason="",
            parent=1,
            given_split=False,
            source="",
            listing="",
        )


def test_same_picture_labelled_later_follows_its_copy(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    write(source / "a/copy.png", encoded(picture("new")))
    write(source / "b/copy.png", encoded(picture("new")))
    version = add_dataset(store, "set", source).version
    table = version.table()
    one, other = table.loc[table["path"].str.endswith("copy.png"), "image_id"]
    side = by_id(version, "split")[other]
    relabel(store, "set", {one: None})
    again = relabel(store, "set", {one: "b"})
    assert by_id(again, "split")[one] == side
