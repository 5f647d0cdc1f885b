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
from collections.abc import Iterator
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


def image_sources(sandbox: Sandbox, seed: int, count: int) -> Iterator[tuple[Case, list[str]]]:
    """Folders of sound images with ten damaged ones each, and the names of these."""
    series = list(damaged_images(seed, count))
    for start in range(0, count, PER_SOURCE):
        source = sandbox.sources / f"images {start:04d}"
        write_sound(source / "cat", SOUND)
        write_sound(source / "dog", 5, seed=8)
        batch = series[start : start + PER_SOURCE]
        for name, content in batch:
            (source / "cat" / name).write_bytes(content)
        yield {"name": source.name, "source": str(source), "labels": None}, [f"cat/{name}" for name, _ in batch]


def try_images(sandbox: Sandbox, seed: int, count: int) -> None:
    named = list(image_sources(sandbox, seed, count))
    for outcome, (_, damaged) in zip(sandbox.run([case for case, _ in named]), named, strict=True):
        check(outcome)
        assert "refused" not in outcome, outcome
        assert outcome["total"] == SOUND + 5 + len(damaged), outcome["name"]
        assert set(damaged) <= {entry["path"] for entry in outcome["entries"]}
        sound = [entry for entry in outcome["entries"] if "sound" in entry["path"]]
        assert all(entry["outcome"] == "accepted" for entry in sound)


def try_archives(sandbox: Sandbox, seed: int, count: int) -> None:
    files = {path.relative_to(sandbox.sound).as_posix(): path.read_bytes() for path in sandbox.sound.rglob("*.png")}
    cases: list[Case] = []
    for name, content in hostile_archives(seed, count, files):
        path = sandbox.sources / name
        path.write_bytes(content)
        cases.append({"name": name, "source": str(path), "labels": None})
    for outcome in sandbox.run(cases):
        check(outcome)


def try_tables(sandbox: Sandbox, seed: int, csvs: int, others: int) -> None:
    photos = sandbox.sources / "photos"
    write_sound(photos, 24)
    files = sorted(path.name for path in photos.iterdir())
    tables = [(f"{name}.csv", content) for name, content in label_files(seed, csvs, files)]
    cases: list[Case] = []
    for name, content in [*tables, *exports(seed, others, files)]:
        path = sandbox.sources / name
        path.write_bytes(content)
        cases.append({"name": name, "source": str(photos), "labels": str(path)})
    for outcome in sandbox.run(cases):
        check(outcome)
        if "refused" not in outcome:
            assert set(files) <= {entry["path"] for entry in outcome["entries"]}, outcome["name"]


def test_damaged_images_some(sandbox: Sandbox) -> None:
    try_images(sandbox, SEED, 60)


def test_hostile_archives_some(sandbox: Sandbox) -> None:
    try_archives(sandbox, SEED, 30)


def test_odd_label_files_some(sandbox: Sandbox) -> None:
    try_tables(sandbox, SEED, 30, 20)


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
def test_damaged_images_all(sandbox: Sandbox) -> None:
    try_images(sandbox, _seed(), 600)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hostile_archives_all(sandbox: Sandbox) -> None:
    try_archives(sandbox, _seed(), 200)


@pytest.mark.slow
def test_odd_label_files_all(sandbox: Sandbox) -> None:
    try_tables(sandbox, _seed(), 200, 150)
