"""Tuning for real: never below its start, never on the test split, killed and gone on with, shared by two processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.programs import needed_program
from tests.tiny import write_tiny
from workflows.data.catalog import get_version
from workflows.data.edits import move
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError, RunError, UsageError
from workflows.requests import TuneRequest
from workflows.store.store import Store
from workflows.tuning.study import open_tuning, trials_table
from workflows.tuning.tune import begin_tuning, refit, work

WORK = "import sys; from workflows.store.store import Store; from workflows.tuning.study import open_tuning; \
from workflows.tuning.tune import work; work(open_tuning(Store(), sys.argv[1]), worker=int(sys.argv[2]))"
DEADLINE_SECONDS = 240


@pytest.fixture
def store(home: Path, tiny_source: Path) -> Store:
    store = Store()
    add_dataset(store, "tiny", tiny_source)
    return store


def test_without_test_images_nothing_would_judge_a_winner_that_learnt_from_validation(store: Store) -> None:
    labelled = get_version(store, "tiny").labelled()
    move(store, "tiny", dict.fromkeys(labelled.loc[labelled["split"] == "test", "image_id"], "train"))
    with pytest.raises(DatasetError, match="no test images"):
        begin_tuning(store, TuneRequest(dataset="tiny", trials=1, weights="none", refit="train+val"))


def request(trials: int, epochs: int = 3) -> TuneRequest:
    return TuneRequest(dataset="tiny", trials=trials, weights="none", size=32, epochs=epochs, device="cpu")


def worker(home: Path, study_id: str, number: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start a process that works on a study."""
    settings = {**os.environ, "FIELDGUIDE_HOME": str(home), **environment}
    return subprocess.Popen([sys.executable, "-c", WORK, study_id, str(number)], env=settings)


def test_one_trial_is_the_recommendation_judged_on_validation_alone(store: Store) -> None:
    tuning = begin_tuning(store, request(trials=1, epochs=2))
    work(tuning)
    (trial,) = trials_table(tuning.study()).to_dict("records")
    assert trial["state"] == "complete" and tuning.study().best_trial.user_attrs["start"]
    run = store.runs.get(trial["run_id"])
    assert run.kind == "trial" and store.runs.list() == []
    assert trial["value"] == pytest.approx(store.runs.steps(run.run_id).query("name == 'val/top1'")["value"].max())
    assert not store.run_folder(run.run_id).evaluation.path.exists()  # nobody looked at the test split


@pytest.mark.slow
def test_it_starts_from_the_recommendation_and_tests_once(store: Store) -> None:
    tuning = begin_tuning(store, request(trials=3))
    work(tuning)
    table = trials_table(tuning.study())
    assert len(table) == 3 and set(table["state"]) <= {"complete", "pruned"}
    result = refit(tuning)
    assert result["start"]["trial"] == 0
    assert result["best"]["val_top1"] >= result["start"]["val_top1"]
    assert result["metrics"]["test"]["support"] > 0
    assert refit(tuning) == result  # not a second time
    for run_id in table["run_id"]:
        folder = store.run_folder(run_id)
        assert store.runs.get(run_id).kind == "trial"
        assert not folder.evaluation.path.exists()  # nobody looked at the test split
        assert not list(folder.path.rglob("*.safetensors"))
    assert [run.run_id for run in store.runs.list()] == [result["run_id"]]  # lists leave the trials out


