"""The flow `train`: walks the stages as Prefect tasks, takes over what it may, says how runs end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.flows import load_flow_from_entrypoint

from flows.local import execute_run, train_now
from tests.photos import digit_folders
from tests.processes import ROOT, environment
from workflows.errors import RunCancelled, SourceError
from workflows.pipeline import create_run, planned_steps
from workflows.requests import TrainRequest
from workflows.store.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digit_folders(tmp_path_factory.mktemp("source") / "digits")


def request(photos: Path, **more: Any) -> TrainRequest:
    asked = {"size": 32, "weights": "none", "device": "cpu", "seed": 0, "epochs": 1, **more}
    return TrainRequest.model_validate({"source": str(photos), **asked})


@pytest.fixture(scope="module")
def first(store: Store, photos: Path, prefect_server: str) -> dict[str, Any]:
    """The result of a whole run."""
    return train_now(store, request(photos))


def test_a_run_is_finished_and_known_to_prefect(store: Store, first: dict[str, Any]) -> None:
    record = store.runs.get(first["run_id"])
    assert (record.state, record.dataset, record.version) == ("finished", "digits", 1)
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(record.flow_run_id)
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
    assert flow_run.state_name == "Completed"
    assert {task.name.split(" · ")[0] for task in tasks} == {step.title for step in planned_steps(None)}
    assert all(" · " in task.name and task.state_name == "Completed" for task in tasks)


def test_progress_and_result_stand_in_prefects_ui(store: Store, first: dict[str, Any]) -> None:
    record = store.runs.get(first["run_id"])
    with get_client(sync_client=True) as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[record.flow_run_id]))
        artifacts = client.read_artifacts(artifact_filter=of_run)
    kinds = {artifact.type for artifact in artifacts}
    assert kinds >= {"progress", "markdown", "table"}
    text = next(a.data for a in artifacts if a.type == "markdown")
    assert first["run_id"] in text and "report.html" in text
    bars = [a for a in artifacts if a.type == "progress"]
    assert all(bar.data == 100.0 for bar in bars), [(bar.description, bar.data) for bar in bars]


def test_a_second_run_takes_over_what_depends_on_the_same(store: Store, photos: Path, first: dict[str, Any]) -> None:
    second = train_now(store, request(photos, epochs=2))
    third = train_now(store, request(photos, epochs=1, seed=1))
    assert second["dataset"] == third["dataset"] == first["dataset"]
    folder = store.run_folder(third["run_id"]).path / "stages"
    assert '"cached": true' in (folder / "dataset.json").read_text()
    assert '"cached": true' in (folder / "decoding.json").read_text()
    assert '"cached"' not in (folder / "training.json").read_text()
    record = store.runs.get(third["run_id"])
    assert (record.dataset, record.version) == ("digits", 1)


def test_a_changed_folder_is_imported_again(store: Store, tmp_path: Path) -> None:
    photos = digit_folders(tmp_path / "changing")
    before = train_now(store, request(photos))
    (photos / "0").joinpath(sorted(p.name for p in (photos / "0").iterdir())[0]).unlink()
    after = train_now(store, request(photos))
    assert after["dataset"]["images"] == before["dataset"]["images"] - 1
    assert after["dataset"]["version"] == 2


def test_an_error_is_raised_as_it_was_and_recorded(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = create_run(store, request(tmp_path / "empty"))
    with pytest.raises(SourceError):
        execute_run(store, run.run_id)
    record = store.runs.get(run.run_id)
    assert record.state == "failed"
    assert record.error


def test_cancelling_keeps_the_checkpoint_and_resuming_ends_like_an_uninterrupted_run(
    store: Store, photos: Path, first: dict[str, Any]
) -> None:
    run = create_run(store, request(photos, epochs=3))
    seen: list[str] = []

    def cancel_in_epoch_2(stage: str, done: int, total: int, text: str = "") -> None:
        if not seen and len(store.runs.steps(run.run_id)):
            seen.append(stage)
            store.runs.request_cancel(run.run_id)

    with pytest.raises(RunCancelled) as cancelled:
        execute_run(store, run.run_id, cancel_in_epoch_2)
    assert cancelled.value.exit_code == 1
    record = store.runs.get(run.run_id)
    assert record.state == "cancelled"
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(record.flow_run_id).state_name == "Cancelled"
    resumed = execute_run(store, run.run_id)
    whole = train_now(store, request(photos, epochs=3))
    assert resumed.metrics == whole["metrics"]
    assert sorted(set(store.runs.steps(run.run_id)["step"])) == [1, 2, 3]


def test_ctrl_c_stops_at_the_next_batch(store: Store, photos: Path, first: dict[str, Any]) -> None:
    run = create_run(store, request(photos, epochs=200))
    told: list[str] = []
    before = signal.getsignal(signal.SIGINT)

    def press(stage: str, done: int, total: int, text: str = "") -> None:
        if not told and len(store.runs.steps(run.run_id)):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(RunCancelled) as stopped:
        execute_run(store, run.run_id, press, lambda: told.append("stopping"))
    assert stopped.value.exit_code == 130
    assert told == ["stopping"]
    assert store.runs.get(run.run_id).state == "cancelled"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_gives_its_result_again(store: Store, first: dict[str, Any]) -> None:
    assert execute_run(store, first["run_id"]).document() == first


def test_it_runs_outside_the_main_thread(store: Store, photos: Path, first: dict[str, Any]) -> None:
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(train_now(store, request(photos))))
    thread.start()
    thread.join()
    assert found and found[0]["state"] == "finished"


SERVER_DIES = """
import os, signal, sys, flows.runtime as runtime
from flows.local import train_now
from workflows.requests import TrainRequest
from workflows.store.store import Store

servers = []
start = runtime.EmbeddedServer._start
runtime.EmbeddedServer._start = lambda self: servers.append(start(self)) or servers[-1]
store = Store()

def kill_it(stage, done, total, text=""):
    if stage == "train" and len(servers) == 1:
        servers.append(None)
        servers[0].kill()

request = TrainRequest(source=sys.argv[1], size=32, weights="none", device="cpu", epochs=2)
result = train_now(store, request, kill_it)
print(len(servers), result["state"], store.runs.get(result["run_id"]).state)
"""


def test_ctrl_c_before_the_run_has_begun_cancels_it(
    store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(store, request(photos))

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.local._import_slowly", interrupted)
    with pytest.raises(RunCancelled) as stopped:
        execute_run(store, run.run_id)
    assert stopped.value.exit_code == 130
    assert store.runs.get(run.run_id).state == "cancelled"


@pytest.mark.slow  # Prefect tries long before it gives up
def test_a_training_survives_the_death_of_its_server(tmp_path: Path, photos: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVER_DIES, str(photos)],
        env=environment(tmp_path / "home", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-3:] == ["2", "finished", "finished"]


def test_the_entrypoint_loads_for_deployments() -> None:
    loaded = load_flow_from_entrypoint(f"{ROOT}/flows/training.py:train", use_placeholder_flow=False)
    assert loaded.name == "train"
    fields = loaded.parameters.properties
    assert {"request", "run_id"} <= set(fields)
