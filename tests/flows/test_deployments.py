"""`prefect.yaml` for real: a server, `prefect deploy --all`, and a worker that trains."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.scheduling_tools import ByItself
from tests.processes import ROOT, environment
from workflows.data.importing import add_dataset
from workflows.environment import PRIVATE
from workflows.store.store import Store

PREFECT = Path(sys.executable).with_name("prefect")
MODULES = {"train": "training", "retrain": "retraining", "tune": "tuning"}


@pytest.fixture
def server(home: Path) -> Iterator[ByItself]:
    """A Prefect server without the studio."""
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        found = ByItself(home, listener)
        try:
            found.start_server()
            yield found
        finally:
            found.end()


def prefect(server: ByItself, *words: str) -> str:
    """Run a command of Prefect's as a team does: in the folder of `prefect.yaml`, with a server of its own."""
    own = {"PREFECT_HOME": str(server.home / "prefect"), "OMP_NUM_THREADS": "1", **PRIVATE}
    settings = environment(server.home, **server.access(), **own)
    command = [str(PREFECT), "--no-prompt", *words]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_prefect_deploy_all_and_a_worker_trains(server: ByItself, tiny_source: Path) -> None:
    store = Store(server.home)
    add_dataset(store, "tiny", tiny_source)
    prefect(server, "work-pool", "create", "fieldguide", "--type", "process")
    prefect(server, "deploy", "--all")
    made = {one["name"]: one["entrypoint"] for one in json.loads(prefect(server, "deployment", "ls", "-o", "json"))}
    assert made == {name: f"flows/{module}.py:{name}" for name, module in MODULES.items()}
    request = {"dataset": "tiny", "weights": "none", "size": 32, "epochs": 1, "device": "cpu"}
    prefect(server, "deployment", "run", "train/train", "--param", f"request={json.dumps(request)}")
    prefect(server, "worker", "start", "--pool", "fieldguide", "--run-once")
    (run,) = store.runs.list()
    assert run.state == "finished" and run.flow_run_id is not None
