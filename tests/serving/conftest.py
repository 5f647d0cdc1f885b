"""One server over a copy of the tiny run's store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.servers import Server, running
from tests.tiny import TrainedRun


@pytest.fixture(scope="package")
def served_home(tmp_path_factory: pytest.TempPathFactory, trained: TrainedRun) -> Path:
    """A copy of the tiny run's store: the server keeps embeddings in the run's folder."""
    return Path(shutil.copytree(trained.store.home, tmp_path_factory.mktemp("served") / "home"))


@pytest.fixture(scope="package")
def server(served_home: Path) -> Iterator[Server]:
    """The studio's inference server."""
    with running(served_home, "--device", "cpu") as started:
        yield started


@pytest.fixture
def web(server: Server) -> Iterator[httpx.Client]:
    """A client of the server."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def photos(tiny_source: Path) -> list[Path]:
    """Photos of all three classes."""
    return sorted(tiny_source.rglob("*.png"))