@pytest.mark.slow
def test_the_winner_may_learn_from_validation_too_and_is_not_measured_there(store: Store) -> None:
    asked = request(trials=2, epochs=4)
    tuning = begin_tuning(store, asked.model_copy(update={"refit": "train+val"}))
    work(tuning)
    result = refit(tuning)
    records = pd.read_parquet(store.run_folder(result["run_id"]).records)
    before = get_version(store, "tiny").labelled()["split"].value_counts()
    assert records["split"].value_counts().to_dict() == {
        "train": before["train"] + before["val"],
        "test": before["test"],
    }
    winner = tuning.study().best_trial
    assert result["refit"]["on"] == "train+val" and result["refit"]["images"] == before["train"] + before["val"]
    assert result["refit"]["epochs"] == winner.user_attrs["best_epoch"] <= winner.params["epochs"]
    assert f"trial {winner.number + 1}" in result["refit"]["chosen"]
    low, high = result["metrics"]["test"]["top1_ci95"]
    assert low <= result["metrics"]["test"]["top1"] <= high
    run = store.runs.get(result["run_id"])
    assert run.result is not None
    training = run.result.training
    assert result["metrics"]["val"] is None and training.monitor is None and training.best_value is None
    assert training.best_step == training.epochs == result["refit"]["epochs"]  # the last weights, of a fixed time
    names = set(store.runs.steps(run.run_id)["name"])
    assert "train/loss" in names and not any(name.startswith("val/") for name in names)
    page = store.run_folder(run.run_id).report.read_text()
    assert "last epoch" in page and "best on validation" not in page


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_with_all_finished_trials(store: Store) -> None:
    tuning = begin_tuning(store, request(trials=5))
    process = worker(store.home, tuning.study_id, 0)
    try:
        until(lambda: len(finished(tuning.study_id, store)) >= 2 and running(tuning.study_id, store))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = finished(tuning.study_id, store)
    work(open_tuning(store, tuning.study_id))
    after = trials_table(tuning.study())
    assert after[after["number"].isin(before)]["state"].isin(["complete", "pruned"]).all()
    lost = after[after["state"] == "fail"]
    assert len(lost) == 1  # the trial at hand; its point was tried again
    again = after[after["number"] > lost["number"].iloc[0]]
    columns = [name for name in after.columns if name.startswith("param:")]
    assert (again[columns] == lost[columns].iloc[0]).all(axis=1).any()
    assert after["state"].isin(["complete", "pruned"]).sum() == 5
    assert not (after["state"] == "running").any()


def finished(study_id: str, store: Store) -> list[int]:
    table = trials_table(open_tuning(store, study_id).study())
    return table.loc[table["state"].isin(["complete", "pruned"]), "number"].tolist() if len(table) else []


def running(study_id: str, store: Store) -> bool:
    table = trials_table(open_tuning(store, study_id).study())
    return bool((table["state"] == "running").any())


def until(reached: object) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not reached():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.3)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL server of its own on a socket in a temporary folder; its URL."""
    programs = needed_program("initdb", "/usr/lib/postgresql/*/bin").parent
    data, sockets = tmp_path / "data", Path("/tmp") / f"fieldguide-pg-{os.getpid()}"
    sockets.mkdir(mode=0o777)
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:  # PostgreSQL refuses to run as root
        data.mkdir()
        for folder in (data, sockets):
            shutil.chown(folder, "postgres")
        for folder in data.parents:
            if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o011)
    run = {"check": True, "capture_output": True, "cwd": "/tmp"}
    subprocess.run([*as_user, str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres"], **run)  # type: ignore[call-overload]
    options = f"-k {sockets} -c listen_addresses="
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", options]
    subprocess.run([*control, "-l", str(sockets / "log"), "start"], **run)  # type: ignore[call-overload]
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={sockets}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
        shutil.rmtree(sockets)


@pytest.mark.slow
def test_two_processes_share_one_study_on_postgresql(
    home: Path, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDGUIDE_DATABASE_URL", postgres)
    store = Store()
    add_dataset(store, "tiny", write_tiny(tmp_path / "photos" / "tiny"))
    tuning = begin_tuning(store, request(trials=6))
    workers = [worker(home, tuning.study_id, number, FIELDGUIDE_DATABASE_URL=postgres) for number in range(2)]
    assert [process.wait(DEADLINE_SECONDS) for process in workers] == [0, 0]
    table = trials_table(tuning.study())
    assert len(table) in (6, 7)  # both may have begun the last one
    assert table["state"].isin(["complete", "pruned"]).all()
    assert table["run_id"].nunique() == len(table)
    assert len({store.runs.get(run_id).pid for run_id in table["run_id"]}) == 2  # both did some
    assert refit(tuning)["trials"] == len(table)


def test_what_can_not_be_tuned_is_said(store: Store) -> None:
    with pytest.raises(UsageError, match="no limit"):
        begin_tuning(store, TuneRequest(dataset="tiny", weights="none"))
    with pytest.raises(DatasetError, match="'unknown'"):
        begin_tuning(store, TuneRequest(dataset="unknown", trials=1))
    with pytest.raises(RunError, match="'latest'"):
        open_tuning(store, "latest")
