"""Images in: verified, stored, split; versions that never change."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.data.conftest import MakeImages, encoded, picture, tree_state, write
from tests.texts import one_mentions
from workflows.data.catalog import get_version, list_datasets
from workflows.data.images import read_rgb
from workflows.data.importing import add_dataset, dataset_for_path
from workflows.data.reasons import EMPTY
from workflows.data.reports import ImportReport
from workflows.data.version import COLUMNS, DatasetVersion, image_id, in_natural_order
from workflows.errors import DatasetError, SourceError, StorageError, UsageError, error_of
from workflows.store.store import Store
from workflows.words import SHOWN


def splits(version: DatasetVersion) -> dict[str, str]:
    """Path to split."""
    table = version.table()
    return dict(zip(table["path"], table["split"], strict=True))


def reasons(report: ImportReport, outcome: str) -> dict[str, str]:
    return {entry.path: entry.reason for entry in report.entries if entry.outcome == outcome}


def test_first_version(store: Store, make_images: MakeImages) -> None:
    source = make_images(**{"10": 10, "2": 20, "1": 30})
    calls: list[tuple[str, int, int]] = []
    report = add_dataset(
        store, "digits", source, progress=lambda stage, done, total, text="": calls.append((stage, done, total))
    )
    version = report.version
    assert (version.name, version.number, version.images, version.given_split) == ("digits", 1, 60, False)
    assert version.classes == ("1", "2", "10")
    assert str(version) == "digits v1" and version.source == str(source)
    assert version.split_counts().to_dict("index") == {
        "1": {"train": 21, "val": 5, "test": 4},
        "2": {"train": 14, "val": 3, "test": 3},
        "10": {"train": 7, "val": 2, "test": 1},
    }
    assert calls[-1] == ("import", 60, 60)
    assert (report.total, report.accepted, report.rejected, report.ignored, report.changed) == (60, 60, 0, 0, True)


def test_table_has_everything(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=5, b=5)
    version = add_dataset(store, "set", source).version
    table = version.table()
    assert tuple(table.columns) == COLUMNS
    assert table["path"].is_monotonic_increasing and table["image_id"].is_unique
    row = table.iloc[0]
    assert row["image_id"] == image_id(row["path"], row["sha256"]) and len(row["image_id"]) == 16
    assert (row["width"], row["height"], row["mode"], row["format"], row["orientation"]) == (24, 16, "RGB", "PNG", 1)
    assert (row["label"], row["source"], row["attributes"]) == ("a", str(source), "{}")
    with Image.open(source / row["path"]) as original:
        assert pd.isna(row["group"]) and row["phash"] == str(imagehash.phash(original))
    assert np.array_equal(read_rgb(store.blobs.path(row["sha256"])), read_rgb(source / row["path"]))


def test_same_everywhere(store: Store, tmp_path: Path, make_images: MakeImages) -> None:
    """Another store, another number of threads: the same fingerprint, and the same bytes but for the time."""
    source = make_images(a=12, b=9)
    other = add_dataset(Store(tmp_path / "other"), "set", source, threads=7).version
    version = add_dataset(store, "set", source, threads=1).version
    assert version.fingerprint == other.fingerprint
    assert (version.folder / "images.parquet").read_bytes() == (other.folder / "images.parquet").read_bytes()
    assert add_dataset(Store(tmp_path / "third"), "set", source, seed=1).version.fingerprint != version.fingerprint


def test_nothing_new_is_no_new_version(store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_images(a=5, b=5)
    first = add_dataset(store, "set", source)
    os.utime(source / "a" / "0.png")  # touched: looked at again, but the content is the same
    touched = add_dataset(store, "set", source)
    monkeypatch.setattr("workflows.data.importing.verify_images", lambda *_: pytest.fail("images were opened again"))
    again = add_dataset(store, "set", source)
    for report in (touched, again):
        assert report.version == first.version and not report.changed
        assert (report.total, report.accepted) == (first.total, first.accepted)


def test_added_images_move_no_old_one(store: Store, make_images: MakeImages) -> None:
    first = add_dataset(store, "set", make_images(a=10, b=10)).version
    make_images(a=25, b=14, c=5)
    second = add_dataset(store, "set", make_images(a=25, b=14, c=5), seed=7).version
    assert (second.number, second.images, second.classes) == (2, 44, ("a", "b", "c"))
    before, after = splits(first), splits(second)
    assert {path: after[path] for path in before} == before
    assert second.split_counts().loc["a"].tolist() == [17, 4, 4]
    assert splits(get_version(store, "set", 1)) == before  # the old version is what it was


def test_a_second_source_adds_to_the_first(store: Store, make_images: MakeImages) -> None:
    add_dataset(store, "set", make_images(a=6, b=6))
    report = add_dataset(store, "set", make_images(below="week2", a=6, b=6))
    table = report.version.table()
    assert report.version.images == 24 and table["path"].duplicated().sum() == 12  # same names, other pictures
    assert table["source"].nunique() == 2


def test_edited_file_keeps_its_side(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=10, b=10)
    before = splits(add_dataset(store, "set", source).version)
    for number in range(10):
        (source / f"a/{number}.png").write_bytes(encoded(picture(f"edited {number}")))
    after = add_dataset(store, "set", source).version
    assert after.images == 20 and splits(after) == before


def test_mirror_holds_what_the_source_holds(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=10, b=10)
    first = dataset_for_path(store, source).version
    (source / "a" / "3.png").unlink()
    (source / "a" / "4.png").rename(source / "b" / "moved.png")
    write(source / "b" / "new.png", encoded(picture("new")))
    second = dataset_for_path(store, source).version
    before, after = splits(first), splits(second)
    assert (second.name, second.number, second.images) == (first.name, 2, 20)
    assert after.pop("b/moved.png") == before["a/4.png"]  # the same picture, on its old side
    after.pop("b/new.png")
    assert after == {path: split for path, split in before.items() if path not in ("a/3.png", "a/4.png")}


def test_names_for_paths(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    one = dataset_for_path(store, make_images(below="x/My Photos", a=5, b=5)).version
    other = dataset_for_path(store, make_images(below="y/My Photos", a=5, b=5)).version
    assert (one.name, other.name) == ("my-photos", "my-photos-2")
    assert dataset_for_path(store, tmp_path / "y/My Photos").version == other
    with pytest.raises(SourceError):
        dataset_for_path(store, make_images(below="z/bad", a=5))
    assert [version.name for version in list_datasets(store)] == ["my-photos", "my-photos-2"]


def test_unreadable_images_are_left_out_and_reported(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=30, b=30)
    good = encoded(picture("jpeg", (64, 48)), "JPEG")
    bad = {
        "a/empty.jpg": (b"", EMPTY),
        "a/page.jpg": (b"<html>", "web page"),
        "a/half.jpg": (good[: len(good) // 2], "damaged"),
        "b/end.jpg": (good[:-2], "damaged"),
        "b/tiny.png": (encoded(picture("tiny", (9, 9))), "shorter than 10 pixels"),
        "b/phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged"),
    }
    for name, (content, _) in bad.items():
        write(source / name, content)
    write(source / "a/trailing.jpg", good + b"\0" * 20)
    write(source / "a/cmyk.jpg", encoded(picture("cmyk", mode="CMYK"), "JPEG"))
    before = tree_state(source)
    report = add_dataset(store, "set", source)
    rejected = reasons(report, "rejected")
    assert set(rejected) == set(bad)
    assert all(words in rejected[name] for name, (_, words) in bad.items())
    assert (report.total, report.accepted, report.rejected, report.ignored) == (68, 62, 6, 0)
    assert report.conversions == 1 and "CMYK" in reasons(report, "accepted")["a/cmyk.jpg"]
    assert tree_state(source) == before
    assert json.loads((report.version.folder / "import.json").read_text())["reasons"][EMPTY] == 1


def test_too_many_unreadable_images_stop_everything(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=5, b=5)
    for number in range(3):
        write(source / f"a/broken{number}.jpg", b"broken")
    with pytest.raises(SourceError, match=r"^3 of 13\b") as caught:
        add_dataset(store, "set", source)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [f"a/broken{n}.jpg" for n in range(3)]
    assert list_datasets(store) == []
    (source / "a/broken2.jpg").unlink()  # two of twelve may be a bad day
    assert add_dataset(store, "set", source).rejected == 2


def test_class_without_a_readable_image(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=30, b=30)
    write(source / "c/1.jpg", b"broken")
    with pytest.raises(SourceError, match="'c'"):
        add_dataset(store, "set", source)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "-x", "x" * 65, "a\n", "a\0"])
def test_impossible_names(store: Store, make_images: MakeImages, name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(name))):
        add_dataset(store, name, make_images(a=5, b=5))


def test_names_that_differ_by_case_only(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=5, b=5)
    add_dataset(store, "Ants", source)
    with pytest.raises(UsageError, match="'Ants'"):
        add_dataset(store, "ants", source)


def test_full_disk_leaves_no_half_version(make_images: MakeImages, small_disk: Path) -> None:
    source = make_images(a=5, b=5)
    write(source / "a/large.png", encoded(picture("large", (800, 600))))
    store = Store(small_disk)
    with pytest.raises(StorageError, match="disk is full"):
        add_dataset(store, "set", source)
    assert list_datasets(store) == []
    (source / "a/large.png").unlink()
    assert add_dataset(store, "set", source).version.images == 10


def test_planted_files_are_never_read(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    """Pickles beside the images, as Ultralytics would load them, neither run nor change anything."""
    import pickle

    marker = tmp_path / "marker"

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    make_images(below="photos/train", a=6, b=6)
    source = make_images(below="photos/val", a=3, b=3).parent
    planted = ["train.cache", "val.cache", "train/a.cache", "labels.cache", "train/a/0.npy", "best.pt", ".ndjson.yaml"]
    for name in planted:
        write(source / name, pickle.dumps(Touch()))
    write(source / "train/a/0.png", (source / "train/a/0.png").read_bytes() + b"\0" * 20)
    before = tree_state(source)
    report = add_dataset(store, "set", source)
    assert not marker.exists() and tree_state(source) == before
    assert set(reasons(report, "ignored")) == set(planted)
    assert report.accepted == report.version.images == 18
    blobs = {path.name for path in (store.home / "blobs").glob("??/*")}
    assert blobs == set(report.version.table()["sha256"])
    assert all(
        path.stat().st_nlink == 1 and path.stat().st_mode & 0o222 == 0 for path in (store.home / "blobs").glob("??/*")
    )


def test_class_names_are_only_text(store: Store, make_images: MakeImages) -> None:
    names = ["<script>alert(1)", "=HYPERLINK(1)", "'; DROP TABLE datasets; --", "a" * 200, "%(x)s {y}", "日本"]
    version = add_dataset(store, "set", make_images(**dict.fromkeys(names, 3))).version
    assert set(version.classes) == set(names)
    assert set(version.split_counts().index) == set(names)


def test_natural_order_of_classes() -> None:
    assert in_natural_order({"10", "2", "1", "a10", "a9", "B", "b", "01"}) == (
        "01",
        "1",
        "2",
        "10",
        "a9",
        "a10",
        "B",
        "b",
    )


def test_real_photos_with_a_given_split(store: Store, shared: Path) -> None:
    source = shared / "data" / "hymenoptera"
    report = add_dataset(store, "hymenoptera", source)
    assert report.version.given_split
    assert report.version.split_counts().to_dict("index") == {
        "ants": {"train": 123, "val": 70, "test": 0},
        "bees": {"train": 121, "val": 83, "test": 0},
    }
    assert (report.accepted, report.rejected) == (397, 0)


@pytest.mark.slow
def test_all_flowers(store: Store, shared: Path) -> None:
    report = dataset_for_path(store, shared / "data" / "flowers")
    table = report.version.table()
    assert (report.version.images, report.rejected) == (3670, 0)
    assert table["sha256"].nunique() == 3667
    assert (table.groupby("sha256")["split"].nunique() == 1).all()
    assert one_mentions(report.notes, "label", 1)
    shares = report.version.split_counts().sum() / 3670
    assert shares.round(3).tolist() == [0.7, 0.15, 0.15]


def test_odd_files_as_a_data_set(store: Store, shared: Path, make_images: MakeImages) -> None:
    source = make_images(plain=5)
    for path in (shared / "data" / "odd").iterdir():
        write(source / "odd" / path.name, path.read_bytes())
    report = add_dataset(store, "set", source)
    assert (report.accepted, report.conversions) == (13, 5)
    table = report.version.table().set_index("path")
    rotated = table.loc["odd/exif-rotated-6.jpeg"]
    assert (rotated["width"], rotated["height"], rotated["orientation"]) == (294, 392, 6)
    with Image.open(store.blobs.path(rotated["sha256"])) as kept:  # the original's bytes, not turned
        assert kept.size == (392, 294)


def test_a_refused_import_tells_what_is_wrong_with_every_file(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=10, b=10)
    broken = [write(source / f"a/broken{n:02}.png", b"no picture").relative_to(source).as_posix() for n in range(13)]
    write(source / "notes.txt", b"x")
    with pytest.raises(SourceError) as caught:
        add_dataset(store, "set", source)
    error = caught.value
    assert [problem.partition(":")[0] for problem in error.problems] == broken
    assert sum(name in error.message for name in broken) == SHOWN
    document = error.document()
    assert (document["accepted"], document["rejected"], document["ignored"], document["total"]) == (20, 13, 1, 34)
    assert [e["path"] for e in document["entries"] if e["outcome"] == "rejected"] == broken
    assert all(entry["reason"] for entry in document["entries"] if entry["outcome"] != "accepted")
    again = error_of(json.loads(json.dumps(document)))
    assert again.document() == document and copy.copy(error).document() == document


def test_every_class_that_cannot_be_used_is_named(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=20, b=20)
    for name in ("c", "d"):
        write(source / name / "1.png", b"no picture")
    with pytest.raises(SourceError) as caught:
        add_dataset(store, "set", source)
    assert "'c', 'd'" in caught.value.message and len(caught.value.problems) == 2


def test_every_class_too_small_to_divide_is_named(store: Store, make_images: MakeImages) -> None:
    with pytest.raises(DatasetError) as caught:
        add_dataset(store, "set", make_images(a=10, b=2, c=1, d=2))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["b", "c", "d"]
