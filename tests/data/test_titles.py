"""A data set is called otherwise: commands know it by both names, and nothing that holds its id breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.trees import write_trees
from workflows.data.catalog import get_version
from workflows.data.deletion import delete_dataset
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset, dataset_for_path
from workflows.data.naming import dataset_called, give_title
from workflows.errors import DatasetError, UsageError
from workflows.store.marks import version_key
from workflows.store.store import Store


@pytest.fixture
def trees(store: Store, tmp_path: Path) -> Store:
    add_dataset(store, "trees", write_trees(tmp_path / "trees"))
    return store


def test_a_data_set_is_called_by_its_title_and_by_its_id(trees: Store) -> None:
    give_title(trees, "trees", "Trees of the park")
    assert dataset_called(trees, "trees of the  PARK") == dataset_called(trees, "trees") == "trees"
    assert dataset_called(trees, "unknown") == "unknown"
    assert get_version(trees, "trees").number == 1
    give_title(trees, "trees", "")
    assert dataset_called(trees, "Trees of the park") == "Trees of the park"


def test_two_data_sets_never_share_a_name(trees: Store, tmp_path: Path) -> None:
    add_dataset(trees, "leaves", write_trees(tmp_path / "leaves"))
    give_title(trees, "trees", "Park")
    for taken in ("park", "TREES"):
        with pytest.raises(UsageError):
            give_title(trees, "leaves", taken)
    with pytest.raises(UsageError):  # nor does a new one get the title of another
        add_dataset(trees, "park", write_trees(tmp_path / "park"))
    assert dataset_for_path(trees, tmp_path / "park").version.name == "park-2"
    with pytest.raises(DatasetError):
        give_title(trees, "unknown", "x")


def test_marks_of_versions_are_deleted_with_the_data_set(trees: Store) -> None:
    image = get_version(trees, "trees").table()["image_id"][0]
    relabel(trees, "trees", {image: None})
    trees.marks.change("version", version_key("trees", 2), note="after the storm")
    delete_dataset(trees, "trees")
    assert trees.marks.all("version") == {}
