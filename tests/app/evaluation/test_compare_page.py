"""The page Compare: two runs, what differs, which is better, and where that leads."""

from __future__ import annotations

import numpy as np
import pandas as pd

import app.client as clients
from app.components.component_key import component_key
from tests.app.pages import fine, labels, leads_to, prepared, show, words
from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.registry.models import promote, register
from workflows.store.files import write_json, write_table
from workflows.store.store import Store


def test_a_comparison_leads_to_the_champion_the_mistakes_and_the_next_training(store: Store, runs: list[str]) -> None:
    first, second = runs
    folder = store.run_folder(first).evaluation
    frame, names = read_predictions(folder.predictions)
    worse = frame.assign(predicted=names[0], correct=frame["label"] == names[0])
    write_predictions(folder.predictions, worse, names, 0.5)
    for run in (first, second):  # these runs have no classifier
        write_json(store.run_folder(run).model.card, {"classes": list(names), "image_size": 64})
        store.run_folder(run).model.weights.write_bytes(b"weights")
    both = ",".join((first, second))
    assert "Register it as a model" in labels(show("compare", runs=both))
    register(store, "birds", first)
    test = fine(show("compare", runs=both))
    found = clients.client().comparing.compare(first, second, "test")
    assert found.winner == "b" and "Register it as a version of birds" in labels(test)
    query = {"model": "birds", "view": "register", "run": second}
    assert fine(show("models", **query)).selectbox(key="register-birds-run").value == second
    register(store, "birds", second)
    assert "birds v2 can become the champion" in labels(show("compare", runs=both))
    promote(store, "birds", 2, reason="better")
    assert "birds v2 is the champion" in labels(show("compare", runs=both))
    row = found.changed[found.changed["change"] == "mended"].iloc[0]
    test = prepared("compare", runs=both)
    test.session_state[f"side-{second}"] = "mended"
    test.session_state[component_key(f"changed-{second}-0")] = {"selected": [str(row["image_id"])]}
    fine(test.run())
    assert f"Label **{row['label']}**" in words(test)
    assert leads_to(test, f"cell-{second}-b") == "views/evaluation/page.py"


def test_two_runs_are_compared(store: Store, runs: list[str]) -> None:
    assert not fine(show("compare")).dataframe
    test = fine(show("compare", runs=",".join(runs)))
    assert clients.client().comparing.compare(runs[0], runs[1], "test").verdict in words(test)
    settings = test.dataframe[0].value
    assert "training · seed" in settings["setting"].tolist()
    assert "training · epochs" not in settings["setting"].tolist()


def test_different_validation_images_have_plots_of_their_own_and_changes_of_the_data_are_led_to(
    store: Store, runs: list[str]
) -> None:
    first, second = runs
    assert len(clients.client().comparing.validation_sets([first, second])) == 1
    before = get_version(store, "birds")
    changed = before.table()["image_id"].iloc[:3]
    number = relabel(store, "birds", dict.fromkeys(changed, "new species")).number
    store.runs.update(second, version=number)
    path = store.run_folder(second).records
    records = pd.read_parquet(path)
    moved = [records.index[records["split"] == split][:5] for split in ("val", "test")]
    write_table(path, records.assign(split=records["split"].where(~records.index.isin(np.concatenate(moved)), "train")))
    predictions = store.run_folder(second).evaluation.predictions
    frame, classes = read_predictions(predictions)
    lost = records.loc[moved[1], "image_id"]
    write_predictions(predictions, frame[~frame["image_id"].isin(lost)], classes)
    test = fine(show("compare", runs=f"{first},{second}"))
    assert "different validation images" in words(test)
    assert len(test.get("vega_lite_chart")) >= 4 + 1  # two plots for each of two sets, and the differences
    assert f"5 test images left out: 5 were trained on by {second}" in words(test)
    assert "3 labels changed" in words(test)
    assert any(button.key == f"show-changes-{second}" for button in test.button)
    history = fine(show("data", dataset="birds", view="history", version=str(number), against=str(before.number)))
    assert any(expander.label == "Relabelled: 3" for expander in history.expander)


def test_runs_without_common_images_are_refused_in_words(store: Store, runs: list[str]) -> None:
    other = next(run.run_id for run in store.runs.list() if run.dataset != "birds" and run.state == "finished")
    (error,) = show("compare", runs=f"{runs[0]},{other}").error
    assert other in error.value.replace("\\", "")
