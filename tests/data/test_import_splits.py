"""Where an import puts its images: given splits, groups, copies, and what can't be split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.data.audit.pictures import photo
from tests.data.conftest import MakeImages, encoded, write
from tests.data.test_importing import reasons, splits
from tests.texts import mentions, one_mentions
from workflows.data.catalog import list_datasets, list_versions
from workflows.data.edits import rename_class
from workflows.data.facts import FACTS_FILE, version_measures
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError, UsageError
from workflows.store.store import Store


def test_given_split_is_kept(store: Store, make_images: MakeImages) -> None:
    sizes = {"train": 7, "val": 4, "test": 2}
    for side, size in sizes.items():
        make_images(below=f"photos/{side}", a=size, b=size)
    version = add_dataset(store, "set", make_images()).version
    assert version.given_split
    assert version.split_counts().to_dict("index") == {"a": sizes, "b": sizes}
    assert all(split == path.split("/")[0] for path, split in splits(version).items())


def test_missing_validation_split_comes_out_of_train(store: Store, make_images: MakeImages) -> None:
    make_images(below="photos/train", a=20, b=10)
    source = make_images(below="photos/test", a=5, b=5).parent
    report = add_dataset(store, "set", source)
    assert report.version.split_counts().to_dict("index") == {
        "a": {"train": 16, "val": 4, "test": 5},
        "b": {"train": 8, "val": 2, "test": 5},
    }
    assert one_mentions(report.notes, "training", 6)
    # more images, and one moved over to test: everything else stays
    make_images(below="photos/train", a=26, b=10)
    (source / "train/a/0.png").rename(source / "test/a/100.png")
    again = add_dataset(store, "set", source, mirror=True).version
    before, after = splits(report.version), splits(again)
    assert after["test/a/100.png"] == "test"
    assert {path: split for path, split in after.items() if path in before} == {
        path: split for path, split in before.items() if path != "train/a/0.png"
    }


def test_missing_test_split_stays_missing(store: Store, make_images: MakeImages) -> None:
    make_images(below="photos/train", a=10, b=10)
    source = make_images(below="photos/val", a=3, b=3).parent
    report = add_dataset(store, "set", source)
    assert report.version.split_counts()["test"].sum() == 0
    assert one_mentions(report.notes, "test")
    more = add_dataset(store, "set", make_images(below="more", a=6, b=6)).version
    assert more.images == 38 and more.split_counts()["test"].sum() == 0


def test_leaks_in_a_given_split_are_told(store: Store, make_images: MakeImages) -> None:
    make_images(below="photos/train", a=6, b=6)
    source = make_images(below="photos/val", a=3, b=3).parent
    write(source / "val/a/copy.png", (source / "train/a/0.png").read_bytes())
    report = add_dataset(store, "set", source, group_by=r"([ab])/")
    assert one_mentions(report.notes, "Images", "split", "train/a/0.png") and one_mentions(
        report.notes, "Groups", "split"
    )


def test_duplicates_share_a_blob_and_a_side(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    for number in range(4):
        write(source / f"b/copy{number}.png", (source / f"a/{number}.png").read_bytes())
    report = add_dataset(store, "set", source)
    table = report.version.table()
    assert len(table) == 20 and table["sha256"].nunique() == 16
    assert (table.groupby("sha256")["split"].nunique() == 1).all()
    assert len(list((store.home / "blobs").glob("??/*"))) == 16
    assert mentions(report.notes[0], "copies", 4) and mentions(report.notes[1], "label", 4)


@pytest.mark.parametrize("before", ["an edit", "an earlier version"])
def test_new_look_alikes_go_where_the_old_ones_are(store: Store, tmp_path: Path, before: str) -> None:
    """Also where the newest version has no measures of its own, or such as an earlier Fieldguide made."""
    for number in range(24):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number:02}.png", encoded(photo(number, size=(160, 120))))
    first = add_dataset(store, "set", tmp_path / "set").version
    if before == "an edit":
        rename_class(store, "set", "b", "c")
        (tmp_path / "set" / "b").rename(tmp_path / "set" / "c")
    else:
        version_measures(first, store.blobs).drop(columns="detail").to_parquet(first.folder / FACTS_FILE)
    for path in sorted((tmp_path / "set").glob("*/*.png")):
        with Image.open(path) as image:
            write(
                tmp_path / "more" / path.parent.name / f"{path.stem}.jpg", encoded(image.reduce(2), "JPEG", quality=70)
            )
    table = add_dataset(store, "set", tmp_path / "more").version.table()
    assert len(table) == 48
    assert (table.groupby(table["path"].str.extract(r"(\d+)\.")[0])["split"].nunique() == 1).all()


def test_groups_by_pattern_and_by_column(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=24, b=24)
    table = add_dataset(store, "pattern", source, group_by=r"(\d)\.png$").version.table()
    assert set(table["group"]) == set("0123456789")
    assert (table.groupby("group")["split"].nunique() == 1).all()
    rows = "".join(f"{label}/{number}.png,{label},plate {number % 6}\n" for label in "ab" for number in range(24))
    labels = write(source.parent / "labels.csv", f"filename,label,plate\n{rows}".encode())
    table = add_dataset(store, "column", source, labels=labels, group_by="plate").version.table()
    assert set(table["group"]) == {f"plate {number}" for number in range(6)}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert json.loads(table["attributes"][0]) == {"plate": "plate 0"}


@pytest.mark.parametrize(("group_by", "words"), [("(", "regular expression"), ("zebra", "zebra")])
def test_senseless_groups(store: Store, make_images: MakeImages, group_by: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        add_dataset(store, "set", make_images(a=5, b=5), group_by=group_by)


def test_partly_grouped(store: Store, make_images: MakeImages) -> None:
    report = add_dataset(store, "set", make_images(a=12, b=12), group_by=r"a/(1)\d")
    assert one_mentions(report.notes, "22 of 24", "group")


def test_groups_that_cross_earlier_splits_need_a_new_name(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=20, b=20)
    add_dataset(store, "set", source)
    with pytest.raises(DatasetError, match="split"):
        add_dataset(store, "set", source, group_by=r"(\d)\.png$")
    assert len(list_versions(store, "set")) == 1


def test_image_bound_to_two_sides_is_left_out(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=20, b=20)
    pattern = r"g(\d)"
    for number in (1, 2, 3, 4, 5, 6, 7, 8):
        (source / f"a/{number}.png").rename(source / f"a/g{number}.png")
    first = add_dataset(store, "set", source, group_by=pattern).version
    sides = {path: split for path, split in splits(first).items() if "/g" in path}
    train = next(path for path, split in sides.items() if split == "train")
    other = next(path for path, split in sides.items() if split != "train")
    write(source / other.replace(".png", "-copy.png"), (source / train).read_bytes())
    report = add_dataset(store, "set", source, group_by=pattern)
    assert list(reasons(report, "rejected")) == [other.replace(".png", "-copy.png")]
    assert report.version == first  # nothing else was new


def test_class_too_small_for_the_split(store: Store, make_images: MakeImages) -> None:
    source = make_images(common=20, rare=2)
    with pytest.raises(DatasetError, match="'rare'"):
        add_dataset(store, "set", source)
    assert list_datasets(store) == []
    assert add_dataset(store, "set", source, ratios=(0.8, 0.2, 0)).version.images == 22
