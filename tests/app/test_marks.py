"""Runs, data sets and versions are renamed, noted, tagged, starred and searched: in the studio and by verbs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.pages import fine, show, sound, words
from tests.app.trees import write_trees
from tests.processes import fieldguide
from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset
from workflows.store.marks import version_key
from workflows.store.store import Store


@pytest.fixture
def trees(store: Store, tmp_path: Path) -> Store:
    add_dataset(store, "trees", write_trees(tmp_path / "trees"))
    return store


def rename(page: AppTest, prefix: str, title: str, note: str, tags: list[str]) -> AppTest:
    """Fill the form whose fields' keys begin so, and save."""
    fields = {part.key: part for kind in ("text_input", "text_area", "multiselect") for part in page.get(kind)}
    by_end = {key.rpartition("-")[2]: part for key, part in fields.items() if key and key.startswith(prefix)}
    by_end["title"].set_value(title)
    by_end["note"].set_value(note)
    by_end["tags"].set_value(tags)
    (save,) = [
        button for button in page.button if button.key and button.key.startswith(prefix) and button.label == "Save"
    ]
    return save.click().run()


def test_a_run_is_renamed_on_its_page_and_found_in_the_list(store: Store) -> None:
    other = store.runs.create("birds", {"dataset": "birds"}).run_id
    run_id = store.runs.create("birds", {"dataset": "birds"}).run_id
    store.runs.update(run_id, state="failed")
    store.marks.change("run", run_id, tags=["paper"])  # a tag that can be chosen
    page = sound(rename(show("run", run=run_id), f"mark-run-{run_id}", "without *blur*", "for Ada", ["paper"]))
    assert page.header[0].value.replace("\\", "") == "without *blur*"
    assert "for Ada" in words(page)
    sound(page.button(key=f"mark-run-{run_id}-star").click().run())
    mark = store.marks.get("run", run_id)
    assert (mark.title, mark.note, mark.tags, mark.starred) == ("without *blur*", "for Ada", ("paper",), True)

    found = show("run")
    assert len(found.dataframe[0].value) == 2
    found.text_input(key="runs-text").set_value("ADA").run()
    assert found.dataframe[0].value["Run"].tolist() == [f"★ without *blur* #paper · {run_id}"]
    found.text_input(key="runs-text").set_value("")
    found.toggle(key="runs-starred").set_value(True).run()
    assert [cell.endswith(run_id) for cell in found.dataframe[0].value["Run"]] == [True]
    found.toggle(key="runs-starred").set_value(False)
    store.marks.change("run", other, tags=["draft"])
    found.multiselect(key="runs-tags").set_value(["paper"]).run()
    assert [cell.endswith(run_id) for cell in found.dataframe[0].value["Run"]] == [True]


def test_a_data_set_is_renamed_and_its_page_still_opens_by_its_id(trees: Store) -> None:
    page = fine(rename(show("data", dataset="trees"), "mark-dataset-trees", "Park", "seen in May", []))
    assert page.selectbox(key="data-dataset").options[0] == "Park · trees"
    assert page.selectbox(key="data-dataset").value == "trees"
    assert "seen in May" in words(page)
    assert show("home").dataframe[-1].value["Data set"].tolist() == ["Park · trees"]


def test_a_taken_name_is_refused_in_place(trees: Store, tmp_path: Path) -> None:
    add_dataset(trees, "leaves", write_trees(tmp_path / "leaves"))
    page = rename(show("data", dataset="trees"), "mark-dataset-trees", "Leaves", "", [])
    assert page.error and trees.marks.get("dataset", "trees").empty


def test_a_version_is_noted_in_the_history(trees: Store) -> None:
    relabel(trees, "trees", {get_version(trees, "trees").table()["image_id"][0]: None})
    page = show("data", dataset="trees", view="history")
    fine(rename(page, "mark-version-trees:2", "after the storm", "", []))
    assert trees.marks.get("version", version_key("trees", 2)).title == "after the storm"


# ------------------------------------------------------------------------- verbs


def test_verbs_rename_and_find_runs(store: Store) -> None:
    run, run_id = partial(fieldguide, store.home, "runs"), store.runs.create("birds", {}).run_id
    store.runs.create("others", {})
    store.runs.update(run_id, state="failed")
    assert run("rename", run_id, "best so far", "--json").document["id"] == run_id
    run("tag", "best so far", "paper", "draft", "--json")
    assert run("tag", "Best so far", "draft", "--remove", "--json").document["tags"] == ["paper"]
    store.marks.change("run", run_id, note="ask Ada", starred=True)
    (listed,) = run("list", "--search", "ADA", "--tag", "paper", "--starred", "--json").document
    assert (listed["run_id"], listed["title"], listed["note"]) == (run_id, "best so far", "ask Ada")
    assert run("list", "--search", "nobody", "--json").document == []


def test_verbs_know_a_renamed_data_set_by_both_names(trees: Store) -> None:
    run = partial(fieldguide, trees.home)
    assert run("dataset", "rename", "trees", "My park", "--json").document["id"] == "trees"
    assert run("dataset", "show", "my park", "--json").document["name"] == "trees"
    assert run("dataset", "star", "My park", "--version", 1, "--json").document["id"] == "trees:1"
    assert [each["name"] for each in run("dataset", "list", "--search", "PARK", "--json").document] == ["trees"]
    assert run("dataset", "list", "--starred", "--json").document == []  # the star is the version's
    assert run("workflow", "recommend", "My park", "--json").code == 0
