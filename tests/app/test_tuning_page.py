"""The page Tuning: studies as they grow, what came of them, beginning one beside the page."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from optuna.trial import TrialState

from app.client.tuning import Tunings
from app.words import percent
from tests.app.homes import TRIAL_VALUES, add_trial, write_tuning
from tests.app.pages import show, sound, words
from tests.app.studio import eventually
from tests.processes import ROOT, environment
from tests.texts import mentions
from workflows.errors import RunError, UsageError
from workflows.graph.workflow import loads
from workflows.state import State
from workflows.store.store import Store

page = partial(show, "tuning")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A store with a study of seven complete trials and one that was ended early."""
    home = tmp_path_factory.mktemp("tuning") / "home"
    write_tuning(home, tiny_source)
    return home


def test_what_the_trials_found(store: Store) -> None:
    tunings = Tunings(store)
    (study_id,) = tunings.ids()
    trials = tunings.trials(study_id)
    assert trials is tunings.trials(study_id)  # nothing new: nothing is read or computed anew
    assert (len(trials.table), len(trials.complete), trials.best, trials.start) == (8, 7, max(TRIAL_VALUES), 0)
    assert list(trials.importances) == ["dropout"]  # the only thing that varied
    assert trials.front["value"].is_monotonic_increasing and trials.front["milliseconds"].is_monotonic_increasing
    assert trials.front["value"].max() == max(TRIAL_VALUES)
    add_trial(tunings.get(study_id), 8, TrialState.COMPLETE, 0.95)
    assert tunings.trials(study_id).best == 0.95


def test_a_study_is_shown_and_its_best_workflow_can_be_kept(store: Store) -> None:
    tunings = Tunings(store)
    (study_id,) = tunings.ids()
    (row,) = page().dataframe[0].value.to_dict("records")
    assert (row["Tuning"], row["State"], row["Budget"]) == (study_id, "not finished", "12 trials")
    test = page(study=study_id)
    assert mentions(words(test), "8 of 12 trials", "7 finished", "1 ended early")
    assert "90.0 %" in words(test)
    table = test.dataframe[0].value
    assert table["Trial"].tolist() == list(range(8, 0, -1))
    assert table["State"].value_counts().to_dict() == {"finished": 7, "ended early": 1}
    workflow = loads(tunings.workflow_yaml(study_id, 5))
    assert workflow == tunings.workflow(study_id, 5)
    assert workflow.model.dropout == pytest.approx(0.45)
    assert workflow.dataset.name == "tiny"
    with pytest.raises(RunError, match="no trial 100"):
        tunings.workflow(study_id, 99)
    assert "'never'" in words(page(study="never"))


def test_what_a_tuning_needs_is_said(store: Store) -> None:
    tunings = Tunings(store)
    with pytest.raises(UsageError, match="budget"):
        tunings.begin({"dataset": "tiny"})
    with pytest.raises(UsageError, match="trials"):
        tunings.begin({"dataset": "tiny", "trials": 0})
    assert tunings.beginning() == []


@pytest.mark.slow
def test_a_tuning_runs_beside_the_page_and_tests_its_winner_once(store: Store) -> None:
    test = page()
    test.number_input(key="tune-trials").set_value(1)
    test.number_input(key="tune-size").set_value(32)
    test.number_input(key="tune-epochs").set_value(2)
    test.selectbox(key="tune-weights").select("none")
    test.button(key="tune-go").click()
    test = sound(test.run())
    tunings = Tunings(store)
    (job,) = tunings.jobs.all("tune")

    def over() -> bool:
        found = tunings.jobs.find(job.id)
        return found is not None and not tunings.jobs.state(found).alive

    eventually(over, 240)
    assert tunings.jobs.outcome(job) is not None, tunings.jobs.log_tail(job)
    study_id = tunings.ids()[0]
    assert tunings.jobs.outcome(job) == {"subject": study_id}
    assert tunings.state(study_id) == State.FINISHED
    result = tunings.get(study_id).result()
    assert result is not None and result["metrics"]["test"]["support"] > 0
    test = page(study=study_id)
    assert mentions(words(test), percent(result["metrics"]["test"]["top1"]), "test images")
    assert [metric.label for metric in test.metric] == ["Best on validation", "Starting workflow"]
    assert test.button(key="study-run")


def test_a_tuning_that_cannot_begin_says_why_where_one_looks(store: Store) -> None:
    tunings = Tunings(store)
    job = tunings.begin({"dataset": "nothing-of-this-name", "trials": 1})
    eventually(lambda: tunings.jobs.outcome(job) is not None, 120, "the job did not end")
    assert "nothing-of-this-name" in words(page())


def test_neither_page_brings_torch_into_the_web_process(home: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; import app.client.models, app.client.tuning; "
        "pages = ['app/views/models/page.py', 'app/views/tuning/page.py']; "
        "assert not any(AppTest.from_file(page, default_timeout=60).run().exception for page in pages); "
        "sys.exit(bool({'torch', 'ultralytics', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(home), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
