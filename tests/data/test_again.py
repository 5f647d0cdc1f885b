"""Photos with and without labels in one import, and photos that come a second time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.app.trees import picture, write_trees
from workflows.data import reasons
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.data.sources import Reading, listing_of, scan
from workflows.store.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty labelled photos, a broken one, and two outside the class folders."""
    folder = write_trees(tmp_path / "trees")
    for number in range(2):
        (folder / f"loose{number}.png").write_bytes(picture(900 + number))
    return folder


def test_photos_outside_the_class_folders_come_in_without_a_label(store: Store, folder: Path) -> None:
    assert add_dataset(store, "without", folder).version.images == 30
    report = add_dataset(store, "trees", folder, reading=Reading(with_unlabelled=True))
    table = report.version.table()
    assert (report.accepted, len(table)) == (32, 32)
    assert sorted(table.loc[table["label"].isna(), "path"]) == ["loose0.png", "loose1.png"]
    assert table.loc[table["label"].isna(), "split"].isna().all()
    assert report.version.classes == ("ash", "birch", "cedar")


def test_photos_that_a_label_file_leaves_out_come_in_without_a_label(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "labels.csv").write_text("filename,label\n0.png,a\n1.png,a\n2.png,b\n3.png,b\n4.png,\ngone.png,a\n")
    found = scan(tmp_path, tmp_path / "labels.csv", reading=Reading(with_unlabelled=True))
    assert {entry.relative: entry.label for entry in found.entries} == {
        **{"0.png": "a", "1.png": "a", "2.png": "b", "3.png": "b"},
        **{"4.png": None, "5.png": None},
    }
    assert [name for name, _ in found.rejected] == ["gone.png"]
    assert not reasons.WITHOUT_LABEL & {why for _, why in found.ignored}


def test_the_choice_is_part_of_what_a_source_is(folder: Path) -> None:
    assert listing_of(folder) != listing_of(folder, reading=Reading(with_unlabelled=True))


def test_a_second_import_says_what_is_here_already(store: Store, folder: Path, tmp_path: Path) -> None:
    first = add_dataset(store, "trees", folder)
    assert (first.already, first.known) == (0, [])
    everything = sorted(get_version(store, "trees").table()["image_id"])
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for source in (folder, copy):  # the same place, and the same bytes elsewhere
        again = add_dataset(store, "trees", source)
        assert (again.changed, again.already, sorted(again.known)) == (False, 30, everything)
        assert again.already_words() == "All 30 are here already."
    (copy / "ash" / "new.png").write_bytes(picture(777))
    more = add_dataset(store, "trees", copy)
    assert (more.changed, more.accepted, more.already) == (True, 31, 30)
    assert sorted(more.known) == everything
