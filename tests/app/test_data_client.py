"""The client behind the page Data: images found and counted, splits and label files previewed, labels out and in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.client.datasets import Datasets, expected_splits, suggest_name, too_small
from app.client.images import NO_SPLIT, Images, Query
from workflows.data.splits import assign_splits
from workflows.errors import SourceError, UsageError


def test_images_are_found_by_every_property_together(trees: Datasets) -> None:
    version = trees.version("trees")
    table = version.table()
    assert len(trees.find(version, Query())) == 30
    found = trees.find(version, Query(label="birch", split="train", text="BIRCH/0"))
    oracle = table[(table["label"] == "birch") & (table["split"] == "train") & table["path"].str.contains("birch/0")]
    assert found.index.tolist() == oracle["image_id"].tolist()
    one = table["image_id"][7]
    assert trees.find(version, Query(text=one)).index.tolist() == [one]
    assert trees.find(version, Query(text="(")).empty  # what is typed is text, no pattern
    order = (table["image_id"][9], "gone", table["image_id"][2])
    assert trees.find(version, Query(among=order)).index.tolist() == [order[0], order[2]]


def test_counts_agree_with_the_version(trees: Datasets) -> None:
    version = trees.version("trees")
    images = trees.images(version)
    table = version.table()
    splits = ["train", "val", "test"]
    counted = table.groupby(["label", "split"]).size().unstack(fill_value=0)[splits]
    assert images.counts[splits].to_dict() == counted.to_dict()
    assert images.counts["all"].to_dict() == table["label"].value_counts().to_dict()
    assert images.sizes["images"].sum() == 30
    assert np.allclose(images.aspects, version.table()["width"] / version.table()["height"])


def test_images_without_labels_and_splits_are_counted() -> None:
    columns = {name: ["x", "y", "z"] for name in ("image_id", "path", "sha256", "mode", "format", "group", "source")}
    table = pd.DataFrame(
        {**columns, "width": 4, "height": 2, "label": ["a", None, "a"], "split": ["train", None, None]}
    )
    images = Images(table)
    assert images.unlabelled == 1
    assert images.counts.loc["a"].to_dict() == {"train": 1, "val": 0, "test": 0, NO_SPLIT: 1, "all": 2}
    assert images.find(Query(split=NO_SPLIT)).index.tolist() == ["y", "z"]


def test_lists_that_are_named(trees: Datasets) -> None:
    version = trees.version("trees")
    ids = [str(each) for each in version.table()["image_id"]]
    assert trees.among(version, "all") is None
    assert trees.among(version, "unlabelled") == ()
    trees.add_to_review("trees", [ids[3]], "which tree?")
    assert trees.among(version, "review") == (ids[3],)
    assert trees.reviews("trees") == {ids[3]: "which tree?"}
    trees.reviewed("trees", [ids[3]])
    assert trees.among(version, "review") == ()
    bare = trees.relabel("trees", {ids[0]: None})
    assert trees.among(bare, "unlabelled") == (ids[0],)
    assert trees.among(bare, "no-such-finding") == ()


@pytest.mark.parametrize("ratios", [(0.7, 0.15, 0.15), (80, 20, 0), (1, 1, 1)])
def test_the_preview_of_a_split_is_what_the_split_does(ratios: tuple[float, float, float]) -> None:
    counts = {"a": 10, "b": 37, "c": 5}
    labels = [label for label, number in counts.items() for _ in range(number)]
    images = pd.DataFrame(
        {"label": labels, "sha256": [f"{n:064x}" for n in range(len(labels))], "group": None, "split": None}
    )
    done = pd.crosstab(images["label"], pd.Series(assign_splits(images, ratios)))
    expected = expected_splits(counts, ratios)
    for split in ("train", "val", "test"):
        assert expected[split].tolist() == (done[split].tolist() if split in done else [0, 0, 0])


def test_classes_too_small_for_a_split_are_named() -> None:
    assert too_small({"a": 2, "b": 3}, (70, 15, 15)) == ["a"]
    assert too_small({"a": 2, "b": 3}, (70, 30, 0)) == []
    with pytest.raises(UsageError):
        too_small({"a": 2}, (100, 0, 0))


def test_a_label_file_is_previewed_before_it_changes_anything(trees: Datasets) -> None:
    version = trees.version("trees")
    text = "filename,label\nash/00.png,birch\nash/01.png,ash\ncedar/02.png,dogwood\nelm/9.png,elm\n"
    changes = trees.label_changes(version, text.encode())
    assert changes.rows.to_dict("records") == [
        {"filename": "ash/00.png", "before": "ash", "after": "birch"},
        {"filename": "cedar/02.png", "before": "cedar", "after": "dogwood"},
    ]
    assert (changes.same, changes.unknown, changes.new_classes) == (1, ("elm/9.png",), ("dogwood",))
    assert trees.version("trees").number == 1
    after = trees.relabel("trees", changes.labels)
    labels = after.table().set_index("path")["label"]
    assert (labels["ash/00.png"], labels["cedar/02.png"]) == ("birch", "dogwood")
    with pytest.raises(SourceError, match="columns"):
        trees.label_changes(version, b"a,b\n1,2\n")


def test_labels_go_out_and_in_again_unchanged_and_are_no_formulas(trees: Datasets) -> None:
    image = trees.version("trees").table()["image_id"][0]
    version = trees.relabel("trees", {image: "=1+1"})
    content = trees.labels_csv(version)
    assert content.startswith(b"filename,label,split\n")
    assert b",'=1+1," in content
    changes = trees.label_changes(version, content)
    assert (changes.labels, changes.same, changes.unknown) == ({}, 30, ())


def test_a_name_is_suggested_that_can_be_used(trees: Datasets) -> None:
    for text in ("Flower Photos (2)", "", "Ährenfeld", "../etc"):
        trees.check_name(suggest_name(text))
    with pytest.raises(UsageError):
        trees.check_name("a/b")
