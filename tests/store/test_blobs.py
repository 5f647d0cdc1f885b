"""Content is kept once, under its own name, and never linked to the original."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workflows.errors import StorageError
from workflows.store.blobs import Blobs
from workflows.store.store import Store


def test_the_same_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    original = tmp_path / "a.jpg"
    original.write_bytes(b"pixels")
    sha256 = store.blobs.put(original)
    assert sha256 == hashlib.sha256(b"pixels").hexdigest() == store.blobs.put(b"pixels")
    kept = store.blobs.path(sha256)
    assert [path for path in (store.home / "blobs").rglob("*") if path.is_file()] == [kept]
    assert kept.stat().st_nlink == 1 and not kept.samefile(original)
    original.write_bytes(b"changed")
    assert kept.read_bytes() == b"pixels"


def test_many_threads_put_the_same(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(store.blobs.put, [b"x" * 100_000] * 40))
    assert len(names) == 1
    assert not list((store.home / "blobs" / "incoming").iterdir())


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_names_a_blob(store: Store, name: str) -> None:
    with pytest.raises(StorageError, match="not a SHA-256"):
        store.blobs.path(name)


def test_leftovers_of_killed_imports_are_swept(store: Store) -> None:
    incoming = store.home / "blobs" / "incoming"
    store.blobs.sweep()
    incoming.mkdir(parents=True)
    for name, age in (("old", 7200), ("young", 10)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age,) * 2)
    store.blobs.sweep()
    assert [path.name for path in incoming.iterdir()] == ["young"]


def test_sweeping_beside_another_import(store: Store) -> None:
    """What another process has in hand may vanish while it is looked at."""
    content = [bytes([number]) * 1000 for number in range(200)]
    with ThreadPoolExecutor(3) as pool:
        done = pool.map(store.blobs.put, content)
        for _ in range(200):
            store.blobs.sweep()
        assert len(set(done)) == 200


def test_full_disk(small_disk: Path) -> None:
    blobs = Blobs(small_disk)
    first = blobs.put(b"small")
    with pytest.raises(StorageError, match="disk is full"):
        blobs.put(os.urandom(2 * 1024**2))
    assert blobs.path(first).read_bytes() == b"small"
    assert not list((small_disk / "incoming").iterdir())
