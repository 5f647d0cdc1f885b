"""Finding data sets, and handing them out again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from tests.data.conftest import MakeImages, encoded, picture, write
from workflows.data.catalog import export_dataset, get_version, list_datasets, list_versions
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError, StorageError, UsageError
from workflows.store.store import Store


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_lookup(store: Store, make_images: MakeImages) -> None:
    with pytest.raises(DatasetError, match="no data set 'flowers'") as caught:
        get_version(store, "flowers")
    assert "dataset add" in caught.value.hint
    source = make_images(a=5, b=5)
    first = add_dataset(store, "flowers", source).version
    second = add_dataset(store, "flowers", make_images(a=6, b=5)).version
    other = add_dataset(store, "ants", source).version
    assert get_version(store, "flowers") == second and get_version(store, "flowers", 1) == first
    assert list_datasets(store) == [other, second]
    assert list_versions(store, "flowers") == [first, second]
    with pytest.raises(DatasetError, match="no version 3") as caught:
        get_version(store, "flowers", 3)
    assert "1 to 2" in caught.value.hint
    with pytest.raises(DatasetError) as caught:
        get_version(store, "flowrs")
    assert "Did you mean flowers?" in caught.value.hint


def test_export_as_folders_can_be_imported_again(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    count = export_dataset(store, "set", tmp_path / "out")
    files = content(tmp_path / "out")
    assert count == len(files) == 16
    table = version.table()
    assert set(files) == set(table["split"] + "/" + table["path"])
    assert set(files.values()) == set(table["sha256"])
    again = add_dataset(store, "again", tmp_path / "out").version
    assert again.split_counts().equals(version.split_counts())


def test_export_as_csv_can_be_imported_again(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    """Labels that a spreadsheet would take for formulas included, and files of one name from two classes."""
    version = add_dataset(store, "set", make_images(**{"=1+1": 5, "'=2": 5, "''-3": 5, "b": 5, "'c": 5})).version
    assert export_dataset(store, "set", tmp_path / "out", "csv") == 25
    labels = pd.read_csv(tmp_path / "out" / "labels.csv", dtype=str)
    assert labels.columns.tolist() == ["filename", "label", "split"] and labels["filename"].is_unique
    assert set(labels["label"]) == {"'=1+1", "''=2", "'''-3", "b", "'c"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["images", "labels.csv"]
    again = add_dataset(store, "again", tmp_path / "out", labels=tmp_path / "out" / "labels.csv").version
    assert again.classes == version.classes and again.split_counts().equals(version.split_counts())
    first, second = (item.table().set_index("sha256")["label"].sort_index() for item in (version, again))
    assert first.equals(second)


def test_export_of_an_older_version(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    add_dataset(store, "set", make_images(a=5, b=5))
    add_dataset(store, "set", make_images(a=9, b=5))
    assert export_dataset(store, "set", tmp_path / "out", number=1) == 10


def test_files_of_one_name_are_numbered(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        for label in "ab":
            for folder in ("x", "y"):
                write(tmp_path / "in" / label / folder / f"{number}.png", encoded(picture((number, label, folder))))
    add_dataset(store, "set", tmp_path / "in")
    assert export_dataset(store, "set", tmp_path / "out") == len(content(tmp_path / "out")) == 12
    export_dataset(store, "set", tmp_path / "csv", "csv")
    assert {path.name for path in (tmp_path / "csv" / "images").iterdir()} == {
        f"{number}{suffix}.png" for number in range(3) for suffix in ("", "-2", "-3", "-4")
    }


def test_labels_that_are_no_folder_names(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    source = make_images(**{"0": 3, "1": 3, "2": 3, "3": 3})
    names = ["../up", "a/b", "a_b", ".."]
    rows = "".join(f"{number}/{index}.png,{name}\n" for number, name in enumerate(names) for index in range(3))
    labels = write(tmp_path / "labels.csv", f"filename,label\n{rows}".encode())
    assert set(add_dataset(store, "set", source, labels=labels).version.classes) == set(names)
    export_dataset(store, "set", tmp_path / "deep" / "out")
    files = content(tmp_path / "deep")
    assert len(files) == 12 and all(name.startswith("out/") for name in files)
    assert {path.name for path in (tmp_path / "deep" / "out" / "train").iterdir()} == {"_._up", "a_b", "a_b-2", "_"}


def test_export_into_an_empty_folder_only(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    add_dataset(store, "set", make_images(a=5, b=5))
    (tmp_path / "empty").mkdir()
    assert export_dataset(store, "set", tmp_path / "empty") == 10
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == ["test", "train", "val"]
    with pytest.raises(UsageError, match="not an empty folder"):
        export_dataset(store, "set", tmp_path / "empty")
    with pytest.raises(UsageError, match="not an empty folder"):
        export_dataset(store, "set", write(tmp_path / "file", b""))
    with pytest.raises(UsageError, match="Unknown format"):
        export_dataset(store, "set", tmp_path / "new", "zip")  # type: ignore[arg-type]


def test_export_to_a_full_disk(store: Store, make_images: MakeImages, small_disk: Path) -> None:
    source = make_images(a=5, b=5)
    write(source / "a" / "large.png", encoded(picture("large", (800, 600))))
    add_dataset(store, "set", source)
    with pytest.raises(StorageError, match="the disk is full"):
        export_dataset(store, "set", small_disk / "out")
    assert content(small_disk) == {}


def test_lost_blob_is_said_in_words(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    version = add_dataset(store, "set", make_images(a=5, b=5)).version
    store.blobs.path(version.table()["sha256"][0]).unlink()
    with pytest.raises(StorageError, match="is missing"):
        export_dataset(store, "set", tmp_path / "out")
    assert content(tmp_path / "out") == {}
