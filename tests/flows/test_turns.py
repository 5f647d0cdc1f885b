"""One training at a time on the CPU, whoever ordered it: the runner, a retraining, a tuning."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from flows.background_jobs import BackgroundJob
from tests.app.studio import eventually
from tests.texts import mentions
from tests.tiny import train_tiny
from workflows.registry.models import register

QUICK = {"weights": "none", "size": 32, "device": "cpu"}
LONG = {**QUICK, "epochs": 3000}
PATIENCE_SECONDS = 240.0


@pytest.fixture
def model(client: Client, tiny_source: Path) -> str:
    """The model `tiny` of the data set `tiny`."""
    run = train_tiny(client.store.home, tiny_source, epochs=1)
    register(client.store, "tiny", run.run_id)
    return "tiny"


@pytest.fixture
def ended(client: Client) -> Iterator[list[BackgroundJob]]:
    """Jobs that are stopped after the test."""
    begun: list[BackgroundJob] = []
    yield begun
    jobs = client.models.jobs
    for job in begun:
        found = jobs.find(job.id)
        assert found is not None
        if jobs.state(found).alive:
            jobs.stop(found)
        eventually(lambda found=found: not jobs.state(found).alive)  # type: ignore[misc]


def progress_text(client: Client, job: BackgroundJob) -> str:
    progress = client.models.jobs.progress(job)
    return progress.text if progress else ""


def until(client: Client, true: Any, job: BackgroundJob) -> None:
    eventually(true, PATIENCE_SECONDS, what=f"{progress_text(client, job)} {client.models.jobs.log_tail(job, 40)}")


@pytest.mark.slow
def test_a_retraining_waits_for_the_runners_training(
    client: Client, runner: subprocess.Popen[bytes], model: str, ended: list[BackgroundJob]
) -> None:
    run_id = client.studio.start_training({**LONG, "dataset": "tiny"})
    eventually(lambda: len(client.store.runs.steps(run_id)) > 0)
    job = client.models.retrain(model, {"min_changes": 0, "epochs": 1, "device": "cpu"})
    ended.append(job)
    until(client, lambda: mentions(progress_text(client, job), "waiting for", f"held by run {run_id}"), job)
    assert client.store.runs.get(run_id).state == "running"
    assert client.models.jobs.state(job) == "running"
    client.studio.cancel(run_id)
    until(client, lambda: client.models.jobs.outcome(job), job)
    assert client.models.jobs.outcome(job) == {"subject": job.subject}  # it holds the device just once
    assert client.models.decision(job.subject).challenger is not None


@pytest.mark.slow
def test_a_training_comes_between_the_trials_of_a_tuning(
    client: Client, runner: subprocess.Popen[bytes], model: str, ended: list[BackgroundJob]
) -> None:
    request = {**QUICK, "dataset": "tiny", "trials": 400, "epochs": 60}
    job = client.tuning.begin(request)
    ended.append(job)
    until(client, lambda: progress_text(client, job).startswith("trial"), job)
    run_id = client.studio.start_training({**QUICK, "dataset": "tiny", "epochs": 1})
    seen: set[str] = set()

    def is_over() -> bool:
        progress = client.studio.progress(run_id)
        seen.add(progress.text if progress else "")
        return client.store.runs.get(run_id).state == "finished"

    until(client, is_over, job)
    assert any(mentions(text, "waiting for", "held by run tiny") for text in seen)
    assert client.models.jobs.outcome(job) is None  # the search goes on
