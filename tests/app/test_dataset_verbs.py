"""The verbs that change data sets, tell their history and delete them, as a person types them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.photos import digit_folders
from tests.processes import Finished, fieldguide

Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos of three digits and a state folder that holds them as `digits`. Nobody changes it."""
    place = tmp_path_factory.mktemp("person")
    digit_folders(place / "photos", per_class=8)
    done = fieldguide(place / "home", "dataset", "add", "digits", place / "photos", "--json")
    assert done.code == 0, done.stderr
    return place


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Run:
    """Runs a verb of `dataset` on a copy of that state folder."""
    home = tmp_path / "home"
    shutil.copytree(place / "home", home)

    def call(*arguments: object, **more: Any) -> Finished:
        return fieldguide(home, "dataset", *arguments, **more)

    return call


def test_a_folder_is_watched_from_the_command_line(place: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", Path(shutil.copytree(place / "photos", tmp_path / "photos"))
    made = fieldguide(home, "watch", "add", "digits", folder, "--every", "5m", "--json")
    assert made.code == 0, made.stderr
    watch = made.document
    told = ("dataset", "folder", "labels", "unlabelled", "every_seconds", "paused", "studio")
    assert [watch[name] for name in told] == ["digits", str(folder), None, False, 300, False, False]
    assert [one["id"] for one in fieldguide(home, "watch", "list", "--json").document] == [watch["id"]]
    table = ("--labels", folder / "labels.csv")
    for wrong in (
        ("digits", folder),  # it is watched already
        ("other", tmp_path / "absent"),
        ("other", home),
        ("other", folder, "--every", "soon"),
        ("other", folder, "--every", "1s"),
        ("other", folder, "--unlabelled", *table),
    ):
        assert fieldguide(home, "watch", "add", *wrong, "--json").code == 2, wrong
    assert len(fieldguide(home, "watch", "list", "--json").document) == 1
    assert fieldguide(home, "watch", "run-now", watch["id"], "--json").document["version"] == 1
    shown = fieldguide(home, "dataset", "show", "digits", "--json").document
    assert (shown["images"], shown["classes"]) == (24, ["0", "1", "2"])


def paths(run: Run) -> list[str]:
    return [row["filename"] for row in run("labels", "digits", "--json").document]


def test_edit_look_and_take_back(run: Run) -> None:
    first, second, *_ = paths(run)
    relabelled = run("relabel", "digits", f"{first}=7", f"{second}=", "--reason", "seen", "--author", "ada", "--json")
    document = relabelled.document
    assert (document["version"], document["action"], document["reason"]) == (2, "relabel", "seen")
    assert document["classes"] == ["0", "1", "2", "7"] and document["changes"]["relabelled"] == 2
    shown = run("history", "digits")
    assert shown.code == 0 and "ada" in shown.stdout and "2 relabelled" in shown.stdout
    history = run("history", "digits", "--json").document
    assert (history[0]["number"], history[0]["author"]) == (2, "ada")
    changed = run("diff", "digits", 1, 2, "--json").document
    assert [(c["path"], c["before"], c["after"]) for c in changed["relabelled"]] == [
        (first, "0", "7"),
        (second, "0", None),
    ]
    assert first in run("diff", "digits", 1, 2).stdout
    undone = run("undo", "digits")
    assert undone.code == 0 and "equals version 1" in undone.stdout
    assert run("show", "digits", "--json").document["fingerprint"] == history[1]["fingerprint"]
    assert run("undo", "digits").code != 0  # back at the import
    assert run("redo", "digits", "--json").document["action"] == "redo"
    restored = run("restore", "digits", 1, "--json").document
    assert (restored["action"], restored["version"]) == ("restore", 5)
    assert run("show", "digits", "--json").document["fingerprint"] == history[1]["fingerprint"]


def test_classes_and_splits(run: Run) -> None:
    assert run("rename-class", "digits", "0", "zero", "--json").document["classes"] == ["1", "2", "zero"]
    refused = run("rename-class", "digits", "1", "zero", "--json")
    assert refused.code == 2 and "merge-classes" in refused.document["hint"]
    assert run("merge-classes", "digits", "1", "2", "--into", "more", "--json").document["classes"] == ["more", "zero"]
    first = paths(run)[0]
    assert run("move", "digits", "test", first, "--json").code == 0
    assert run("resplit", "digits", "--split", "50/25/25", "--json").document["action"] == "split"
    assert run("remove", "digits", first, "--json").document["images"] == 23
    missing = run("remove", "digits", "nothing.png", "--json")
    assert missing.code == 1 and "not in digits v" in missing.document["error"]


def test_labels_go_out_and_come_back(run: Run, tmp_path: Path) -> None:
    assert run("rename-class", "digits", "0", "=1+1").code == 0
    table = tmp_path / "labels.csv"
    assert run("labels", "digits", "-o", table).code == 0
    lines = table.read_text().splitlines()
    assert lines[0] == "filename,label,split" and len(lines) == 25 and "'=1+1" in lines[1]
    table.write_text(table.read_text().replace("'=1+1", "zero"))
    assert run("relabel", "digits", table, "--json").document["classes"] == ["1", "2", "zero"]
    again = run("relabel", "digits", table)
    assert again.code == 0 and again.stdout.startswith("Nothing to change")
    assert run("labels", "digits", "-o", tmp_path / "labels.txt").code == 2


def test_delete(run: Run, place: Path, tmp_path: Path) -> None:
    unasked = run("delete", "digits")
    assert unasked.code == 2 and "--yes" in unasked.stderr and "24 different photos" in unasked.stderr
    plan = run("delete", "digits", "--dry-run", "--json").document
    assert plan["deleted"] is False and plan["plan"]["images"] == 24
    assert run("add", "copy", place / "photos", "--json").code == 0
    done = run("delete", "digits", "--yes", "--json").document
    assert done["deleted"] and done["finished"] and done["plan"]["shared"] == 24
    assert [found["name"] for found in run("list", "--json").document] == ["copy"]
    assert run("delete", "digits", "--yes").code == 1
    run("delete", "copy", "--yes")
    assert not list((tmp_path / "home" / "blobs").glob("??/*"))


def test_archives_and_images_without_labels(run: Run, place: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "upload"), "zip", place / "photos")
    assert run("add", "zipped", archive, "--json").document["accepted"] == 24
    added = run("add", "bare", place / "photos", "--unlabelled")
    assert added.code == 0 and "no label: 24 images" in added.stdout
    assert run("show", "bare", "--json").document["unlabelled"] == 24


