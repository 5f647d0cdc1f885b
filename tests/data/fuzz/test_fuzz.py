"""Damaged and hostile uploads end in a report or a refusal: nothing else happens, and the originals stay as they are.

What is checked for each: no traceback; nothing written outside the store, neither by what Python says (audit events)
nor by looking around; no connection, no process, nothing unpickled; less than a gigabyte and a minute; every file of
the source is in the report exactly once with a reason; what is accepted can be decoded.

The default run takes the beginning of each series. All of it: `pytest -m slow tests/data/fuzz`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.data.fuzz.archives import hostile_archives
from tests.data.fuzz.exports import exports
from tests.data.fuzz.images import damaged_images, sound_images, write_sound
from tests.data.fuzz.tables import label_files
from tests.processes import ROOT, environment

SEED = 20261122
PER_SOURCE = 10
SOUND = 45
MOST_MEGABYTES = 1000
MOST_SECONDS = 60
Case = dict[str, str | None]


class Sandbox:
    """A folder with the store, the sources, and neighbours that nobody may touch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.temporary = folder / "home", folder / "temporary"
        self.sources, self.work = folder / "sources", folder / "work"
        for place in (self.temporary, self.sources, self.work, folder / "user"):
            place.mkdir(parents=True)
        self.sound = self.sources / "sound"
        for number, label in enumerate(("cat", "dog")):
            write_sound(self.sound / label, 5, seed=number)

    def surroundings(self) -> dict[str, str]:
        """Everything but the store, with the files' checksums."""
        return {
            path.relative_to(self.folder).as_posix(): _checksum(path)
            for path in sorted(self.folder.rglob("*"))
            if self.home not in (path, *path.parents)
        }

    def run(self, cases: list[Case]) -> list[dict[str, Any]]:
        """Import all cases in one process of their own; a sound one is put first."""
        first: Case = {"name": "sound", "source": str(self.sound), "labels": None}
        todo, outcomes = self.work / "cases", self.temporary / "outcomes"
        todo.write_text("".join(json.dumps(case) + "\n" for case in [first, *cases]), encoding="utf-8")
        before = self.surroundings()
        done = subprocess.run(
            [sys.executable, "-m", "tests.data.fuzz.jail", str(todo), str(outcomes)],
            cwd=self.work,
            env=environment(
                self.home,
                TMPDIR=str(self.temporary),
                HOME=str(self.folder / "user"),
                PYTHONPATH=str(ROOT),
                PYTHONDONTWRITEBYTECODE="1",
            ),
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS * 10,
            check=False,
        )
        told = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines()]
        names = [case["name"] for case in [first, *cases]]
        assert [outcome["name"] for outcome in told] == names, f"died in {names[len(told)]!r}: {done.stderr[-2000:]}"
        assert done.returncode == 0, done.stderr[-2000:]
        outcomes.unlink()
        assert self.surroundings() == before
        assert "accepted" in told[0], told[0]
        return told[1:]


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "sandbox")


def check(outcome: dict[str, Any]) -> None:
    """Check what must be true of every import."""
    assert "traceback" not in outcome, f"{outcome['name']}:\n{outcome['traceback']}"
    assert outcome["violations"] == [], outcome["name"]
    assert outcome["peak_mb"] < MOST_MEGABYTES, outcome["name"]
    assert outcome["seconds"] < MOST_SECONDS, outcome["name"]
    if "refused" in outcome:
        assert outcome["message"].strip(), outcome["name"]
        return
    assert outcome["accepted"] + outcome["rejected"] + outcome["ignored"] == outcome["total"], outcome["name"]
    paths = [entry["path"] for entry in outcome["entries"]]
    assert len(paths) == len(set(paths)), outcome["name"]
    assert all(entry["reason"] for entry in outcome["entries"] if entry["outcome"] != "accepted"), outcome["name"]
    assert not [entry for entry in outcome["entries"] if "object at 0x" in entry["reason"]], outcome["name"]


