"""Imports from archives, without labels, with corrections made here, and what becomes of rejected files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.data.conftest import MakeImages, encoded, picture, tree_state, write
from tests.data.test_edits import by_id, ids
from tests.texts import numbers, one_mentions
from workflows.data import quarantine as quarantining
from workflows.data.catalog import labels_of
from workflows.data.edits import merge_classes, move, relabel, remove, rename_class
from workflows.data.importing import add_dataset, dataset_for_path
from workflows.data.quarantine import quarantined
from workflows.data.sources import Reading
from workflows.data.undoing import undo
from workflows.data.version import DatasetVersion
from workflows.errors import SourceError
from workflows.store.store import Store


def labels(version: DatasetVersion) -> dict[str, str | None]:
    """Path to label."""
    table = version.table()
    return {path: None if pd.isna(label) else label for path, label in zip(table["path"], table["label"], strict=True)}


def id_of(version: DatasetVersion, path: str) -> str:
    table = version.table()
    return str(table.loc[table["path"] == path, "image_id"].iloc[0])


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder.parent / "upload"), "zip", folder.parent, folder.name))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of 12 images without labels."""
    for number in range(12):
        write(tmp_path / "bare" / f"{number}.png", encoded(picture(("bare", number))))
    return tmp_path / "bare"


# Archives


