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
    assert unasked.code == 2 and "--yes" in unasked.stderr and "24 different photos go" in unasked.stderr
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
    assert added.code == 0 and "Without a label, so not trained on: 24 images." in added.stdout
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
