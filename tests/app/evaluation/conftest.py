"""What the tests of evaluations share: two finished runs of four steps, written once, and a copy for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.studio_records import Size, generate
from tests.once import made_once
from workflows.store.store import Store

SIZE = Size(classes=12, images=400, steps=4, full_runs=2, other_runs=3, pictures=8)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with two finished runs of four steps."""

    def make(place: Path) -> Path:
        generate(Store(place / "home"), SIZE)
        return place / "home"

    return made_once(tmp_path_factory, "evaluated", make)


@pytest.fixture
def runs(store: Store) -> list[str]:
    """The two full runs, oldest first."""
    return [run.run_id for run in reversed(store.runs.list()) if run.dataset == "birds"]
