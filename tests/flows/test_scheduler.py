"""The scheduler with a real Prefect server: schedules run, one waits for the other, kills cost nothing."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from flows.process_identity import ProcessIdentity
from flows.scheduling import add_schedule, pause, run_now
from tests.app.studio import eventually
from tests.flows.scheduling_tools import AUTH, ByItself, by_itself
from tests.retraining.test_retrain import CLASSES, SETTINGS, grow
from tests.texts import mentions
from tests.tiny import write_tiny
from workflows.data.importing import add_dataset
from workflows.pipeline import create_run, run_pipeline
from workflows.registry.models import register
from workflows.requests import RetrainSettings, TrainRequest
from workflows.state import State
from workflows.store.schedules import ScheduledRun
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


def newest(store: Store) -> ScheduledRun | None:
    return next(iter(store.schedules.scheduled_runs()), None)


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
    pause(store, schedule)  # it has shown that it runs
    second = run_now(store, schedule)
    eventually(lambda: store.schedules.scheduled_run(second.id).note.startswith("waiting for the retraining of digits"))
    assert store.schedules.scheduled_run(second.id).state == State.PENDING
    eventually(lambda: store.schedules.scheduled_run(second.id).state == State.FINISHED, WAIT_SECONDS)
    first = store.schedules.scheduled_runs()[1]
    assert mentions(first.trigger, "schedule", 10)
    decisions = {one.decision_id: one for one in store.models.decisions("digits")}
    assert decisions[first.decision_id].outcome in ("kept", "promoted")
    assert decisions[second.decision_id].trigger == "by hand"
    after = store.schedules.get(schedule.id)
    assert after.last_fired_at is not None and after.last_outcome == store.schedules.scheduled_run(second.id).note
    states = flow_run_states(running)
    assert {state for _, state in states} == {"Completed"}, states


def test_prefect_keeps_no_times_also_not_those_of_an_earlier_version(store: Store, running: ByItself) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    schedule = add_schedule(store, "digits", every_seconds=86_400)
    eventually(lambda: store.schedules.get(schedule.id).deployment_id, WAIT_SECONDS)
    running.end()
    running.start_server()
    times = [DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(hours=1)), active=True)]
    with temporary_settings({PREFECT_API_URL: running.url, PREFECT_API_AUTH_STRING: AUTH}):
        with get_client(sync_client=True) as client:
            deployment = UUID(store.schedules.get(schedule.id).deployment_id)
            there = client.read_deployment(deployment)
            assert there.schedules == []
            client.create_deployment(
                flow_id=there.flow_id, name=there.name, tags=there.tags, schedules=times, version="x"
            )
            assert len(client.read_deployment(deployment).schedules) == 1
        running.start_scheduler()
        with get_client(sync_client=True) as client:
            eventually(lambda: client.read_deployment(deployment).schedules == [], WAIT_SECONDS)


def test_whatever_is_killed_the_retraining_goes_on_and_nothing_runs_for_ever(store: Store, running: ByItself) -> None:
    schedule = add_schedule(store, "digits", on_new_images=100, settings=LONG)

    def trains() -> bool:
        scheduled = newest(store)
        return bool(scheduled and scheduled.state == "running" and any(r.state == "running" for r in store.runs.list()))

    eventually(trains, WAIT_SECONDS)
    scheduled = newest(store)
    assert scheduled is not None and scheduled.process and mentions(scheduled.trigger, 120, "digits v2")
    for process in (running.scheduler, running.server):
        assert process is not None
        process.kill()
        process.wait()
    os.killpg(ProcessIdentity.parse(scheduled.process).pid, signal.SIGKILL)
    running.start_server()
    running.start_scheduler()
    eventually(lambda: store.schedules.scheduled_run(scheduled.id).state == State.FINISHED, WAIT_SECONDS)
    done = store.schedules.scheduled_run(scheduled.id)
    assert done.attempts == 2
    decision = store.models.decision(scheduled.decision_id)
    assert decision is not None and done.note.startswith(decision.outcome)
    challengers = [run for run in store.runs.list() if run.run_id == decision.challenger_run]
    assert len(store.runs.list()) == 2 and challengers[0].state == "finished"  # resumed, not trained again
    eventually(lambda: sorted({state for _, state in flow_run_states(running)}) == ["Completed", "Crashed"])
    assert store.schedules.get(schedule.id).last_outcome == done.note
    assert len(store.schedules.scheduled_runs()) == 1  # not again for the same images
