"""The scheduler with a real Prefect server: schedules fire, one waits for the other, kills cost nothing."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.leash import Mark
from flows.scheduling import add_schedule, pause, run_now
from tests.app.studio import eventually
from tests.flows.scheduling_tools import ByItself, by_itself
from tests.retraining.test_retrain import CLASSES, SETTINGS, grow
from tests.tiny import write_tiny
from workflows.data.importing import add_dataset
from workflows.pipeline import TrainRequest, create_run, run_pipeline
from workflows.registry.models import register
from workflows.retraining.plan import RetrainSettings
from workflows.store.schedules import Firing
from workflows.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WAIT_SECONDS = 500.0
LONG = RetrainSettings(min_changes=10, epochs=20, device="cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the model `digits`, and images that are new to it."""
    folder = tmp_path_factory.mktemp("prepared")
    digits = write_tiny(folder / "all", CLASSES, per_class=90)
    store = Store(folder / "home")
    grow(digits, folder / "photos", 0, 60)
    add_dataset(store, "digits", folder / "photos")
    run = create_run(store, TrainRequest(dataset="digits", **{**SETTINGS, "epochs": 1}))
    run_pipeline(store, run.run_id)
    register(store, "digits", run.run_id)
    grow(digits, folder / "photos", 60, 90)
    add_dataset(store, "digits", folder / "photos")
    return folder / "home"


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Store:
    shutil.copytree(prepared, tmp_path / "home")
    return Store(tmp_path / "home")


@pytest.fixture
def running(store: Store) -> Iterator[ByItself]:
    with by_itself(store.home) as both:
        yield both


def newest(store: Store) -> Firing | None:
    return next(iter(store.schedules.firings()), None)


def flow_run_states(running: ByItself) -> list[tuple[str, str]]:
    """Flow and state of all flow runs that have begun, oldest first."""
    import httpx

    auth = httpx.BasicAuth("fieldguide", "for-this-test-only")
    with httpx.Client(base_url=running.url, auth=auth, trust_env=False) as client:
        token = client.get("/csrf-token", params={"client": "test"}).json()["token"]
        headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
        found = client.post("/flow_runs/filter", json={"sort": "START_TIME_ASC"}, headers=headers).json()
    return [(run["name"], run["state_name"]) for run in found if run["state_name"] not in ("Scheduled", "Late")]


def test_a_schedule_fires_and_one_by_hand_waits_for_the_slot(store: Store, running: ByItself) -> None:
    schedule = add_schedule(store, "digits", every_seconds=10, settings=LONG)
    eventually(lambda: (f := newest(store)) and f.state == "running", WAIT_SECONDS)
    pause(store, schedule)  # it has shown that it fires
    second = run_now(store, schedule)
    eventually(lambda: store.schedules.firing(second.id).note.startswith("waiting for the retraining of digits"))
    assert store.schedules.firing(second.id).state == "waiting"
    eventually(lambda: store.schedules.firing(second.id).state == "done", WAIT_SECONDS)
    first = store.schedules.firings()[1]
    assert first.trigger == "schedule, every 10 seconds"
    decisions = {one.decision_id: one for one in store.models.decisions("digits")}
    assert decisions[first.decision_id].outcome in ("kept", "promoted")
    assert decisions[second.decision_id].trigger == "by hand"
    after = store.schedules.get(schedule.id)
    assert after.last_fired_at is not None and after.last_outcome == store.schedules.firing(second.id).note
    states = flow_run_states(running)
    assert {state for _, state in states} == {"Completed"}, states


def test_whatever_is_killed_the_retraining_goes_on_and_nothing_runs_for_ever(store: Store, running: ByItself) -> None:
    schedule = add_schedule(store, "digits", on_new_images=100, settings=LONG)

    def trains() -> bool:
        firing = newest(store)
        return bool(firing and firing.state == "running" and any(r.state == "running" for r in store.runs.list()))

    eventually(trains, WAIT_SECONDS)
    firing = newest(store)
    assert firing is not None and firing.process and firing.trigger == "120 new images in digits v2"
    for process in (running.scheduler, running.server):
        assert process is not None
        process.kill()
        process.wait()
    os.killpg(Mark.parse(firing.process).pid, signal.SIGKILL)
    running.start_server()
    running.start_scheduler()
    eventually(lambda: store.schedules.firing(firing.id).state == "done", WAIT_SECONDS)
    done = store.schedules.firing(firing.id)
    assert done.attempts == 2
    decision = store.models.decision(firing.decision_id)
    assert decision is not None and done.note.startswith(decision.outcome)
    challengers = [run for run in store.runs.list() if run.run_id == decision.challenger_run]
    assert len(store.runs.list()) == 2 and challengers[0].state == "finished"  # resumed, not trained again
    eventually(lambda: sorted({state for _, state in flow_run_states(running)}) == ["Completed", "Crashed"])
    assert store.schedules.get(schedule.id).last_outcome == done.note
    assert len(store.schedules.firings()) == 1  # not again for the same images
