"""One training at a time on the processor, whoever ordered it: the runner, a retraining, a tuning."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from flows.errands import STATES_AT_WORK, Errand
from tests.app.studio import eventually
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
def ended(client: Client) -> Iterator[list[Errand]]:
    """Errands that are stopped after the test."""
    begun: list[Errand] = []
    yield begun
    errands = client.models.errands
    for errand in begun:
        found = errands.find(errand.id)
        assert found is not None
        if errands.state(found) in STATES_AT_WORK:
            errands.stop(found)
        eventually(lambda found=found: errands.state(found) not in STATES_AT_WORK)  # type: ignore[misc]


def told(client: Client, errand: Errand) -> str:
    progress = client.models.errands.told(errand)
    return progress.text if progress else ""


def until(client: Client, true: Any, errand: Errand) -> None:
    eventually(true, PATIENCE_SECONDS, what=f"{told(client, errand)} {client.models.errands.last_words(errand, 40)}")


@pytest.mark.slow
def test_a_retraining_waits_for_the_runners_training(
    client: Client, runner: subprocess.Popen[bytes], model: str, ended: list[Errand]
) -> None:
    run_id = client.studio.start_training({**LONG, "dataset": "tiny"})
    eventually(lambda: len(client.store.runs.steps(run_id)) > 0)
    errand = client.models.retrain(model, {"min_changes": 0, "epochs": 1, "device": "cpu"})
    ended.append(errand)
    until(client, lambda: f"waiting for the processor: held by run {run_id}" in told(client, errand), errand)
    assert client.store.runs.get(run_id).state == "running"
    assert client.models.errands.state(errand) == "running"
    client.studio.cancel(run_id)
    until(client, lambda: client.models.errands.outcome(errand), errand)
    assert client.models.errands.outcome(errand) == {"subject": errand.subject}  # it holds the device just once
    assert client.models.decision(errand.subject).challenger is not None


@pytest.mark.slow
def test_a_training_comes_between_the_trials_of_a_tuning(
    client: Client, runner: subprocess.Popen[bytes], model: str, ended: list[Errand]
) -> None:
    request = {**QUICK, "dataset": "tiny", "trials": 400, "epochs": 60}
    errand = client.tuning.begin(request)
    ended.append(errand)
    until(client, lambda: told(client, errand).startswith("trial"), errand)
    run_id = client.studio.start_training({**QUICK, "dataset": "tiny", "epochs": 1})
    seen: set[str] = set()

    def is_over() -> bool:
        progress = client.studio.progress(run_id)
        seen.add(progress.text if progress else "")
        return client.store.runs.get(run_id).state == "finished"

    until(client, is_over, errand)
    assert any(text.startswith("waiting for the processor: held by run tiny") for text in seen)
    assert client.models.errands.outcome(errand) is None  # the search goes on
