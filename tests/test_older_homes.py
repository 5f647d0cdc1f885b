"""State folders that earlier versions wrote: every page opens, every verb answers, a cut-off run resumes to the same bits.

The earlier version writes one itself: its code is taken out of the repository's history, so nothing here is drawn up by
hand, and no weights lie in the repository.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.app.pages import VIEWS, copied, opened, show
from tests.photos import digit_folders
from tests.processes import ROOT, Finished, environment, installed_fieldguide

EARLIER = ("f2bf392d3b7269143ef2ba880e70d2bc4b4a20f4", "8251f6b6b818b1ccfbf36f368e58652703f6bd0c")
"""Commits whose homes must open. Before a change to what is stored, add the commit before it."""

SIZES = ("--weights", "none", "--size", "32", "--seed", "3", "--device", "cpu", "--json")
VERBS = (
    "dataset list",
    "dataset show digits",
    "dataset history digits",
    "dataset labels digits",
    "dataset audit digits",
    "dataset diff digits 1 2",
    "runs list",
    "runs show {finished}",
    "runs show {cut}",
    "runs compare {finished} {finished}",
    "models list",
    "models show reader",
    "schedule list",
    "schedule log",
    "watch list",
    "alerts list",
    "tune --list",
    "models threshold reader",
    "serve --list",
    "workflow recommend digits",
    "evaluate {finished}",
    "predict {finished} {photos}/1",
    "predict reader {photos}/1",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@dataclass(frozen=True)
class OlderHome:
    """A home of an earlier version.

    Attributes:
        code: the earlier version's code.
        home: with a finished run, a registered model, a schedule, an edited data set and a run that was killed.
        photos: what was imported.
        cut: the killed run's id.
    """

    code: Path
    home: Path
    photos: Path
    finished: str
    cut: str


def code_of(commit: str, folder: Path) -> Path:
    """Write the files of a commit into `folder`; skip where the history does not reach so far back."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"HISTORY ABSENT: commit {commit} is not in this clone, so homes that it wrote were NOT tested")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def older(code: Path, home: Path, *arguments: object) -> Finished:
    """Run a verb of the earlier version."""
    done = subprocess.run(
        older_command(*arguments),
        env=environment(home, PYTHONPATH=str(code)),
        cwd=code,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def older_command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from app.cli import main; main()", *map(str, arguments)]


@pytest.fixture(scope="module", params=EARLIER)
def before(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OlderHome:
    place = tmp_path_factory.mktemp("older")
    code, home = code_of(request.param, place / "code"), place / "home"
    photos = digit_folders(place / "digits", per_class=40)
    older(code, home, "dataset", "add", "digits", photos, "--json")
    older(code, home, "dataset", "relabel", "digits", f"0/{sorted((photos / '0').iterdir())[0].name}=1", "--json")
    finished = older(code, home, "train", "digits", "--epochs", "2", *SIZES).document["run_id"]
    older(code, home, "models", "register", "reader", finished, "--json")
    older(code, home, "schedule", "add", "reader", "--cron", "0 3 * * 1", "--json")
    return OlderHome(code, home, photos, finished, killed_run(code, home))


def killed_run(code: Path, home: Path) -> str:
    """Kill a training of the earlier version when it has written a checkpoint."""
    process = subprocess.Popen(
        older_command("train", "digits", "--epochs", "30", *SIZES),
        env=environment(home, PYTHONPATH=str(code)),
        cwd=code,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(home.parent / "log").open("wb"),
        start_new_session=True,
    )
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        written = list(home.glob("runs/*/training/checkpoint.pt"))
        if written:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return written[0].parents[1].name
        time.sleep(0.05)
    raise AssertionError((home.parent / "log").read_text())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_answers(before: OlderHome, verb: str, tmp_path: Path) -> None:
    home = copied(before.home, tmp_path)
    words = verb.format(finished=before.finished, cut=before.cut, photos=before.photos).split()
    done = installed_fieldguide(home, *words, "--json")
    assert done.code == 0, done.stderr
    assert isinstance(done.document, dict | list)


@pytest.mark.parametrize("view", sorted(path.parent.name for path in VIEWS.glob("*/page.py")))
def test_every_page_opens(before: OlderHome, view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(copied(before.home, tmp_path), monkeypatch):
        assert show(view, run=before.finished, dataset="digits", model="reader").main.children


def test_predictions_stay_as_they_were(before: OlderHome, tmp_path: Path) -> None:
    photos = before.photos / "1"
    earlier = older(before.code, copied(before.home, tmp_path / "a"), "predict", before.finished, photos, "--json")
    now = installed_fieldguide(copied(before.home, tmp_path / "b"), "predict", before.finished, photos, "--json")
    assert probabilities(now.document) == probabilities(earlier.document)


def test_schedules_keep_their_times(before: OlderHome, tmp_path: Path) -> None:
    earlier = older(before.code, copied(before.home, tmp_path / "a"), "schedule", "list", "--json").document
    now = installed_fieldguide(copied(before.home, tmp_path / "b"), "schedule", "list", "--json").document
    (was,), (is_now,) = earlier, now
    del was["when"]  # the cron line then; now in words
    assert {name: is_now[name] for name in was} == was
    assert is_now["when"] == "Mondays at 03:00 (Etc/UTC)"


def test_a_run_that_was_cut_off_resumes_to_the_same_bits(before: OlderHome, tmp_path: Path) -> None:
    then, now = copied(before.home, tmp_path / "then"), copied(before.home, tmp_path / "now")
    expected = older(before.code, then, "runs", "resume", before.cut, "--json").document
    resumed = installed_fieldguide(now, "runs", "resume", before.cut, "--json")
    assert resumed.code == 0, resumed.stderr
    assert weights_of(now, before.cut) == weights_of(then, before.cut)
    assert resumed.document["metrics"]["test"]["top1"] == expected["metrics"]["test"]["top1"]


def probabilities(answers: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [{one["label"]: one["confidence"] for one in answer["top"]} for answer in answers]


def weights_of(home: Path, run_id: str) -> str:
    (file,) = (home / "runs" / run_id / "model").glob("*.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()
