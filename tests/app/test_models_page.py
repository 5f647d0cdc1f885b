"""The page Models: what answers for a name, changing it, why it was changed, retraining it."""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.client.models import Models
from flows.background_jobs import BackgroundJob, BackgroundJobs
from tests.app.homes import write_decisions
from tests.app.pages import opened, show, sound, words
from tests.app.studio import eventually
from workflows.errors import ModelError, UsageError
from workflows.registry import models as registry
from workflows.requests import RetrainSettings
from workflows.state import State
from workflows.store.store import Store

page = partial(show, "models")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A store with the model `digits`: one version by hand, one that came of a retraining."""
    return write_decisions(tmp_path_factory.mktemp("models") / "home", tiny_source).home


def test_a_list_of_models_with_their_champions(store: Store) -> None:
    test = page()
    (row,) = test.dataframe[0].value.to_dict("records")
    champion = registry.champion(store, "digits")
    assert row["Model"] == "digits"
    assert row["Champion"] == f"v{champion.number} of 2"
    measured = champion.metrics["test"]
    assert row["Top-1"] == f"{100 * measured['top1']:.1f} %" and "to" in row["95 % interval"]
    assert row["Judged on"] == f"{measured['support']} test images"
    assert row["Trained on"] == f"{champion.dataset} v{champion.version}"


def test_promoting_and_rolling_back_ask_for_a_reason_and_are_logged(store: Store) -> None:
    other = 3 - registry.champion(store, "digits").number
    models = Models(store)
    with pytest.raises(UsageError, match="reason"):
        models.promote("digits", other, " ")
    assert models.evidence("digits", other).worse
    with pytest.raises(ModelError):
        models.promote("digits", other, "looks better")
    models.promote("digits", other, "looks better", accept_worse=True)
    test = page(model="digits")
    assert f"digits v{other}" in words(test)
    assert "looks better" in words(test)
    key = f"digits-{len(store.models.promotions('digits'))}"
    test.button(key=f"rollback-go-{key}").click()
    test = sound(test.run())
    assert any("reason" in error.value for error in test.error)
    assert registry.champion(store, "digits").number == other
    test.text_input(key=f"rollback-why-{key}").input("complaints")
    test.button(key=f"rollback-go-{key}").click()
    sound(test.run())
    assert registry.champion(store, "digits").number == 3 - other
    line = store.models.promotions("digits")[-1]
    assert (line.action, line.reason, bool(line.author)) == ("rollback", "complaints", True)
    log = page(model="digits", view="log").dataframe[0].value
    assert log["Why"].tolist()[:2] == ["complaints", "looks better"]


def test_registering_a_run_under_a_new_name_whatever_it_is_called(store: Store) -> None:
    run = store.models.versions("digits")[0].run_id
    with pytest.raises(UsageError):
        Models(store).register("<b>x</b>", run)
    test = page()
    test.selectbox(key="register-run").select(run)
    test = sound(test.run())
    test.text_input(key=f"register-name-{run}").input("second")
    test.text_input(key="register-why").input("# not a *heading* <b>")
    test.button(key="register-go").click()
    test = sound(test.run())
    assert registry.champion(store, "second").run_id == run
    assert test.query_params["model"] == "second"
    assert store.models.versions("second")[0].reason == "# not a *heading* <b>"


def test_a_version_is_handed_out_as_a_zip(store: Store) -> None:
    content = Models(store).archive("digits", 1)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        names = set(packed.namelist())
        weights = packed.read("digits-v1/model.safetensors")
    assert names == {"digits-v1/README.txt", "digits-v1/model.json", "digits-v1/model.safetensors"}
    assert weights == registry.weights_path(store, registry.get_model(store, "digits", 1)).read_bytes()


def test_decisions_with_everything_that_spoke_for_them(store: Store) -> None:
    nothing, judged = Models(store).decisions("digits")
    assert nothing.outcome == "unchanged"
    comparison = Models(store).comparison(judged)
    assert comparison is not None and comparison.images > 0
    assert Models(store).comparison(nothing) is None
    test = page(decision=judged.decision_id)
    assert test.query_params["model"] == "digits"
    assert judged.reason.split(";")[0][:20] in words(test)
    assert len(test.dataframe) == 3  # the log, the metrics, the classes
    assert b"<html" in (Models(store).report(judged.decision_id) or b"")
    assert "'never'" in words(page(model="digits", view="decisions", decision="never"))
    assert "'nobody'" in words(page(model="nobody"))


def test_the_form_asks_for_every_setting_and_keeps_to_its_bounds(store: Store) -> None:
    test = page(model="digits", view="retrain")
    numbers = {each.label: each for each in test.number_input}
    for name, field in RetrainSettings.model_fields.items():
        if name not in ("rules", "allow", "start_from", "device"):
            assert any(each.key == f"retrain-digits-{name}" for each in test.number_input), name
            assert test.number_input(key=f"retrain-digits-{name}").value == field.default
    assert test.selectbox(key="retrain-digits-start_from").value == "pretrained"
    assert numbers["Significance level"].value == 0.05
    with pytest.raises(UsageError, match="min_changes"):
        Models(store).retrain("digits", {"min_changes": -1})
    with pytest.raises(ModelError):
        Models(store).retrain("nobody", {})


@pytest.mark.slow
def test_retraining_runs_beside_the_page_and_its_outcome_is_shown(store: Store) -> None:
    models = Models(store)
    job = models.retrain("digits", {})  # nothing is new: done at once
    end_of(models.jobs, job.id)
    assert models.jobs.outcome(job) == {"subject": job.subject}, models.jobs.log_tail(job)
    assert models.decision(job.subject).outcome == "unchanged"
    assert models.decision(job.subject).trigger.endswith("in the studio")
    assert "Nothing to do" in words(page(model="digits", view="retrain"))


def test_jobs_show_their_state(store: Store) -> None:
    jobs = BackgroundJobs(store)
    assert jobs.all() == []
    job = _recorded(jobs)
    assert jobs.state(job) == "running"  # its process may still be starting
    dead = replace(job, process="1@1.0")
    jobs.write(dead)
    assert jobs.state(dead) == "interrupted"
    jobs.stop(dead)
    assert jobs.state(dead) == State.CANCELLED
    jobs.end(dead, {"error": "no memory", "hint": "close programs"})
    assert jobs.state(dead) == "failed"
    jobs.end(dead, {"subject": "x"})
    assert jobs.state(dead) == State.FINISHED
    assert jobs.all("retrain", "digits") == [dead]
    assert jobs.all("tune") == []


def _recorded(jobs: BackgroundJobs) -> BackgroundJob:
    job = BackgroundJob("one", "retrain", "digits", "d", {}, "ada", "2026-01-01T00:00:00+00:00", time.time())
    jobs.write(job)
    return job


def end_of(jobs: BackgroundJobs, job_id: str) -> None:
    """Wait until a job's process has ended."""

    def over() -> bool:
        found = jobs.find(job_id)
        return found is not None and not jobs.state(found).alive

    eventually(over, 180)


def test_an_empty_home_says_what_a_model_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home, monkeypatch):
        assert "no models yet" in words(page())
