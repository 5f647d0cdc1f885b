"""Imports cut at random moments, by `kill -9` and by a full disk: no half version, nothing lost, the next one completes."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.data.conftest import MakeImages, encoded, picture, write
from tests.data.test_killed_imports import end, start
from workflows.data.archives import unpacked_folder
from workflows.data.catalog import list_datasets
from workflows.data.deletion import delete_dataset
from workflows.data.importing import add_dataset
from workflows.data.integrity import verify_store
from workflows.data.version import DatasetVersion
from workflows.errors import StorageError
from workflows.store.files import free_bytes
from workflows.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

IMAGES = 120
SHARES = [share / 20 for share in range(20)]


def check_nothing_half(store: Store, whole: DatasetVersion | None = None) -> None:
    """What is visible is whole: every version has all its images, and every file its content."""
    for version in list_datasets(store):
        assert len(version.table()) == version.images
        assert all(store.blobs.path(sha256).exists() for sha256 in version.table()["sha256"])
        assert whole is None or version.fingerprint == whole.fingerprint
    for path in (store.home / "blobs").glob("??/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def check_complete(store: Store, version: DatasetVersion) -> None:
    """Nothing is missing, and nothing lies about."""
    found = verify_store(store)
    assert found.sound and not found.unreferenced
    assert [path.name for path in (store.home / "datasets" / version.name).iterdir()] == [str(version.number)]
    assert not list((store.cache_folder / "imports").iterdir())
    assert not list((store.cache_folder / "unpacked").rglob("*.png"))


def kill_at(store: Store, source: Path, seconds: float) -> int | None:
    """Import in a process that is killed after so many seconds; return its exit status."""
    child = start(lambda: add_dataset(Store(store.home), "set", source))
    time.sleep(seconds)
    child.kill()
    return end(child)


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("share", [pytest.param(s, marks=[] if s in (0.3, 0.8) else pytest.mark.slow) for s in SHARES])
def test_killed_at_a_random_moment(make_images: MakeImages, tmp_path: Path, kind: str, share: float) -> None:
    """The moment is drawn from the twentieth of an import's time that begins at `share`."""
    source = make_images(a=IMAGES // 2, b=IMAGES // 2)
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", source.parent, source.name))
    began = time.monotonic()
    whole = add_dataset(Store(tmp_path / "undisturbed"), "set", source).version
    seconds = time.monotonic() - began
    store = Store(tmp_path / "store")
    status = kill_at(store, source, seconds * (share + random.Random(f"{kind}{share}").uniform(0, 0.05)))
    assert status in (0, -signal.SIGKILL)  # 0: it was faster this time
    check_nothing_half(store, whole)
    before = {path.name for path in (store.home / "blobs").glob("??/*")}
    version = add_dataset(store, "set", source).version
    assert (version.number, version.images, version.fingerprint) == (1, IMAGES, whole.fingerprint)
    assert version.table().equals(whole.table())
    assert before <= set(version.table()["sha256"])
    check_complete(store, version)


def test_killed_at_the_very_end(make_images: MakeImages, tmp_path: Path) -> None:
    """The version is there, but what was unpacked for it is still there, too: the next import removes it."""
    folder = make_images(a=IMAGES // 2, b=IMAGES // 2)
    source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", folder.parent, folder.name))
    store = Store(tmp_path / "store")
    version = add_dataset(store, "set", source).version
    left = unpacked_folder(source, store.cache_folder / "unpacked") / "files" / "a"
    left.mkdir(parents=True)
    shutil.copy(next(folder.rglob("*.png")), left)
    assert add_dataset(store, "set", source).version.number == version.number
    check_complete(store, version)


def test_killed_again_and_again(make_images: MakeImages, tmp_path: Path) -> None:
    """Each attempt goes on where the one before was cut."""
    source = make_images(a=IMAGES // 2, b=IMAGES // 2)
    store = Store(tmp_path / "store")
    moments = random.Random(1)
    for _ in range(5):
        kill_at(store, source, moments.uniform(0, 0.4))
        check_nothing_half(store)
    version = add_dataset(store, "set", source).version
    assert (version.number, version.images) == (1, IMAGES)
    check_complete(store, version)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_cut_by_a_full_disk(small_disk: Path, tmp_path: Path, kind: str) -> None:
    """Wherever the room ends: while images are copied, or unpacked, or the version is written."""
    source = tmp_path / "photos"
    for number in range(40):
        write(source / "ab"[number % 2] / f"{number}.png", encoded(picture(("disk", number), (40, 32))))
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", source.parent, source.name))
    store, ballast = Store(small_disk), small_disk / "ballast"
    refused = 0
    for kilobytes in (12, 60, 130, 200, 260):
        ballast.write_bytes(bytes(max(0, free_bytes(small_disk) - 1024 * kilobytes)))
        try:
            add_dataset(store, "set", source)
            cut = False
        except StorageError as error:
            cut = bool(error.hint)
        ballast.unlink()
        refused += cut
        assert len(list_datasets(store)) == (0 if cut else 1)
        check_nothing_half(store)
        version = add_dataset(store, "set", source).version
        assert (version.number, version.images) == (1, 40)
        check_complete(store, version)
        delete_dataset(store, "set")
    assert refused >= 2
