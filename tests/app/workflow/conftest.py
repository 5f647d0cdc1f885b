"""What the tests of the page Workflow share: a data set with its recommendation, found out once, and a copy for each test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.client as clients
from app.client import Client
from app.client.workflows import Workflows
from tests.benchmarks.studio_records import Size, generate
from tests.once import made_once
from workflows.store.store import Store

SIZE = Size(classes=4, images=120, steps=2, full_runs=1, other_runs=2, pictures=6)
ADVICE_SECONDS = 240.0


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a data set, a finished run, and what is recommended for it."""

    def make(place: Path) -> Path:
        home = place / "home"
        generate(Store(home), SIZE)
        part = Client(home).workflows
        job, end = part.ask("birds"), time.monotonic() + ADVICE_SECONDS
        assert part.ask("birds") is job  # two pages, one piece of work
        while job.running:
            assert time.monotonic() < end, job
            time.sleep(0.1)
        assert job.error is None, job.error
        return home

    return made_once(tmp_path_factory, "workflows", make)


@pytest.fixture
def workflows(store: Store) -> Iterator[Workflows]:
    """The client's part for workflows, with a recommendation for `birds`."""
    part = clients.client().workflows
    assert part.advice("birds") is not None
    yield part
    part.previews.close()