def test_doctor_verifies_files(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert fieldguide(home, "doctor", "--verify", "--json").document["ok"]
    blob = next((home / "blobs").glob("??/*"))
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1])
    found = fieldguide(home, "doctor", "--verify", "--json")
    assert found.code == 1
    (bad,) = [finding for finding in found.document["findings"] if finding["state"] == "fail"]
    assert blob.name in bad["text"] and "digits: " in bad["text"] and "--repair" in bad["mend"]
    assert fieldguide(home, "doctor", "--verify", "--repair", "--json").document["ok"]
    assert fieldguide(home, "doctor", "--repair").code == 2


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A folder with 12 broken photos of 20."""
    digit_folders(tmp_path / "spoiled", per_class=4)
    for number in range(12):
        (tmp_path / "spoiled" / "0" / f"broken{number:02}.png").write_bytes(b"no picture")
    return tmp_path / "spoiled"


def test_a_refused_import_names_every_file_in_json(run: Run, spoiled: Path) -> None:
    failed = run("add", "new", spoiled, "--unlabelled", "--json")
    assert failed.code == 1
    left = [entry for entry in failed.document["entries"] if entry["outcome"] not in ("accepted", "ignored")]
    assert len(left) == failed.document["rejected"] == len(failed.document["problems"]) == 12


def test_a_long_list_of_faults_names_the_file_that_has_all(run: Run, spoiled: Path, tmp_path: Path) -> None:
    failed = run("add", "new", spoiled)
    (kept,) = (tmp_path / "home" / "reports").iterdir()
    assert failed.code == 1 and f"All 12: {kept}" in failed.stderr
    assert [line.partition(":")[0] for line in kept.read_text().splitlines()] == [
        f"0/broken{n:02}.png" for n in range(12)
    ]


def test_what_was_left_out_is_named_whole_even_where_nothing_is_new(run: Run, place: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    shutil.copytree(place / "photos", source)
    for number in range(12):
        (source / "0" / f"note{number:02}.txt").write_text("x")
    assert run("add", "digits", source).code == 0
    done = run("add", "digits", source)
    (kept, *_) = sorted((tmp_path / "home" / "reports").iterdir())
    assert "All 12:" in done.stdout and len(kept.read_text().splitlines()) == 12


def test_every_unknown_image_of_an_edit_is_named(run: Run) -> None:
    failed = run("remove", "digits", *(f"none/{n}.png" for n in range(15)), "--json")
    assert failed.code == 1 and failed.document["problems"] == [f"none/{n}.png" for n in range(15)]


def test_the_level_of_the_classes(run: Run, place: Path, tmp_path: Path) -> None:
    for label in "012":
        shutil.copytree(place / "photos" / label, tmp_path / "nested" / f"group {label}" / f"digit {label}")
    done = run("add", "nested", tmp_path / "nested", "--class-level", 2, "--json")
    assert done.document["classes"] == ["digit 0", "digit 1", "digit 2"]
    usual = run("add", "usual", tmp_path / "nested", "--json").document
    assert usual["classes"] == ["group 0", "group 1", "group 2"]
    assert any("--class-level 2" in note for note in usual["notes"])
