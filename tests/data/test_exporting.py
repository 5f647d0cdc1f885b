"""Handing data sets out: as folders or with a table, and so that they come back as they were."""

from __future__ import annotations

import csv
import hashlib
import itertools
import tempfile
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.data.conftest import MakeImages, encoded, picture, write
from tests.properties import examples
from workflows.data.catalog import find_images, get_version
from workflows.data.edits import relabel
from workflows.data.exporting import export_dataset, folder_names
from workflows.data.folders import unwanted_name
from workflows.data.importing import add_dataset
from workflows.data.sources import Reading, scan
from workflows.data.version import DatasetVersion
from workflows.errors import StorageError, UsageError
from workflows.store.store import Store


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_export_as_folders_can_be_imported_again(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    count = export_dataset(store, "set", tmp_path / "out").images
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
    assert export_dataset(store, "set", tmp_path / "out", "csv").images == 25
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
    assert export_dataset(store, "set", tmp_path / "out", number=1).images == 10


def test_files_of_one_name_are_numbered(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        for label in "ab":
            for folder in ("x", "y"):
                write(tmp_path / "in" / label / folder / f"{number}.png", encoded(picture((number, label, folder))))
    add_dataset(store, "set", tmp_path / "in")
    assert export_dataset(store, "set", tmp_path / "out").images == len(content(tmp_path / "out")) == 12
    export_dataset(store, "set", tmp_path / "csv", "csv")
    assert {path.name for path in (tmp_path / "csv" / "images").iterdir()} == {
        f"{number}{suffix}.png" for number in range(3) for suffix in ("", "-2", "-3", "-4")
    }


def test_export_into_an_empty_folder_only(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    add_dataset(store, "set", make_images(a=5, b=5))
    (tmp_path / "empty").mkdir()
    assert export_dataset(store, "set", tmp_path / "empty").images == 10
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == ["test", "train", "val"]
    with pytest.raises(UsageError, match="is not an empty folder"):
        export_dataset(store, "set", tmp_path / "empty")
    with pytest.raises(UsageError, match="is not an empty folder"):
        export_dataset(store, "set", write(tmp_path / "file", b""))
    with pytest.raises(UsageError, match="Unknown format"):
        export_dataset(store, "set", tmp_path / "new", "zip")  # type: ignore[arg-type]


def test_export_to_a_full_disk(store: Store, make_images: MakeImages, small_disk: Path) -> None:
    source = make_images(a=5, b=5)
    write(source / "a" / "large.png", encoded(picture("large", (800, 600))))
    add_dataset(store, "set", source)
    with pytest.raises(StorageError, match="disk is full"):
        export_dataset(store, "set", small_disk / "out")
    assert content(small_disk) == {}


def test_lost_blob_is_said_in_words(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    version = add_dataset(store, "set", make_images(a=5, b=5)).version
    store.blobs.path(version.table()["sha256"][0]).unlink()
    with pytest.raises(StorageError, match="is missing"):
        export_dataset(store, "set", tmp_path / "out")
    assert content(tmp_path / "out") == {}


def told(version: DatasetVersion) -> dict[str, tuple[str, str]]:
    """What is known of each picture, by its content."""
    table = version.table().fillna({"label": "", "split": ""})
    return {sha: (label, split) for sha, label, split in table[["sha256", "label", "split"]].itertuples(index=False)}


def labelled(store: Store, place: Path, names: list[str], dataset: str = "set") -> DatasetVersion:
    """A data set with classes of these names, whatever a folder can be called."""
    rows = []
    for number, (name, index) in enumerate(itertools.product(names, range(3))):
        write(place / "in" / f"{number}.png", encoded(picture((number, name), (16, 16))))
        split = ("train", "val", "test")[index % 3]
        rows.append({"file_name": f"{number}.png", "labels": [name], "split": split})
    write(place / "in" / "metadata.jsonl", pd.DataFrame(rows).to_json(orient="records", lines=True).encode())
    version = add_dataset(store, dataset, place / "in").version
    assert set(version.classes) == set(names)
    return version


def test_labels_that_are_no_folder_names(store: Store, tmp_path: Path) -> None:
    names = ["../up", "a/b", "a_b", "..", "N/A", "Cat", "cat", "con", "no_label", ".hidden", "=1+1", "[b]", "x" * 300]
    version = labelled(store, tmp_path, names)
    done = export_dataset(store, "set", tmp_path / "deep" / "out")
    files = content(tmp_path / "deep")
    assert len(files) == 1 + 3 * len(names) and all(name.startswith("out/") for name in files)
    folders = {path.name for path in (tmp_path / "deep" / "out" / "train").iterdir()}
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert set(done.renamed) == {"../up", "a/b", "..", "N/A", "cat", "con", ".hidden", "x" * 300}
    assert set(done.renamed.values()) <= folders and done.table == tmp_path / "deep" / "out" / "metadata.csv"
    assert done.renamed["a/b"] == "a_b-2"  # a class that can keep its name keeps it
    report = add_dataset(store, "again", tmp_path / "deep" / "out")
    assert told(report.version) == told(version) and report.version.classes == version.classes


def test_plain_names_need_no_table(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    add_dataset(store, "set", make_images(**{"a": 4, "b c": 4, "ü": 4}))
    done = export_dataset(store, "set", tmp_path / "out")
    assert (done.renamed, done.table) == ({}, None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test", "train", "val"]


def test_what_has_no_label_or_no_split_comes_back_so(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    source = make_images(a=6, b=6)
    for side, names in {"train": "0123", "val": "45"}.items():
        for label, name in itertools.product("ab", names):
            write(source / side / label / f"{name}.png", (source / label / f"{name}.png").read_bytes())
            (source / label / f"{name}.png").unlink()
    for label in "ab":
        (source / label).rmdir()
    add_dataset(store, "set", source)
    loose = tmp_path / "loose"
    for name in ("one", "two", "three"):
        write(loose / f"{name}.png", encoded(picture(name)))
    add_dataset(store, "set", loose, reading=Reading(unlabelled=True))
    found = find_images(get_version(store, "set"), ["one.png"])
    version = relabel(store, "set", {found["one.png"]: "rare"})
    known = told(version)
    assert ("rare", "") in known.values() and list(known.values()).count(("", "")) == 2
    done = export_dataset(store, "set", tmp_path / "out")
    assert done.table is not None and done.renamed == {}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "train",
        "val",
        "waiting",
        "unlabelled",
        "metadata.csv",
    }
    assert told(add_dataset(store, "again", tmp_path / "out").version) == known


def importable(name: str) -> str:
    """A name as an import would take it; empty if it wouldn't."""
    name = unicodedata.normalize("NFC", name)
    return name if name.strip() and name.isprintable() else ""


NASTY = st.lists(
    st.one_of(
        st.sampled_from(
            ["..", ".", "a/b", "a_b", "a:b", "x. ", "x", "CON", "nul.txt", "Cat", "cat", "['a']", "[1]", "'=x"]
        ),
        st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"]), min_size=1
        ),
        st.text("aA._ -'\"[],=;/\\", min_size=1, max_size=6),
    ).map(importable),
    min_size=2,
    max_size=5,
    unique=True,
).filter(lambda names: all(names))
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for many data sets: making one takes longer than all the rest."""
    return tmp_path_factory.mktemp("home")


@given(names=NASTY)
@example(names=["train", "val", "__pycache__", "_unlabeled"])
@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_class_comes_back(shared_home: Path, names: list[str]) -> None:
    store, dataset = Store(shared_home), f"set-{next(NUMBERS)}"
    with tempfile.TemporaryDirectory() as folder:
        version = labelled(store, Path(folder), names, dataset)
        done = export_dataset(store, dataset, Path(folder) / "out")
        found = scan(Path(folder) / "out")
        came = {
            hashlib.sha256(entry.path.read_bytes()).hexdigest(): (entry.label, entry.split) for entry in found.entries
        }
        assert came == told(version) and found.classes == set(names)
        assert done.renamed == {name: folder for name, folder in folder_names(names).items() if name != folder}


@given(names=NASTY)
def test_folder_names_are_apart_and_allowed_everywhere(names: list[str]) -> None:
    found = folder_names(names)
    assert set(found) == set(names) and len({name.casefold() for name in found.values()}) == len(names)
    for name in found.values():
        assert name == name.strip() and not name.endswith(".") and not set(name) & set('<>:"/\\|?*')
        assert len(name.encode()) < 256 and unwanted_name(name, folder=True) == ""


def test_the_table_is_plain_csv(store: Store, tmp_path: Path) -> None:
    """Other programs read it as well: Hugging Face's imagefolder wants `file_name`."""
    labelled(store, tmp_path, ["N/A", "b"])
    done = export_dataset(store, "set", tmp_path / "out")
    assert done.table is not None
    with done.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == {"N/A", "b"} and set(rows[0]) == {"file_name", "label", "split"}
    assert all((tmp_path / "out" / row["file_name"]).is_file() for row in rows)
