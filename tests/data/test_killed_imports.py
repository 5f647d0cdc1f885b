"""Imports that are killed, or meet each other: no half version, nothing lost, nothing done twice."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from tests.data.conftest import MakeImages
from workflows.data import importing, publishing
from workflows.data.catalog import get_version, list_datasets, list_versions
from workflows.data.importing import add_dataset
from workflows.data.verification import Journal
from workflows.errors import DatasetError
from workflows.store.datasets import DatasetRecords
from workflows.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def start(action: Callable[[], object]) -> ForkProcess:
    """Run `action` in a process of its own, which begins as a copy of this one: what a test patched is patched there."""

    def act() -> None:
        action()
        os._exit(0)  # what else this copy would wind up belongs to the tests

    process = multiprocessing.get_context("fork").Process(target=act)
    process.start()
    return process


def end(child: ForkProcess) -> int | None:
    """Wait for a process; return its exit status (1 if it raised, which is shown), or minus the signal that ended it."""
    child.join()
    return child.exitcode


def die(*_arguments: object, **_options: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def import_and_die(source: Path, moment: str) -> None:
    """Import, and be killed: after so many images, or at a named point."""

    def progress(stage: str, done: int, total: int, text: str = "") -> None:
        if moment.isdigit() and done >= int(moment):
            die()

    if moment == "merge":
        importing.merge = die  # type: ignore[assignment]
    if moment == "report":
        publishing.write_json = die
    if moment == "record":
        DatasetRecords.add_version = die  # type: ignore[method-assign]
    add_dataset(Store(), "set", source, progress=progress)


def blobs(store: Store) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (store.home / "blobs").glob("??/*")}


@pytest.mark.parametrize("moment", ["20", "60", "merge", "report", "record"])
def test_killed_import_leaves_nothing_half_and_goes_on(store: Store, make_images: MakeImages, moment: str) -> None:
    source = make_images(a=50, b=50)
    assert end(start(lambda: import_and_die(source, moment))) == -signal.SIGKILL
    assert list_datasets(store) == []
    with pytest.raises(DatasetError):
        get_version(store, "set")
    before = blobs(store)
    assert len(before) >= int(moment) if moment.isdigit() else len(before) == 100
    report = add_dataset(store, "set", source)
    assert (report.version.number, report.version.images, report.accepted) == (1, 100, 100)
    after = blobs(store)
    assert {name: after[name] for name in before} == before and len(after) == 100  # nothing was copied twice
    assert [path.name for path in (store.home / "datasets" / "set").iterdir()] == ["1"]
    assert not list((store.home / "cache" / "imports").iterdir())


def test_killed_second_import_leaves_the_first_version(store: Store, make_images: MakeImages) -> None:
    first = add_dataset(store, "set", make_images(a=10, b=10)).version
    source = make_images(a=20, b=20)
    for moment in ("20", "report", "record"):
        assert end(start(lambda moment=moment: import_and_die(source, moment))) == -signal.SIGKILL
        assert list_versions(store, "set") == [first] and len(first.table()) == 20
    assert add_dataset(store, "set", source).version.images == 40


def test_what_was_verified_is_not_decoded_again(
    store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_images(a=30, b=30)
    assert end(start(lambda: import_and_die(source, "merge"))) == -signal.SIGKILL
    with (store.home / "cache" / "imports" / "set.jsonl").open("a") as journal:
        journal.write('{"sha256": "half a li')
    monkeypatch.setattr("workflows.data.verification.decode", lambda _: pytest.fail("decoded again"))
    assert add_dataset(store, "set", source).version.images == 60


def test_two_imports_of_one_name_at_once(store: Store, make_images: MakeImages) -> None:
    """Two people add their photos to the same data set: one waits, and both are in the end."""
    sources = [make_images(below=f"person{number}", a=20, b=20) for number in range(3)]
    children = [start(lambda source=source: add_dataset(Store(), "set", source)) for source in sources]
    assert [end(child) for child in children] == [0, 0, 0]
    assert get_version(store, "set").images == 120
    assert [version.number for version in list_versions(store, "set")] == [1, 2, 3]


def test_two_folders_of_one_name_at_once(store: Store, make_images: MakeImages) -> None:
    sources = [make_images(below=f"person{number}/photos", a=8, b=8) for number in range(3)]
    children = [start(lambda source=source: importing.dataset_for_path(Store(), source)) for source in sources]
    assert [end(child) for child in children] == [0, 0, 0]
    found = list_datasets(store)
    assert [version.name for version in found] == ["photos", "photos-2", "photos-3"]
    assert {version.source for version in found} == {str(source) for source in sources}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_killed_when_all_was_done_but_clearing_away(
    store: Store, make_images: MakeImages, tmp_path: Path, kind: str
) -> None:
    source = make_images(a=20, b=20)
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", source.parent, source.name))

    def import_and_die_last() -> None:
        Journal.forget = die  # type: ignore[method-assign]
        add_dataset(Store(), "set", source)

    assert end(start(import_and_die_last)) == -signal.SIGKILL
    assert [path.name for path in (store.cache_folder / "imports").iterdir()] == ["set.jsonl"]
    assert add_dataset(store, "set", source).version.number == 1
    assert not list((store.cache_folder / "imports").iterdir())
