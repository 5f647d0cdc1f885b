"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.tiny"]  # the session's trained run

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh state folder, set as FIELDGUIDE_HOME for this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FIELDGUIDE_HOME", str(folder))
    monkeypatch.delenv("FIELDGUIDE_DATABASE_URL", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights beside the repository; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {SHARED} is not there, so this test on real photographs did NOT run")
    return SHARED
