"""Killed at any moment: nothing keeps running, and `runs resume` ends like a run that was never killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.photos import digit_folders
from tests.processes import FIELDGUIDE, environment, installed_fieldguide

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

OPTIONS = ("--weights", "none", "--size", "32", "--epochs", "6", "--seed", "3", "--device", "cpu", "--json")
LONG = ("--weights", "none", "--size", "32", "--epochs", "500", "--seed", "3", "--device", "cpu", "--json")
KILLS = int(os.environ.get("FIELDGUIDE_TEST_KILLS", "4"))
"""How often to kill; `FIELDGUIDE_TEST_KILLS=20` for the whole proof."""


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed."""

    photos: Path
    result: dict[str, Any]
    weights: str
    seconds: float


def weights_of(result: dict[str, Any]) -> str:
    return hashlib.sha256(Path(result["artifacts"]["model"]).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    place = tmp_path_factory.mktemp("whole")
    photos = digit_folders(place / "digits", per_class=60)
    began = time.monotonic()
    done = installed_fieldguide(place / "home", "train", photos, *OPTIONS)
    assert done.code == 0, done.stderr
    return Whole(photos, done.document, weights_of(done.document), time.monotonic() - began)


def start(home: Path, photos: Path) -> subprocess.Popen[bytes]:
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [FIELDGUIDE, "train", photos, *OPTIONS],
            env=environment(home),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def still_running(home: Path) -> list[str]:
    """Processes that work on this state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FIELDGUIDE_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def nothing_left(home: Path) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not still_running(home):
            return True
        time.sleep(0.1)
    return False


def steps_of(home: Path, run_id: str) -> list[int]:
    return [step["step"] for step in installed_fieldguide(home, "runs", "show", run_id, "--json").document["steps"]]


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_resumes_to_the_very_same_end(whole: Whole, number: int, tmp_path: Path) -> None:
    home, moment = tmp_path / "home", random.Random(number).uniform(0.15, 0.95)
    process = start(home, whole.photos)
    time.sleep(whole.seconds * moment)
    if number % 2:
        process.kill()  # the main process alone
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert nothing_left(home), still_running(home)
    runs = installed_fieldguide(home, "runs", "list", "--json").document
    again: tuple[Any, ...] = ("train", whole.photos, *OPTIONS)  # killed before there was anything to resume
    if runs:
        # pending: killed between being recorded and being begun
        assert runs[0]["state"] in ("pending", "interrupted", "finished")
        again = ("runs", "resume", runs[0]["run_id"], "--json")
    resumed = installed_fieldguide(home, *again)
    assert resumed.code == 0, resumed.stderr
    assert resumed.document["metrics"] == whole.result["metrics"]
    assert weights_of(resumed.document) == whole.weights
    assert steps_of(home, resumed.document["run_id"]) == [1, 2, 3, 4, 5, 6]
    assert not [path for path in home.rglob("*.tmp*") if "prefect" not in path.parts]


def wait_for_training(home: Path) -> str:
    """Wait until a run has recorded its first epoch; return its id."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        runs = installed_fieldguide(home, "runs", "list", "--json").document
        if runs and runs[0]["state"] == "running" and steps_of(home, runs[0]["run_id"]):
            return str(runs[0]["run_id"])
    raise AssertionError((home.parent / "log").read_text())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_cancels_cleanly(whole: Whole, number: int, code: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [FIELDGUIDE, "train", whole.photos, *LONG],
        env=environment(home),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "log").open("wb"),
        start_new_session=True,
    )
    run_id = wait_for_training(home)
    os.killpg(process.pid, number)
    answer, _ = process.communicate(timeout=60)
    assert process.returncode == code, (tmp_path / "log").read_text()
    assert b'"error"' in answer
    assert nothing_left(home), still_running(home)
    record = installed_fieldguide(home, "runs", "show", run_id, "--json").document
    assert record["state"] == "cancelled"
    assert record["steps"]


def test_cancel_from_another_terminal_waits_until_the_run_has_stopped(whole: Whole, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [FIELDGUIDE, "train", whole.photos, *LONG],
            env=environment(home),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    run_id = wait_for_training(home)
    done = installed_fieldguide(home, "runs", "cancel", run_id, "--json")
    assert done.code == 0, done.stderr
    assert done.document["state"] == "cancelled"
    assert process.wait(timeout=60) == 1
    assert nothing_left(home), still_running(home)
