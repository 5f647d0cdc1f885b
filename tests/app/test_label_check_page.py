"""The view Label check of the page Data: started, stored, shown, decided about; and its place in the page Evaluation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from app.client.label_checks import KIND
from tests.app.pages import fine, prepared, show, words
from tests.app.trees import ended, write_trees
from tests.photos import digit_folders
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.data.label_checks import CHECK_FILE, newest_check, store_check
from workflows.store.store import Store
from workflows.targets.single_label.suspects import COLUMNS, LabelCheck

pytestmark = pytest.mark.timeout(1200)
NAME = "trees"
page = partial(show, "data", dataset=NAME, view="labels")


@pytest.fixture
def trees(store: Store, tmp_path: Path) -> pd.DataFrame:
    """The images of a data set, which is imported."""
    add_dataset(store, NAME, write_trees(tmp_path / "trees"))
    return get_version(store, NAME).table()


@pytest.fixture
def doubted(store: Store, trees: pd.DataFrame) -> list[str]:
    """The ids of three images of ash: birches with certainty, and one that is only less likely."""
    table = trees[trees["label"] == "ash"].head(3)
    table = table.assign(suggested="birch", score=[0.99, 0.95, 0.6], suspected=[True, True, False])
    check = LabelCheck(table[COLUMNS], len(trees), 0.9, "", (), ("cedar",))
    store_check(get_version(store, NAME), check, "a file")
    return [str(image) for image in table["image_id"]]


def chosen(*image_ids: str) -> AppTest:
    """The view, with images chosen."""
    test = prepared("data", dataset=NAME, view="labels")
    test.session_state["label-check-0"] = {"selected": list(image_ids)}
    return fine(test.run())


def offered(test: AppTest) -> list[str]:
    return [option.rpartition("(")[2].rstrip(")") for option in test.selectbox(key="label-check-show").options]


@pytest.mark.slow
def test_a_check_is_a_job_whose_trouble_is_said(store: Store, trees: pd.DataFrame, tmp_path: Path) -> None:
    test = fine(page())
    test.text_input(key="label-check-weights").set_value(str(tmp_path / "absent.safetensors"))
    fine(test.button(key="label-check-run").click().run())
    [job] = clients.client().jobs.of(NAME, KIND)
    ended(job)
    assert job.error is not None and "absent.safetensors" in job.error.message
    assert "absent" in page().error[0].value
    assert newest_check(store, NAME) is None


def test_what_is_suspected_is_counted_and_what_cannot_be_seen_is_said(doubted: list[str]) -> None:
    test = fine(page())
    assert offered(test) == ["2", "1", "0", "0"]
    assert "cedar" in words(test)
    assert test.button(key="label-check-run").proto.type != "primary"


def test_suspects_are_relabelled_as_suggested_in_one_version(store: Store, doubted: list[str]) -> None:
    fine(chosen(doubted[0]).button(key="label-check-relabel").click().run())
    version = get_version(store, NAME)
    assert (version.number, version.action) == (2, "relabel")
    assert version.table().set_index("image_id").at[doubted[0], "label"] == "birch"
    after = fine(page())
    assert offered(after) == ["1", "1", "0", "1"]
    fine(after.checkbox(key="label-check-all").check().run().button(key="label-check-relabel").click().run())
    labels = get_version(store, NAME).table().set_index("image_id")["label"]
    assert labels[doubted].tolist() == ["birch", "birch", "ash"]


def test_a_label_that_is_kept_does_not_come_back(store: Store, doubted: list[str]) -> None:
    fine(chosen(doubted[1]).button(key="label-check-keep").click().run())
    assert store.confirmed_labels.of(NAME) == {doubted[1]: "ash"}
    assert get_version(store, NAME).number == 1
    version, found = get_version(store, NAME), newest_check(store, NAME)
    assert found is not None
    (version.folder / CHECK_FILE).unlink()
    store_check(version, found.check, "again")  # a later check doubts it again
    test = fine(page())
    assert offered(test) == ["1", "1", "1", "0"]
    again = fine(test.selectbox(key="label-check-show").select_index(2).run())
    fine(again.checkbox(key="label-check-all").check().run().button(key="label-check-reopen").click().run())
    assert offered(fine(page())) == ["2", "1", "0", "0"]


def test_a_blind_check_shows_no_doubts(store: Store, trees: pd.DataFrame) -> None:
    check = LabelCheck(
        trees.head(0).assign(suggested="", score=0.0, suspected=False)[COLUMNS], 30, 0.4, "Too dark.", ()
    )
    store_check(get_version(store, NAME), check, "a file")
    test = fine(page())
    assert "Too dark." in words(test)
    assert "label-check-show" not in {box.key for box in test.selectbox}


@pytest.mark.slow
def test_a_check_from_the_page_finds_planted_labels(store: Store, shared: Path, tmp_path: Path) -> None:
    add_dataset(store, NAME, digit_folders(tmp_path / "digits", per_class=60))
    table = get_version(store, NAME).table()
    right = table.groupby("label")["image_id"].first()
    clients.client().datasets.relabel(NAME, {image: "2" if label != "2" else "0" for label, image in right.items()})
    test = fine(page())
    weights = shared / "weights" / "yolov8n-cls-backbone.safetensors"
    test.text_input(key="label-check-weights").set_value(str(weights))
    fine(test.button(key="label-check-run").click().run())
    [job] = clients.client().jobs.of(NAME, KIND)
    ended(job, 300)
    assert job.error is None
    found = newest_check(store, NAME)
    assert found is not None and found.version == 2
    suspected = found.check.table[found.check.table["suspected"]]
    assert set(right.index) == set(suspected.loc[suspected["image_id"].isin(right), "suggested"])
    cost = clients.client().label_checks.estimate(get_version(store, NAME))
    assert cost.new == 0 and cost.seconds is not None
    assert "balanced agreement" in words(fine(page()))
