"""`fieldguide models …`, `runs delete` and the looking part of `tune`, as a person calls them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Trained
from tests.app.homes import copy_run
from tests.processes import Finished, fieldguide
from workflows.registry.thresholds import choose_threshold
from workflows.store.store import Store


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
        (("models", "rollback", "digits"), "only one champion"),
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


def test_a_threshold_is_shown_set_chosen_and_given_up(person: Person) -> None:
    verb = ("models", "threshold", "digits")
    shown = person.gets(*verb)
    assert (shown["run_id"], shown["is_default"], shown["log"]) == (person.run_id, True, [])
    assert [judged["split"] for judged in shown["judged"]] == ["val", "test"]
    given = person.gets(*verb, 0.8, "--why", "two people for the rest")
    told = ("value", "is_default", "wanted", "author", "reason")
    assert [given[name] for name in told] == [0.8, False, None, "ada", "two people for the rest"]
    chosen = person.gets(*verb, "--accuracy", 0.2, "--split", "test", "--why", "enough")
    expected = choose_threshold(Store(person.home), person.run_id, 0.2, "test")
    assert [chosen[name] for name in ("value", "wanted", "chosen_on")] == [expected, 0.2, "test"]
    given_up = person.gets(*verb, "--default", "--why", "as before")
    assert given_up["is_default"] and [line["value"] for line in given_up["log"]] == [None, expected, 0.8]
    for nonsense in ((0.8, "--default", "--why", "both"), (0.8,), (1.5, "--why", "too much")):
        assert person.does(*verb, *nonsense, "--json").code == 2
    assert person.gets(*verb)["log"] == given_up["log"]


def test_a_worse_version_is_promoted_only_if_that_is_said(trained: Trained, tmp_path: Path) -> None:
    person = Person(Path(shutil.copytree(trained.home, tmp_path / "home")), trained.photos, trained.run_id)
    person.gets("models", "register", "digits", person.run_id)
    person.gets("models", "register", "digits", copy_run(Store(person.home), person.run_id, wrong=4))
    refused = person.does("models", "promote", "digits", 2, "--why", "it is smaller", "--json")
    assert refused.code == 1 and "--accept-worse" in refused.document["hint"]
    assert person.gets("models", "show", "digits")["version"] == 1
    promoted = person.gets("models", "promote", "digits", 2, "--why", "it is smaller", "--accept-worse")
    assert (promoted["version"], promoted["champion"]) == (2, True)
    decided = promoted["decision"]
    assert (decided["outcome"], decided["accepted_worse"]) == ("promoted", True)
    shown = person.gets("models", "show", "digits")
    assert shown["version"] == 2
    assert [decision["decision_id"] for decision in shown["decisions"]] == [decided["decision_id"]]
    line = shown["promotions"][-1]
    assert (line["number"], line["author"], line["reason"]) == (2, "ada", "it is smaller")


def test_tunings_can_be_looked_at_before_there_are_any(person: Person) -> None:
    assert person.gets("tune", "--list") == []
    assert person.does("tune", "--json").code == 2


def test_a_schedule_is_edited(person: Person) -> None:
    made = person.gets("schedule", "add", "digits", "--cron", "0 3 * * 1", "--timezone", "Europe/Berlin")
    edited = person.gets("schedule", "edit", made["id"], "--cron", "30 4 * * 1-5", "--missed", "skip")
    assert (edited["id"], edited["cron"], edited["timezone"]) == (made["id"], "30 4 * * 1-5", "Europe/Berlin")
    assert (edited["missed"], edited["overlap"], edited["when"]) == (
        "skip",
        "skip",
        "Mon, Tue, Wed, Thu, Fri at 04:30 (Europe/Berlin)",
    )
    assert person.does("schedule", "edit", made["id"], "--missed", "perhaps").code == 2
    person.gets("schedule", "remove", made["id"])
