"""What all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.properties import THOROUGH, USUAL

# how long an example takes depends on who else uses the machine, and says nothing about the code
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
hypothesis.settings.register_profile("short", deadline=None, max_examples=USUAL)
hypothesis.settings.load_profile("short")

pytest_plugins = ["tests.tiny", "tests.app.studio", "tests.app.browser"]  # a trained run; a studio; a window

# Networks here are tiny, and as many processes as cores work: threads would wait for one another more than they'd compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts the tests in the background has them, and all that they start, deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"
LONGEST = (
    "app/test_up.py",
    "app/test_explain_predict_pages.py",
    "flows/test_training.py",
    "app/test_privacy.py",
    "app/test_data_browser.py",
    "retraining/test_retrain.py",
    "app/test_models_page.py",
    "flows/test_runner.py",
    "app/test_verbs.py",
    "flows/test_runtime.py",
    "training/test_train.py",
    "app/workflow/test_before_training.py",
    "flows/test_scheduling.py",
    "app/test_serve.py",
)
"""Files that take longest, begun first: so none of them is all that is left for one process at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first (for `--no-loadscope-reorder`)."""
    rank = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True)
def _same_main() -> Iterator[None]:
    """Put back the main module: a page that was opened in a test has become it, and new processes would run that page."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


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
