"""The page Evaluation: its views at every moment, its addresses, its threshold, and where it leads."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import app.client as clients
from app.views.evaluation.images import errors_first
from tests.app.pages import VIEWS, fine, labels, leads_to, opened, show, show_fine, words
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.evaluation.thresholds import DEFAULT_THRESHOLD, threshold_for
from workflows.store.files import read_json, write_json
from workflows.store.store import Store

page = partial(show_fine, "evaluation")


def test_a_class_without_images_has_an_empty_row_and_the_means_name_it(store: Store, runs: list[str]) -> None:
    run = runs[1]
    folder = store.run_folder(run).evaluation
    frame, names = read_predictions(folder.predictions)
    write_predictions(folder.predictions, frame[frame["label"] != names[3]], names, 0.5)
    before = {"average_confidence": 0.123, "ece": 0.234, "log_loss": 1.5}
    metrics = read_json(folder.metrics)
    write_json(folder.metrics, {**metrics, "test": metrics["test"] | {"uncalibrated": before}})
    shown = page(run=run, step="test", view="classes")
    assert f"without {names[3]}" in words(shown)
    (table,) = (each.value for each in shown.dataframe if "f1" in each.value)
    row = table.set_index("class").loc[names[3]]
    assert row[["f1", "recall", "average_confidence"]].isna().all()
    assert row["recall interval"] == ""
    assert "23.4 %" in {metric.label: metric.delta for metric in shown.metric}["ECE"]
    assert "23.4 %" in words(page(run=run, step="test", view="confidence"))
    assert "after the training" in words(page(run=run, step="3", view="confidence"))


def test_a_threshold_is_chosen_saved_and_given_up(store: Store, runs: list[str]) -> None:
    run = runs[1]
    models = clients.client().models
    during = page(run=run, step="3", view="confidence")
    assert not [button for button in during.button if button.key == "threshold-save"]
    test = page(run=run, step="val", view="confidence")
    assert test.slider(key=f"threshold-{run}").value == pytest.approx(100 * DEFAULT_THRESHOLD)
    test.number_input(key="wanted").set_value(80.0).run()
    fine(test.button(key="use-threshold").click().run())
    refused = test.button(key="threshold-save").click().run()
    assert refused.error and models.threshold(run).is_default  # a reason is needed
    test.text_input(key=f"threshold-why-{run}-0").input("*one* in five")
    fine(test.button(key="threshold-save").click().run())
    saved = models.threshold(run)
    frame = clients.client().evaluation.evaluated(run, "val").frame
    assert saved.value == threshold_for(frame["confidence"], frame["correct"], 0.8)
    assert (saved.wanted, saved.chosen_on, saved.reason) == (0.8, "val", "*one* in five")
    assert {each.split for each in saved.judged} == {"val", "test"}
    assert test.button(key="threshold-save").disabled  # nothing new to save
    test.text_input(key=f"threshold-why-{run}-1").input("too strict")
    fine(test.button(key="threshold-default").click().run())
    assert models.threshold(run).is_default
    assert [line.is_default for line in models.thresholds(run)] == [True, False]


@pytest.mark.parametrize("view", ["images", "matrix", "classes", "confidence", "labels"])
@pytest.mark.parametrize("step", ["1", "4", "val", "test"])
def test_every_view_at_every_moment(store: Store, runs: list[str], view: str, step: str) -> None:
    page(run=runs[0], view=view, step=step)


def test_the_slider_drives_the_page_and_the_address(store: Store, runs: list[str]) -> None:
    test = page(run=runs[0])
    assert test.select_slider[0].value == 4  # the step whose weights were kept
    top1 = test.metric[0].value
    fine(test.select_slider[0].set_value(1).run())
    assert test.query_params["step"] in ("1", ["1"])
    expected = clients.client().evaluation.evaluated(runs[0], 1).metrics["top1"]
    assert test.metric[0].value == f"{100 * expected:.1f} %" != top1


def test_two_pages_at_different_epochs_do_not_disturb_each_other(store: Store, runs: list[str]) -> None:
    first, second = page(run=runs[0], step="1", view="classes"), page(run=runs[0], step="4", view="classes")
    fine(second.select_slider(key="evaluation-step").set_value(3).run())
    fine(first.run())
    for test, step in ((first, 1), (second, 3)):
        evaluated = clients.client().evaluation.evaluated(runs[0], step)
        assert test.select_slider(key="evaluation-step").value == step
        assert test.metric[0].value == f"{100 * evaluated.metrics['top1']:.1f} %"
        (table,) = (each.value for each in test.dataframe if "recall" in each.value)
        assert dict(zip(table["class"], table["recall"], strict=True)) == pytest.approx(
            dict(zip(evaluated.classes, 100 * evaluated.per_class["recall"], strict=True)), nan_ok=True
        )


def test_a_deep_link_opens_the_images_of_a_cell(store: Store, runs: list[str]) -> None:
    evaluated = clients.client().evaluation.evaluated(runs[0], 3)
    pair = evaluated.pairs.iloc[0]
    test = page(run=runs[0], step="3", cell=f"{pair['label']}→{pair['predicted']}")
    assert f"— {pair['count']} image" in words(test)
    assert test.select_slider[0].value == 3
    fine(next(button for button in test.button if button.label == "Close").click().run())
    assert "cell" not in test.query_params
    assert "Close" not in [button.label for button in test.button]


def test_a_deep_link_opens_a_class(store: Store, runs: list[str]) -> None:
    evaluated = clients.client().evaluation.evaluated(runs[0], 2)
    name = evaluated.classes[0]
    either = (evaluated.frame["label"] == name) | (evaluated.frame["predicted"] == name)
    assert f"— {either.sum()} image" in words(page(run=runs[0], step="2", class_=name))


def test_a_step_that_is_not_there_is_said(store: Store, runs: list[str]) -> None:
    assert "not recorded" in words(page(run=runs[0], step="77"))


def test_a_run_without_steps_says_so(store: Store) -> None:
    other = next(run.run_id for run in store.runs.list() if run.dataset != "birds")
    assert "not evaluated" in words(page(run=other))


def test_a_run_that_goes_on_is_followed(store: Store, runs: list[str]) -> None:
    store.runs.update(runs[1], state="running")
    assert "Training continues" in words(page(run=runs[1]))


def test_no_runs_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, monkeypatch):
        assert [button.label for button in page().button] == ["Import photos"]


def test_it_opens_with_all_mistakes_of_the_best_epoch_the_most_confident_first(store: Store, runs: list[str]) -> None:
    frame = clients.client().evaluation.evaluated(runs[0], 4).frame
    wrong = errors_first(frame[~frame["correct"]])
    test = page(run=runs[0])
    assert "Epoch 4 is the best" in words(test)
    assert f"{len(wrong)} mistakes, the most confident first" in words(test)
    assert len(wrong) < len(frame) and test.button_group(key="preview-of").value == "all"
    other = page(run=runs[0], step="2")
    assert "Epoch 2 is not the best" in words(other)
    fine(other.button(key="evaluation-best").click().run())
    assert other.select_slider[0].value == 4 and "Epoch 4 is the best" in words(other)
    fixed = page(run=runs[0], of="sample", show="All")
    assert f"{len(clients.client().evaluation.subject(runs[0]).preview)} images" in words(fixed)
    assert "same validation images after every epoch" in words(fixed)


def test_a_page_ends_with_the_next_step(store: Store, runs: list[str]) -> None:
    suspects = clients.client().evaluation.suspects(runs[0])
    assert f"Check {len(suspects)} suspected labels" in labels(page(run=runs[0]))
    store.confirmed_labels.add("birds", {suspects["image_id"][0]: suspects["label"][0]}, "ada")
    assert f"Check {len(suspects) - 1} suspected labels" in labels(page(run=runs[0]))
    assert f"Compare it with {runs[0]}" in labels(fine(show("run", run=runs[1])))
    assert leads_to(fine(show("run", run=runs[1])), "next-run-0") == "views/evaluation/page.py"


def test_the_web_process_holds_no_torch(store: Store, runs: list[str]) -> None:
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"test = AppTest.from_file({str(VIEWS / 'evaluation' / 'page.py')!r}, default_timeout=60)\n"
        f"test.query_params['run'] = {runs[0]!r}\ntest.query_params['view'] = 'matrix'\ntest.run()\n"
        "assert not test.exception\nassert test.metric\n"
        "assert not {'torch', 'ultralytics', 'prefect'} & set(sys.modules), 'too much was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
