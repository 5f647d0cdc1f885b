"""Without test images every page and verb names the validation images that judged, warns, and offers the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import app.client as clients
from tests.app.homes import copy_run
from tests.app.pages import show, sound, words
from tests.once import made_once
from tests.processes import fieldguide
from tests.tiny import train_tiny
from workflows.data.audit.findings import counts_in_words
from workflows.data.resplit import resplit
from workflows.registry.models import register
from workflows.retraining.plan import RetrainSettings, plan_retraining
from workflows.retraining.retrain import retrain
from workflows.store.store import Store
from workflows.targets.judged import (
    NO_TEST_IMAGES,
    OPTIMISTIC,
    OPTIMISTIC_COMPARISON,
    OPTIMISTIC_RUNS,
    Judged,
    judged_by,
)

MODEL = "digits"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A home whose data set has no test images, with a run that is registered as a model."""

    def make(folder: Path) -> Path:
        run = train_tiny(folder / "home", tiny_source, split=(80, 20, 0), epochs=1)
        register(run.store, MODEL, run.run_id, author="ada")
        return run.store.home

    return made_once(tmp_path_factory, "untested", make)


def judged_in(store: Store) -> Judged:
    found = judged_by(store.models.versions(MODEL)[0].metrics)
    assert found is not None and found.split == "val" and found.interval is not None
    return found


def warned(test: AppTest, store: Store, key: str) -> None:
    """Assert that a page names the images that judged, with the interval, warns, and offers the way out."""
    judged = judged_in(store)
    text = words(test)
    assert judged.counted in text and f"{100 * judged.interval[0]:.1f} to" in text  # type: ignore[index]
    assert OPTIMISTIC in text
    assert any(button.key == f"set-aside-{key}" for button in test.button)


def test_the_pages_of_a_run_name_the_images_that_judged_it(store: Store) -> None:
    run = store.runs.list()[0].run_id
    warned(show("run", run=run), store, "run")
    warned(show("evaluation", run=run, step="val"), store, "evaluation")
    warned(show("models", model=MODEL), store, "champion")
    warned(show("predict", run=run), store, "predict")


def test_tables_name_them_too_and_lack_no_figure(store: Store) -> None:
    judged = judged_in(store)
    (model,) = show("models").dataframe[0].value.to_dict("records")
    (version,) = show("models", model=MODEL).dataframe[0].value.to_dict("records")
    for row in (model, version):
        assert row["Top-1"] == f"{100 * judged.top1:.1f} %"
        assert row["Judged on"] == judged.counted and "to" in row["95 % interval"]
    (run,) = show("home").dataframe[0].value.to_dict("records")
    assert run["Accuracy"] == pytest.approx(100 * judged.top1)
    assert run["Judged on"] == judged.counted and "to" in run["95 % interval"]


def test_home_counts_all_findings_remarks_included(store: Store) -> None:
    report = clients.client().datasets.audit("tiny")
    assert report is not None
    expected = counts_in_words(report.counts())
    (brief,) = clients.client().attention.datasets()
    assert brief.audited == expected and len(brief.findings or ()) == len(report.errors) + len(report.warnings)
    assert show("home").dataframe[-1].value["Findings"].tolist() == [expected or "none"]
    assert counts_in_words({"error": 1, "warning": 0, "info": 2}) == "1 error, 2 remarks"


def test_the_workflow_page_warns_before_the_training(store: Store) -> None:
    test = show("workflow", dataset="tiny")
    assert NO_TEST_IMAGES in words(test)
    test = sound(test.button(key="set-aside-train").click().run())
    planned = clients.client().datasets.plan_resplit("tiny", (0.7, 0.15, 0.15))
    assert int({metric.label: metric.value for metric in test.metric}["test"]) == planned.totals()["test"] > 0
    clients.client().datasets.carry_out_resplit(planned)
    assert NO_TEST_IMAGES not in words(show("workflow", dataset="tiny"))


def test_once_there_are_test_images_the_way_out_is_another_training(store: Store) -> None:
    resplit(store, "tiny")
    test = show("run", run=store.runs.list()[0].run_id)
    keys = {button.key for button in test.button}
    assert "again-run" in keys and "set-aside-run" not in keys


def test_a_comparison_on_validation_images_says_so(store: Store) -> None:
    run = store.runs.list()[0].run_id
    again = copy_run(store, run)
    test = show("compare", runs=f"{run},{again}")
    assert OPTIMISTIC_RUNS in words(test) and judged_in(store).counted in words(test)


def test_a_decision_on_frozen_validation_images_says_so(store: Store) -> None:
    plan = plan_retraining(store, MODEL, RetrainSettings())
    assert plan.judged_on == "val" and set(plan.test_images["split"]) == {"val"}
    decision = retrain(store, MODEL, "a test", RetrainSettings(min_changes=0, epochs=1, device="cpu"))
    images = f"{len(plan.test_images)} validation images"
    assert images in decision.reason and OPTIMISTIC_COMPARISON in decision.reason
    assert "test images" not in decision.reason.replace(OPTIMISTIC_COMPARISON, "")
    assert decision.document["decision"]["comparison"]["split"] == "val"
    report = (store.decision_folder(decision.decision_id) / "report.html").read_text(encoding="utf-8")
    assert f"On the same {images}" in report and "The test images were frozen" not in report


def test_the_verbs_name_them_in_json_and_in_words(written: Path) -> None:
    (listed,) = fieldguide(written, "runs", "list", "--json").document
    assert listed["test_top1"] is None
    assert listed["judged"]["split"] == "val" and listed["judged"]["chose_checkpoint"] is True
    shown = fieldguide(written, "models", "show", MODEL, "--json").document
    assert shown["judged"] == listed["judged"]
    result = fieldguide(written, "runs", "show", "latest", "--json").document["result"]
    assert result["judged"] == listed["judged"]
    text = " ".join(fieldguide(written, "models", "show", MODEL).stdout.split())
    assert OPTIMISTIC in text and "fieldguide dataset resplit tiny" in text
