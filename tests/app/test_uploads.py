"""Uploads: files that arrive on disk, their names, caps, what they are understood as, and what is swept."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import app.client as clients
from app.client import uploads as uploads_module
from app.client.uploads import OWNER_FILE, Batch, UploadRefused, Uploads
from app.upload_caps import dropped_bytes
from app.upload_endpoint import PATH, upload_routes
from app.views.data.jobs import source_words
from flows.process_identity import ProcessIdentity
from tests.app.uploading import long_ago, upload
from workflows.errors import SourceError, UsageError
from workflows.settings import MAX_DROPPED_GB
from workflows.store.store import Store


@pytest.fixture
def server(store: Store) -> Starlette:
    return Starlette(routes=upload_routes())


def put(server: Starlette, batch: Batch, name: str, content: bytes) -> int:
    async def send() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url="http://here") as http:
            answer = await http.put(f"{PATH}/{batch.ticket}", params={"name": name}, content=content)
        return answer.status_code

    return asyncio.run(send())


def test_uploaded_files_lie_on_disk_under_their_names(server: Starlette) -> None:
    batch = clients.client().uploads.open()
    big = bytes(range(256)) * 20_000
    assert put(server, batch, "trees/ash/1.jpg", big) == 200
    assert put(server, batch, "trees/birch/ä b.jpg", b"x") == 200
    assert (batch.folder / "files" / "trees/ash/1.jpg").read_bytes() == big
    assert batch.bytes == len(big) + 1
    arrived = clients.client().uploads.arrived(batch)
    assert (arrived.source, arrived.name) == (batch.folder / "files" / "trees", "trees")
    assert source_words(str(arrived.source)) == "upload trees"
    assert not any((batch.folder / "coming").iterdir())
    clients.client().uploads.discard(batch)
    assert not batch.folder.exists()
    assert put(server, batch, "a.jpg", b"x") == 404


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "", "a\0.jpg", "x" * 300, "a//b.jpg", "./a.jpg"]
)
def test_names_that_lead_elsewhere_are_refused(server: Starlette, name: str) -> None:
    batch = clients.client().uploads.open()
    assert put(server, batch, name, b"x") == 413
    assert batch.bytes == 0
    assert [path.name for path in batch.folder.rglob("*") if path.is_file()] == [OWNER_FILE]


def test_uploads_are_capped_per_file_in_total_and_in_number(server: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(uploads_module, "MAX_TOTAL_BYTES", 150)
    monkeypatch.setattr(uploads_module, "MAX_FILES", 2)
    batch = clients.client().uploads.open()
    assert put(server, batch, "a.jpg", b"x" * 101) == 413
    assert put(server, batch, "a.jpg", b"x" * 100) == 200
    assert put(server, batch, "b.jpg", b"x" * 51) == 413
    assert put(server, batch, "b.jpg", b"x" * 10) == 200
    assert put(server, batch, "c.jpg", b"x") == 413
    assert (batch.bytes, batch.files) == (110, {"a.jpg", "b.jpg"})


def test_a_file_that_stands_where_a_folder_should_is_refused(server: Starlette) -> None:
    batch = clients.client().uploads.open()
    assert put(server, batch, "a.jpg", b"x") == 200
    assert put(server, batch, "a.jpg/b.jpg", b"x") == 409
    assert batch.bytes == 1


def test_a_full_disk_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "SPARE_BYTES", 2**62)
    uploads = Uploads(store)
    with pytest.raises(UploadRefused, match="full"):
        uploads.begin(uploads.open(), "a.jpg", 5)


@pytest.mark.parametrize(
    ("names", "source", "labels"),
    [
        (["t/a/1.jpg", "t/b/2.jpg"], "t", None),
        (["a/1.jpg", "b/2.jpg"], "", None),
        (["roses/1.jpg", "roses/2.jpg"], "", None),  # one folder of photos is a class
        (["p/1.jpg", "p/labels.csv"], "p", None),
        (["p/1.jpg", "labels.csv"], "p", "labels.csv"),
        (["1.jpg", "2.jpg", "labels.csv"], "", "labels.csv"),
        (["set.zip", "labels.csv"], "set.zip", "labels.csv"),
        (["set.tar.gz"], "set.tar.gz", None),
    ],
)
def test_what_was_dropped_is_understood(store: Store, names: list[str], source: str, labels: str | None) -> None:
    uploads = Uploads(store)
    batch = uploads.open()
    for name in names:
        coming = uploads.begin(batch, name, 1)
        coming.write_bytes(b"x")
        uploads.finish(batch, name, coming)
    arrived, files = uploads.arrived(batch), batch.folder / "files"
    assert arrived.source == files / source
    assert arrived.labels == (files / labels if labels else None)


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["a.zip", "b.zip"], ["a.zip", "1.jpg"]])
def test_what_can_not_be_taken_in_is_said(store: Store, names: list[str]) -> None:
    uploads = Uploads(store)
    batch = uploads.open()
    batch.files |= set(names)
    with pytest.raises(SourceError):
        uploads.arrived(batch)


def test_all_uploads_together_are_capped(
    server: Starlette, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uploads = clients.client().uploads
    one, other, elsewhere = uploads.open(), uploads.open(), Uploads(Store(tmp_path / "elsewhere")).open()
    monkeypatch.setattr(uploads_module, "dropped_bytes", lambda: 100)
    assert put(server, one, "a.jpg", b"x" * 60) == 200
    assert put(server, other, "b.jpg", b"x" * 41) == 413
    with pytest.raises(UploadRefused, match="together") as raised:
        uploads.begin(other, "b.jpg", 41)
    assert "FIELDGUIDE_MAX_DROPPED_GB" in raised.value.hint
    assert other.bytes == 0
    assert put(server, other, "b.jpg", b"x" * 40) == 200
    assert put(server, elsewhere, "c.jpg", b"x" * 99) == 200  # another studio's
    uploads.discard(one)
    assert put(server, other, "c.jpg", b"x" * 60) == 200


@pytest.mark.parametrize("given", ["0", "many", "-1", "1.5"])
def test_a_bound_that_is_no_number_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(MAX_DROPPED_GB.variable, given)
    with pytest.raises(UsageError, match=MAX_DROPPED_GB.variable):
        dropped_bytes()


def test_what_another_living_process_holds_counts_and_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(store)
    theirs = left_by(store, ProcessIdentity.of(os.getppid()), 70)
    os.utime(theirs, (0, 0))
    batch = uploads.open()
    assert theirs.exists()
    monkeypatch.setattr(uploads_module, "dropped_bytes", lambda: 100)
    with pytest.raises(UploadRefused, match="together"):
        uploads.begin(batch, "a.jpg", 31)


def left_by(store: Store, owner: ProcessIdentity | None, size: int = 1) -> Path:
    """Leave a batch of another process on the disk."""
    folder = store.cache_folder / "uploads" / f"left{size}"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "a.jpg").write_bytes(b"x" * size)
    (folder / OWNER_FILE).write_text(str(owner))
    return folder


def test_what_a_process_left_that_is_no_more_is_swept(store: Store) -> None:
    ended_process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = left_by(store, ProcessIdentity.of(ended_process.pid))
    uploads = Uploads(store)
    uploads.sweep()
    assert folder.exists()
    ended_process.communicate()
    uploads.sweep()
    assert not folder.exists()


def test_a_batch_that_nobody_came_back_for_is_swept_and_no_other(store: Store) -> None:
    uploads = Uploads(store)
    idle, asked, arriving, worked_with = (uploads.open() for _ in range(4))
    for batch in (idle, asked, worked_with):
        upload(uploads, batch, "a.jpg", b"x")
    coming = uploads.begin(arriving, "a.jpg", 1)
    with uploads.working(worked_with):
        for batch in (idle, asked, arriving, worked_with):
            long_ago(batch)
        assert uploads.find(asked.ticket) is asked
        fresh = uploads.open()
        assert [batch.folder.exists() for batch in (idle, asked, arriving, worked_with, fresh)] == [False] + [True] * 4
    assert uploads.find(idle.ticket) is None
    coming.write_bytes(b"x")
    uploads.finish(arriving, "a.jpg", coming)
    with pytest.raises(UploadRefused, match="discarded"):
        uploads.begin(idle, "b.jpg", 1)


def test_a_file_that_was_coming_when_its_batch_went_leaves_nothing(store: Store) -> None:
    uploads = Uploads(store)
    batch = uploads.open()
    coming = uploads.begin(batch, "a/b.jpg", 1)
    coming.write_bytes(b"x")
    uploads.discard(batch)
    with pytest.raises(UploadRefused, match="discarded"):
        uploads.finish(batch, "a/b.jpg", coming)
    uploads.give_up(batch, coming, 1)
    assert not batch.folder.exists()


def test_tabs_that_upload_at_once_do_not_disturb_each_other(server: Starlette, store: Store) -> None:
    def one_tab(number: int) -> Batch:
        batch = clients.client().uploads.open()
        for place in range(12):
            assert put(server, batch, f"class/{place}.jpg", f"{number} {place}".encode() * 5000) == 200
            if number % 2 == 0:
                clients.client().uploads.discard(clients.client().uploads.open())
        return batch

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(one_tab, range(4)))
    for number, batch in enumerate(batches):
        assert (len(batch.files), batch.coming) == (12, 0)
        for place in range(12):
            content = (batch.folder / "files" / "class" / f"{place}.jpg").read_bytes()
            assert content == f"{number} {place}".encode() * 5000