Trial = tuple[Case, Callable[[dict[str, Any]], None]]
"""A source, and what must be true of its outcome beyond :func:`check`."""


def images(sandbox: Sandbox, seed: int, count: int) -> Iterator[Trial]:
    """Folders of sound images with ten damaged ones each."""
    series = list(damaged_images(seed, count))
    for start in range(0, count, PER_SOURCE):
        source = sandbox.sources / f"images {start:04d}"
        write_sound(source / "cat", SOUND)
        write_sound(source / "dog", 5, seed=8)
        batch = series[start : start + PER_SOURCE]
        for name, content in batch:
            (source / "cat" / name).write_bytes(content)
        damaged = {f"cat/{name}" for name, _ in batch}
        yield {"name": source.name, "source": str(source), "labels": None}, partial(_check_images, damaged)


def _check_images(damaged: set[str], outcome: dict[str, Any]) -> None:
    assert "refused" not in outcome, outcome
    assert outcome["total"] == SOUND + 5 + len(damaged), outcome["name"]
    assert damaged <= {entry["path"] for entry in outcome["entries"]}
    assert all(entry["outcome"] == "accepted" for entry in outcome["entries"] if "sound" in entry["path"])


def archives(sandbox: Sandbox, seed: int, count: int) -> Iterator[Trial]:
    """Archives by themselves."""
    files = {path.relative_to(sandbox.sound).as_posix(): path.read_bytes() for path in sandbox.sound.rglob("*.png")}
    for name, content in hostile_archives(seed, count, files):
        path = sandbox.sources / name
        path.write_bytes(content)
        yield {"name": name, "source": str(path), "labels": None}, lambda _outcome: None


def tables(sandbox: Sandbox, seed: int, csvs: int, others: int) -> Iterator[Trial]:
    """One folder of photos with many label files."""
    photos = sandbox.sources / "photos"
    write_sound(photos, 24)
    files = sorted(path.name for path in photos.iterdir())
    series = [(f"{name}.csv", content) for name, content in label_files(seed, csvs, files)]
    for name, content in [*series, *exports(seed, others, files)]:
        path = sandbox.sources / name
        path.write_bytes(content)
        yield {"name": name, "source": str(photos), "labels": str(path)}, partial(_check_tables, set(files))


def _check_tables(files: set[str], outcome: dict[str, Any]) -> None:
    assert "refused" in outcome or files <= {entry["path"] for entry in outcome["entries"]}, outcome["name"]


def try_all(sandbox: Sandbox, trials: Iterable[Trial]) -> None:
    todo = list(trials)
    for outcome, (_, check_more) in zip(sandbox.run([case for case, _ in todo]), todo, strict=True):
        check(outcome)
        check_more(outcome)


def test_some_of_each_kind(sandbox: Sandbox) -> None:
    try_all(
        sandbox,
        chain(images(sandbox, SEED, 60), archives(sandbox, SEED, 30), tables(sandbox, SEED, csvs=30, others=20)),
    )


def test_the_series_are_always_the_same() -> None:
    assert list(damaged_images(SEED, 30)) == list(damaged_images(SEED, 60))[:30]
    files = {"cat/000.png": b"x", "dog/000.png": b"y"}
    for series in (label_files, exports):
        assert list(series(SEED, 20, sorted(files))) == list(series(SEED, 20, sorted(files)))


def test_the_sound_images_are_of_twelve_formats_at_least() -> None:
    assert len(sound_images()) >= 12


def _seed() -> int:
    """Another seed may be given, to look further than the tests do every day."""
    return int(os.environ.get("FIELDGUIDE_FUZZ_SEED", SEED + 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_600_damaged_images(sandbox: Sandbox) -> None:
    try_all(sandbox, images(sandbox, _seed(), 600))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_200_hostile_archives(sandbox: Sandbox) -> None:
    try_all(sandbox, archives(sandbox, _seed(), 200))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_200_tables_and_150_exports(sandbox: Sandbox) -> None:
    try_all(sandbox, tables(sandbox, _seed(), csvs=200, others=150))
