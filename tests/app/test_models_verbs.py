"""`fieldguide models …`, `runs delete` and the looking part of `tune`, as a person calls them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Trained
from tests.processes import Finished, fieldguide


class Person:
    """Somebody with a state folder of their own."""

    def __init__(self, home: Path, photos: Path, run_id: str) -> None:
        self.home, self.photos, self.run_id = home, photos, run_id

    def does(self, *arguments: object) -> Finished:
        return fieldguide(self.home, *arguments, FIELDGUIDE_USER="ada")

    def gets(self, *arguments: object) -> Any:
        done = self.does(*arguments, "--json")
        assert done.code == 0, done.stderr
        return done.document


@pytest.fixture(scope="module")
def person(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A person with the finished run of the session and the model `digits` made of it."""
    home = Path(shutil.copytree(trained.home, tmp_path_factory.mktemp("verbs") / "home"))
    somebody = Person(home, trained.photos, trained.run_id)
    made = somebody.gets("models", "register", "digits", "latest", "--why", "a start")
    assert (made["model"], made["version"], made["champion"], made["run_id"]) == ("digits", 1, True, trained.run_id)
    return somebody


def test_models_are_listed_and_shown(person: Person) -> None:
    (listed,) = person.gets("models", "list")
    assert (listed["model"], listed["champion"], listed["author"], listed["reason"]) == (
        "digits",
        True,
        "ada",
        "a start",
    )
    shown = person.gets("models", "show", "digits")
    assert [version["version"] for version in shown["versions"]] == [1]
    assert [(line["action"], line["number"]) for line in shown["promotions"]] == [("register", 1)]
    low, high = shown["metrics"]["test"]["top1_ci95"]
    assert low <= shown["test_top1"] <= high


def test_what_cannot_be_done_is_said_in_words(person: Person) -> None:
    for arguments, word in (
        (("models", "promote", "digits", 1), "already"),
        (("models", "promote", "digits", 9), "no version 9"),
        (("models", "rollback", "digits"), "nothing to go back to"),
        (("runs", "delete", person.run_id), "can't be deleted"),
    ):
        refused = person.does(*arguments, "--json")
        assert refused.code == 1
        assert word in f"{refused.document['error']} {refused.document['hint']}"
    assert (person.home / "runs" / person.run_id / "model").is_dir()


def test_a_model_is_handed_out(person: Person, tmp_path: Path) -> None:
    said = person.gets("models", "export", "digits", tmp_path / "out")
    assert Path(said["folder"]) == tmp_path / "out"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.txt", "model.json", "model.safetensors"}


def test_a_name_is_as_good_as_a_run(person: Person) -> None:
    photo = sorted(person.photos.rglob("*.png"))[0]
    by_name, by_run = (person.gets("predict", name, photo, "--device", "cpu") for name in ("digits", person.run_id))
    assert by_name == by_run
    refused = person.does("predict", "digits:2", photo, "--json")
    assert refused.code == 1 and "no version 2" in refused.document["error"]


def test_tunings_can_be_looked_at_before_there_are_any(person: Person) -> None:
    assert person.gets("tune", "--list") == []
    assert person.does("tune", "--json").code == 2
