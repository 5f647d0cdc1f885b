"""Choosing the columns of a label file: the form of the studio, and the options of the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client.label_tables import beginning, has_folders, table_beside
from flows.watching import add_watch, import_now
from tests.app.adding import begun, looked
from tests.app.pages import fine, show, sound, words
from tests.app.trees import ended, picture
from tests.processes import fieldguide
from workflows.data.columns import Columns
from workflows.data.importing import add_dataset
from workflows.data.sources import Reading
from workflows.errors import SourceError, UsageError
from workflows.requests import TrainRequest
from workflows.store.store import Store

page = partial(show, "data")
SORTS = ("oak", "elm")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photos."""
    place = tmp_path / "photos"
    place.mkdir()
    for number in range(12):
        (place / f"p{number}.png").write_bytes(picture(number))
    return place


def write(path: Path, header: str, row: str) -> Path:
    lines = [row.format(n=n, sort=SORTS[n % 2], is_oak=int(n % 2 == 0), is_elm=n % 2) for n in range(12)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A table whose columns nobody can know."""
    return write(tmp_path / "survey.csv", "nr,shot,what", "{n},p{n}.png,{sort}")


def chooser(test: AppTest, kind: str) -> Any:
    found = [box for box in test.selectbox if str(box.key).startswith(f"add--{kind}-column")]
    assert len(found) == 1
    return found[0]


# ------------------------------------------------------------------- the studio


def test_columns_that_nobody_can_know_are_chosen_in_the_form(store: Store, photos: Path, odd: Path) -> None:
    test = begun(photos, odd)
    assert "shot" in test.error[0].value  # the columns that were found
    assert (chooser(test, "filename").value, chooser(test, "label").value) == (None, None)
    shown = test.dataframe[0].value
    assert list(shown.columns) == ["nr", "shot", "what"] and shown["shot"].tolist() == [f"p{n}.png" for n in range(5)]
    chooser(test, "filename").set_value("shot")
    chooser(test, "label").set_value("what")
    test = fine(looked(sound(test.run())))
    assert "12 photos, 2 classes" in words(test)
    request = clients.client().jobs.find(test.session_state["add--looked"][1]).request  # type: ignore[union-attr]
    assert (request["filename_column"], request["label_column"]) == ("shot", "what")
    asked = {name: request[name] for name in ("source", "labels", "filename_column", "label_column")}
    job = clients.client().jobs.start("import", "survey", {**asked, "ratios": [60, 20, 20]})
    ended(job)
    assert job.error is None and clients.client().datasets.version("survey").classes == ("elm", "oak")


@pytest.mark.parametrize("beside", [True, False])
def test_the_guess_is_filled_in_and_told(store: Store, photos: Path, tmp_path: Path, beside: bool) -> None:
    place = photos if beside else tmp_path
    file = write(place / "survey.csv", "nr,ImageID,Species", "{n},p{n},{sort}")
    test = fine(begun(photos, None if beside else file))
    assert (chooser(test, "filename").value, chooser(test, "label").value) == ("ImageID", "Species")
    assert "'ImageID' as filename" in words(test) and "'Species' as label" in words(test)
    assert "12 photos, 2 classes" in words(test)
    chooser(test, "label").set_value("nr")
    assert "12 photos, 12 classes" in words(looked(sound(test.run())))


def test_one_column_for_each_class_can_be_overruled(store: Store, photos: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "id, oak, elm, plot", "p{n}, {is_oak}, {is_elm}, {sort}s")
    test = fine(begun(photos, file))
    assert chooser(test, "filename").value == "id" and "(2)" in chooser(test, "label").value
    assert "12 photos, 2 classes" in words(test) and "oak, elm" in words(test)
    chooser(test, "label").set_value("plot")
    job = looked(sound(test.run())).session_state["add--looked"][1]
    result = clients.client().jobs.find(job).result  # type: ignore[union-attr]
    assert result is not None and {label for label, _, _ in result["counts"]} == {"oaks", "elms"}


def test_no_form_without_a_table(store: Store, photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "oak")
    (tmp_path / "set").mkdir()
    (tmp_path / "oak").rename(tmp_path / "set" / "oak")
    test = begun(tmp_path / "set", write(tmp_path / "t.json", "[", "{n}"))
    assert not [box for box in test.selectbox if "column" in str(box.key)]


def test_a_table_of_labels_with_other_columns_changes_them(store: Store, photos: Path, odd: Path) -> None:
    add_dataset(store, "survey", photos, reading=Reading(unlabelled=True))
    datasets = clients.client().datasets
    version = datasets.version("survey")
    with pytest.raises(SourceError):
        datasets.label_changes(version, odd.read_bytes())
    changes = datasets.label_changes(version, odd.read_bytes(), columns=Columns("shot", "what"))
    assert len(changes.labels) == 12 and not changes.unknown
    bare = odd.read_text().replace(".png", "").encode()  # without endings
    assert len(datasets.label_changes(version, bare, columns=Columns("shot", "what")).labels) == 12


def test_which_table_lies_beside(tmp_path: Path) -> None:
    assert table_beside(tmp_path / "absent") is None and not has_folders(tmp_path / "absent")
    (tmp_path / ".hidden.csv").write_text("a,b")
    assert table_beside(tmp_path) is None
    (tmp_path / ".hidden.csv").unlink()
    first = write(tmp_path / "a.csv", "file,label", "{n},{sort}")
    assert table_beside(tmp_path) == first and not has_folders(tmp_path)
    write(tmp_path / "b.tsv", "file,label", "{n},{sort}")
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    assert table_beside(tmp_path) is None and has_folders(tmp_path)
    shown = beginning(first.read_bytes())
    assert shown is not None and (shown.filename, shown.label) == ("file", "label")


# ------------------------------------------------------------- watched folders


def test_columns_of_a_watched_folders_table(store: Store, photos: Path, odd: Path) -> None:
    watch = add_watch(store, "survey", photos, labels=odd)
    assert "shot" in import_now(store, watch)["error"]
    store.watched.remove(watch.id)
    watch = add_watch(store, "survey", photos, labels=odd, filename_column="shot", label_column="what")
    assert (watch.filename_column, watch.label_column) == ("shot", "what")
    assert import_now(store, watch)["accepted"] == 12
    with pytest.raises(UsageError):
        add_watch(store, "other", photos, label_column="what", unlabelled=True)


def test_columns_are_chosen_where_a_folder_is_watched(store: Store, photos: Path, odd: Path) -> None:
    test = sound(show("schedules").button(key="watch-new").click().run())
    test.text_input(key="watch-dataset").set_value("survey")
    test.text_input(key="watch-folder").set_value(str(photos))
    test.session_state["watch-how"] = "A label file"
    sound(test.run())
    sound(test.text_input(key="watch-labels").set_value(str(odd)).run())
    for kind, column in (("filename", "shot"), ("label", "what")):
        next(box for box in test.selectbox if str(box.key).startswith(f"watch-{kind}-column")).set_value(column)
    fine(test.button(key="watch-add").click().run())
    (watch,) = store.watched.list()
    assert (watch.labels, watch.filename_column, watch.label_column) == (str(odd), "shot", "what")


# ------------------------------------------------------------- the command line


def test_columns_are_named_on_the_command_line(home: Path, photos: Path, odd: Path) -> None:
    taken = fieldguide(home, "dataset", "add", "survey", photos, "--labels", odd, "--json", *options("SHOT", "what"))
    assert taken.code == 0, taken.stderr
    assert (taken.document["images"], taken.document["classes"]) == (12, ["elm", "oak"])
    again = write(odd.with_name("new.csv"), "nr,shot,what", "{n},p{n}.png,x{sort}")
    changed = fieldguide(home, "dataset", "relabel", "survey", again, "--json", *options("shot", "what"))
    assert changed.code == 0 and changed.document["classes"] == ["xelm", "xoak"]


@pytest.mark.parametrize("verb", ["add", "relabel"])
def test_what_is_missing_is_said_with_the_options(home: Path, photos: Path, odd: Path, verb: str) -> None:
    if verb == "add":
        call = ["dataset", "add", "survey", photos, "--labels", odd]
    else:
        fieldguide(home, "dataset", "add", "survey", photos, "--unlabelled")
        call = ["dataset", "relabel", "survey", odd]
    refused = fieldguide(home, *call, "--json", "--filename-column", "shot")
    assert refused.code == 1 and "Traceback" not in refused.stderr
    assert all(name in refused.document["error"] for name in ("nr", "shot", "what"))
    assert "--label-column" in refused.document["hint"] and "--filename-column" not in refused.document["hint"]
    wrong = fieldguide(home, *call, "--json", *options("shot", "sort"))
    assert wrong.code == 1 and "'sort'" in wrong.document["error"] and "what" in wrong.document["error"]


def test_training_on_a_folder_takes_columns_too() -> None:
    request = TrainRequest(source="x", labels="t.csv", filename_column="shot", label_column="what")
    assert TrainRequest.model_validate_json(request.model_dump_json()) == request
    assert TrainRequest(source="x").label_column is None  # as older runs have it


def options(filename: str, label: str) -> list[str]:
    return ["--filename-column", filename, "--label-column", label]