def test_an_archive_is_imported_like_its_folder(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    archive = zipped(source)
    before = tree_state(archive.parent)
    version = add_dataset(store, "zip", archive).version
    assert (
        version.source == str(archive) and version.fingerprint == add_dataset(store, "dir", source).version.fingerprint
    )
    assert tree_state(archive.parent).items() >= {k: v for k, v in before.items() if not k.startswith("home/")}.items()
    assert not [path for path in (store.cache_folder / "unpacked").rglob("*") if path.suffix == ".png"]


def test_an_unchanged_archive_is_not_unpacked_again(
    store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(make_images(a=8, b=8))
    first = dataset_for_path(store, archive)
    assert (first.version.name, first.accepted) == ("upload", 16)
    monkeypatch.setattr("workflows.data.importing.open_source", lambda *_, **__: pytest.fail("unpacked again"))
    again = dataset_for_path(store, archive)
    assert (again.version, again.changed, again.accepted) == (first.version, False, 16)
    assert not add_dataset(store, "upload", archive).changed


def test_a_changed_archive_is(store: Store, make_images: MakeImages) -> None:
    archive = zipped(make_images(a=8, b=8))
    dataset_for_path(store, archive)
    zipped(make_images(a=9, b=8))
    assert dataset_for_path(store, archive).version.images == 17


# Without labels


def test_unlabelled_images_wait(store: Store, make_images: MakeImages, bare: Path) -> None:
    version = add_dataset(store, "set", bare, reading=Reading(unlabelled=True)).version
    assert (version.images, version.classes, version.labelled().empty) == (12, (), True)
    assert version.split_counts().empty and set(labels_of(version)["label"]) == {""}
    more = add_dataset(store, "set", make_images(a=8, b=8))
    assert more.version.images == 28 and len(more.version.labelled()) == 16
    assert numbers(more.notes[0]) == [12]


def test_labels_that_come_later(store: Store, bare: Path, tmp_path: Path) -> None:
    first = add_dataset(store, "set", bare, reading=Reading(unlabelled=True)).version
    table = "filename,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(12))
    second = add_dataset(store, "set", bare, labels=write(tmp_path / "labels.csv", table.encode())).version
    assert set(ids(second)) == set(ids(first)) and len(second.labelled()) == 12
    assert second.split_counts().loc["a"].tolist() == [4, 1, 1]
    again = add_dataset(store, "set", bare, reading=Reading(unlabelled=True))
    assert not again.changed and again.accepted == 12  # nothing loses its label


def test_labels_that_come_with_the_same_pictures_elsewhere(store: Store, bare: Path, tmp_path: Path) -> None:
    add_dataset(store, "set", bare, reading=Reading(unlabelled=True))
    for number in range(10):
        write(tmp_path / "sorted" / "ab"[number % 2] / f"{number}.png", (bare / f"{number}.png").read_bytes())
    second = add_dataset(store, "set", tmp_path / "sorted").version
    assert second.images == 12 and len(second.labelled()) == 10  # two still wait
    assert not add_dataset(store, "set", bare, reading=Reading(unlabelled=True)).changed
    assert not add_dataset(store, "set", tmp_path / "sorted").changed


def test_labelling_goes_on_while_more_comes(store: Store, make_images: MakeImages, bare: Path) -> None:
    """A class that is too small for a split yet doesn't keep other images out."""
    version = add_dataset(store, "set", bare, reading=Reading(unlabelled=True)).version
    relabel(store, "set", {ids(version)[0]: "rare"})
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    assert version.classes == ("a", "b", "rare") and len(version.labelled()) == 16


# Corrections


def test_corrections_outlive_the_next_import(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=10, b=10)
    version = dataset_for_path(store, source).version
    relabel(store, version.name, {id_of(version, "a/0.png"): "b", id_of(version, "a/1.png"): None})
    corrected = remove(store, version.name, [id_of(version, "b/0.png")])
    assert dataset_for_path(store, source).version == corrected  # the folder is as it was
    for number in (10, 11):  # twice, because the second import builds on the first one's memory
        report = dataset_for_path(store, make_images(a=number + 1, b=10))
        found = labels(report.version)
        assert (found["a/0.png"], found["a/1.png"], found.get("b/0.png"), found[f"a/{number}.png"]) == (
            "b",
            None,
            None,
            "a",
        )
        assert "b/0.png" not in found and report.version.images == number + 10
        assert one_mentions(report.notes, "label", 2)
        assert [(e.path, e.outcome) for e in report.entries if e.outcome != "accepted"] == [("b/0.png", "ignored")]


def test_where_the_source_changes_its_mind_it_counts(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    source = make_images(a=8, b=8)
    paths = [f"{label}/{number}.png" for label in "ab" for number in range(8)]
    table = tmp_path / "labels.csv"
    write(table, ("filename,label\n" + "".join(f"{path},{path[0]}\n" for path in paths)).encode())
    version = add_dataset(store, "set", source, labels=table).version
    relabel(store, "set", {id_of(version, "a/0.png"): "b", id_of(version, "a/1.png"): "b"})
    write(table, table.read_bytes().replace(b"a/0.png,a", b"a/0.png,c").replace(b"a/2.png,a", b"a/2.png,c"))
    table.write_text(table.read_text().replace("a/3.png,a", "a/3.png,c"))
    found = labels(add_dataset(store, "set", source, labels=table).version)
    assert [found[f"a/{number}.png"] for number in range(5)] == ["c", "b", "c", "c", "a"]


def test_afresh_takes_the_source_at_its_word(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    first = add_dataset(store, "set", source).version
    relabel(store, "set", {id_of(first, "a/0.png"): "b"})
    remove(store, "set", [id_of(first, "b/0.png")])
    assert labels(add_dataset(store, "set", source, afresh=True).version) == labels(first)


def test_moves_outlive_a_given_split(store: Store, make_images: MakeImages) -> None:
    make_images(below="photos/train", a=8, b=8)
    source = make_images(below="photos/val", a=3, b=3).parent
    version = add_dataset(store, "set", source).version
    moved = id_of(version, "val/a/0.png")
    move(store, "set", {moved: "train"})
    make_images(below="photos/train", a=9, b=8)
    assert by_id(add_dataset(store, "set", source).version, "split")[moved] == "train"


def test_new_images_of_a_renamed_class(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8, c=8)
    add_dataset(store, "set", source)
    rename_class(store, "set", "a", "anemone")
    merge_classes(store, "set", ["b"], "c")
    report = add_dataset(store, "set", make_images(a=9, b=9, c=8))
    assert report.version.classes == ("anemone", "c")
    assert (labels(report.version)["a/8.png"], labels(report.version)["b/8.png"]) == ("anemone", "c")
    assert one_mentions(report.notes, "a", "anemone")


def test_an_undone_removal_is_no_removal(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    version = add_dataset(store, "set", source).version
    remove(store, "set", [id_of(version, "a/0.png")])
    undo(store, "set")
    assert add_dataset(store, "set", make_images(a=9, b=8)).version.images == 17


# Quarantine


def test_rejected_files_are_kept_apart(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=10, b=10)
    bad = write(source / "a/bad.jpg", b"#!/bin/sh\nrm -rf /\n")
    bad.chmod(0o755)
    report = add_dataset(store, "set", source)
    (entry,) = quarantined(store, "set")
    assert (entry.path, entry.source, entry.bytes) == ("a/bad.jpg", str(source), 19)
    assert entry.reason.startswith("not an image")
    kept = store.quarantine_folder("set") / "files" / entry.sha256
    assert kept.read_bytes() == bad.read_bytes() and kept.stat().st_mode & 0o777 == 0o444
    assert any(str(store.quarantine_folder("set")) in note for note in report.notes)
    other = make_images(below="other", a=6, b=6)
    write(other / "a/worse.jpg", b"<html>")
    add_dataset(store, "set", other)
    assert [entry.path for entry in quarantined(store, "set")] == ["a/bad.jpg", "a/worse.jpg"]
    bad.write_bytes(encoded(picture("mended")))
    add_dataset(store, "set", source)
    assert [entry.path for entry in quarantined(store, "set")] == ["a/worse.jpg"]
    assert len(list((store.quarantine_folder("set") / "files").iterdir())) == 1


def test_quarantine_is_bounded(store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantining, "MAX_FILE_BYTES", 2000)
    monkeypatch.setattr(quarantining, "MAX_TOTAL_BYTES", 2500)
    source = make_images(a=15, b=15)
    for name, size in (("a.jpg", 1500), ("b.jpg", 1500), ("c.jpg", 2001)):
        write(source / "a" / name, b"\xff\xd8\xff" + bytes(size))
    report = add_dataset(store, "set", source)
    assert report.rejected == 3
    assert [bool(entry.sha256) for entry in quarantined(store, "set")] == [True, False, False]
    assert one_mentions(report.notes, "copy", 2)


def test_a_damaged_list_of_rejects_stops_nothing(store: Store, make_images: MakeImages) -> None:
    write(store.quarantine_folder("set") / "manifest.json", b"{")
    assert add_dataset(store, "set", make_images(a=5, b=5)).version.images == 10
    assert quarantined(store, "set") == []


def test_nothing_but_bad_files(store: Store, tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "bare" / f"{number}.jpg", b"bad")
    with pytest.raises(SourceError, match=r"0\.jpg"):
        add_dataset(store, "set", tmp_path / "bare", reading=Reading(unlabelled=True))
    assert not store.quarantine_folder("set").exists()
