"""What all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.tiny", "tests.app.studio", "tests.app.browser"]  # a trained run; a studio; a window

if "PYTEST_XDIST_WORKER" in os.environ:
    # as many processes as cores: were each to take all of them, they would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts the tests in the background has them, and all that they start, deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB, in memory, where root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("NO SMALL DISK: mounting a tmpfs needs root on Linux, so a really full disk was NOT tested here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
