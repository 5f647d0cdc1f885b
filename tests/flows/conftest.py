"""One Prefect server for all tests of flows: starting it takes seconds; a runner whose studio is the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from flows.process_identity import ProcessIdentity
from flows.runtime import prefect_api
from tests.processes import environment


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect API that flows of this process use."""
    with prefect_api() as url:
        yield url


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "home")


@pytest.fixture
def runner(client: Client) -> Iterator[subprocess.Popen[bytes]]:
    """A runner without Prefect, whose studio is this test."""
    command = [sys.executable, "-P", "-m", "flows.runner", "--studio", str(ProcessIdentity.current())]
    process = subprocess.Popen(command, env=environment(client.store.home), stdin=subprocess.DEVNULL)
    yield process
    process.terminate()
    assert process.wait(timeout=60) == 0
