"""Photos on their way in: uploads to disk, and imports in processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import app.client as clients
from app.client import uploads as uploads_module
from app.client.datasets import Datasets
from app.client.jobs import Jobs
from app.client.uploads import KEPT_SECONDS, OWNER_FILE, Batch, UploadRefused, Uploads
from app.components.dataset_jobs import source_words
from app.upload_caps import DROPPED_VARIABLE, dropped_bytes
from app.upload_door import PATH, upload_routes
from flows.leash import Mark
from tests.app.trees import ended, write_trees
from workflows.data.sources import open_source
from workflows.errors import FieldguideError, SourceError, UsageError
from workflows.store.store import Store


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    clients._only.cache_clear()
    yield Store(home)
    clients._only.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_trees(tmp_path / "trees")


# --------------------------------------------------------------------- uploads


@pytest.fixture
def door(store: Store) -> Starlette:
    return Starlette(routes=upload_routes())


def put(door: Starlette, batch: Batch, name: str, content: bytes) -> int:
    async def send() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url="http://here") as http:
            answer = await http.put(f"{PATH}/{batch.ticket}", params={"name": name}, content=content)
        return answer.status_code

    return asyncio.run(send())


def test_uploaded_files_lie_on_disk_under_their_names(door: Starlette) -> None:
    batch = clients.client().uploads.open()
    big = bytes(range(256)) * 20_000
    assert put(door, batch, "trees/ash/1.jpg", big) == 200
    assert put(door, batch, "trees/birch/ä b.jpg", b"x") == 200
    assert (batch.folder / "files" / "trees/ash/1.jpg").read_bytes() == big
    assert batch.bytes == len(big) + 1
    arrived = clients.client().uploads.arrived(batch)
    assert (arrived.source, arrived.name) == (batch.folder / "files" / "trees", "trees")
    assert source_words(str(arrived.source)) == "upload trees"
    assert not any((batch.folder / "coming").iterdir())
    clients.client().uploads.discard(batch)
    assert not batch.folder.exists()
    assert put(door, batch, "a.jpg", b"x") == 404


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "", "a\0.jpg", "x" * 300, "a//b.jpg", "./a.jpg"]
)
def test_names_that_lead_elsewhere_are_refused(door: Starlette, name: str) -> None:
    batch = clients.client().uploads.open()
    assert put(door, batch, name, b"x") == 413
    assert batch.bytes == 0
    assert [path.name for path in batch.folder.rglob("*") if path.is_file()] == [OWNER_FILE]


def test_uploads_are_capped_per_file_in_total_and_in_number(door: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(uploads_module, "MAX_TOTAL_BYTES", 150)
    monkeypatch.setattr(uploads_module, "MAX_FILES", 2)
    batch = clients.client().uploads.open()
    assert put(door, batch, "a.jpg", b"x" * 101) == 413
    assert put(door, batch, "a.jpg", b"x" * 100) == 200
    assert put(door, batch, "b.jpg", b"x" * 51) == 413
    assert put(door, batch, "b.jpg", b"x" * 10) == 200
    assert put(door, batch, "c.jpg", b"x") == 413
    assert (batch.bytes, batch.files) == (110, {"a.jpg", "b.jpg"})


def test_a_file_that_stands_where_a_folder_should_is_refused(door: Starlette) -> None:
    batch = clients.client().uploads.open()
    assert put(door, batch, "a.jpg", b"x") == 200
    assert put(door, batch, "a.jpg/b.jpg", b"x") == 409
    assert batch.bytes == 1


def test_a_full_disk_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "SPARE_BYTES", 2**62)
    uploads = Uploads(store)
    with pytest.raises(UploadRefused, match="no room"):
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


# ------------------------------------------------------- all uploads together


def fill(uploads: Uploads, batch: Batch, name: str, content: bytes) -> None:
    coming = uploads.begin(batch, name, len(content))
    coming.write_bytes(content)
    uploads.finish(batch, name, coming)


def long_ago(batch: Batch) -> None:
    batch.used -= 2 * KEPT_SECONDS
    os.utime(batch.folder, (batch.used, batch.used))


def test_all_uploads_together_are_capped(
    door: Starlette, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uploads = clients.client().uploads
    one, other, elsewhere = uploads.open(), uploads.open(), Uploads(Store(tmp_path / "elsewhere")).open()
    monkeypatch.setattr(uploads_module, "dropped_bytes", lambda: 100)
    assert put(door, one, "a.jpg", b"x" * 60) == 200
    assert put(door, other, "b.jpg", b"x" * 41) == 413
    with pytest.raises(UploadRefused, match="together") as raised:
        uploads.begin(other, "b.jpg", 41)
    assert "FIELDGUIDE_MAX_DROPPED_GB" in raised.value.hint
    assert other.bytes == 0
    assert put(door, other, "b.jpg", b"x" * 40) == 200
    assert put(door, elsewhere, "c.jpg", b"x" * 99) == 200  # another studio's
    uploads.discard(one)
    assert put(door, other, "c.jpg", b"x" * 60) == 200


@pytest.mark.parametrize("given", ["0", "many", "-1", "1.5"])
def test_a_bound_that_is_no_number_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(DROPPED_VARIABLE, given)
    with pytest.raises(UsageError, match="whole number of GB"):
        dropped_bytes()


def test_what_another_living_process_holds_counts_and_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(store)
    theirs = left_by(store, Mark.of(os.getppid()), 70)
    os.utime(theirs, (0, 0))
    batch = uploads.open()
    assert theirs.exists()
    monkeypatch.setattr(uploads_module, "dropped_bytes", lambda: 100)
    with pytest.raises(UploadRefused, match="together"):
        uploads.begin(batch, "a.jpg", 31)


def left_by(store: Store, owner: Mark | None, size: int = 1) -> Path:
    """Leave a batch of another process on the disk."""
    folder = store.cache_folder / "uploads" / f"left{size}"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "a.jpg").write_bytes(b"x" * size)
    (folder / OWNER_FILE).write_text(str(owner))
    return folder


def test_what_a_process_left_that_is_no_more_is_swept(store: Store) -> None:
    ended_process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = left_by(store, Mark.of(ended_process.pid))
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
        fill(uploads, batch, "a.jpg", b"x")
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
    with pytest.raises(UploadRefused, match="let go"):
        uploads.begin(idle, "b.jpg", 1)


def test_a_file_that_was_coming_when_its_batch_went_leaves_nothing(store: Store) -> None:
    uploads = Uploads(store)
    batch = uploads.open()
    coming = uploads.begin(batch, "a/b.jpg", 1)
    coming.write_bytes(b"x")
    uploads.discard(batch)
    with pytest.raises(UploadRefused, match="let go"):
        uploads.finish(batch, "a/b.jpg", coming)
    uploads.give_up(batch, coming, 1)
    assert not batch.folder.exists()


def test_an_upload_is_not_swept_while_it_is_imported(store: Store, folder: Path) -> None:
    uploads, jobs = Uploads(store), Jobs(store)
    batch = uploads.open()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        fill(uploads, batch, path.relative_to(folder.parent).as_posix(), path.read_bytes())
    source = str(uploads.arrived(batch).source)
    uploads.keep(batch)  # as `hand_over` does
    job = jobs.start("import", "trees", {"source": source, "ratios": [60, 20, 20]}, then=lambda: uploads.discard(batch))
    while job.running:
        long_ago(batch)
        Uploads(store).sweep()
        time.sleep(0.05)
    assert job.error is None
    assert (job.result or {})["accepted"] == 30
    ended(job)
    assert not batch.folder.exists()


def test_tabs_that_upload_at_once_do_not_disturb_each_other(door: Starlette, store: Store) -> None:
    def one_tab(number: int) -> Batch:
        batch = clients.client().uploads.open()
        for place in range(12):
            assert put(door, batch, f"class/{place}.jpg", f"{number} {place}".encode() * 5000) == 200
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


# ------------------------------------------------------------------------ jobs


def test_a_source_is_looked_through_and_imported_in_processes_of_their_own(store: Store, folder: Path) -> None:
    jobs = Jobs(store)
    looked = ended(jobs.start("look", "", {"source": str(folder)}))
    assert looked.error is None
    assert looked.result is not None
    assert sorted(looked.result["counts"]) == [["ash", None, 11], ["birch", None, 10], ["cedar", None, 10]]
    assert looked.result["ignored"] == [["notes.txt", "not an image by its name"]]
    after: list[int] = []
    asked = {"source": str(folder), "ratios": [60, 20, 20]}
    done = ended(jobs.start("import", "trees", asked, then=partial(after.append, 1)))
    assert done.error is None
    assert done.result is not None
    assert (done.result["accepted"], done.result["rejected"], done.result["ignored"]) == (30, 1, 1)
    assert after == [1]
    datasets = Datasets(store)
    counts = datasets.images(datasets.version("trees")).counts
    assert counts.loc[["ash"], ["train", "val", "test"]].to_numpy().tolist() == [[6, 2, 2]]
    report = datasets.audit("trees")
    assert report is not None
    assert report.find("rejected-files") is not None
    assert [kept.path for kept in datasets.quarantined("trees")] == ["ash/broken.png"]


def test_an_import_that_fails_says_why_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    job = ended(Jobs(store).start("import", "nothing", {"source": str(tmp_path / "absent"), "ratios": [70, 15, 15]}))
    assert job.error is not None
    assert "absent" in job.error.message
    assert job.error.hint
    assert Datasets(store).names() == []


def test_a_refused_upload_is_called_by_its_own_name(store: Store) -> None:
    uploads, jobs = clients.client().uploads, Jobs(store)
    wrapped, bare = uploads.open(), uploads.open()
    for batch, top in ((wrapped, "set/"), (bare, "")):
        for name in ("ash/1.jpg", "birch/notes.txt"):
            fill(uploads, batch, f"{top}{name}", b"x")
    for source, name in ((wrapped.folder / "files" / "set", "in set"), (bare.folder / "files", "in what was dropped")):
        job = ended(jobs.start("look", "", {"source": str(source)}))
        assert job.error is not None
        assert name in job.error.message
        assert str(store.home) not in str(job.error)
        assert job.error.hint


FAULTY: dict[str, dict[str, bytes]] = {
    "empty": {},
    "no photo": {"notes.txt": b"x"},
    "one class": {"ash/1.jpg": b"x"},
    "an empty class": {"ash/1.jpg": b"x", "birch/notes.txt": b"x"},
    "splits without classes": {"train/1.jpg": b"x", "val/2.jpg": b"x"},
    "no split to learn from": {
        "1.jpg": b"x",
        "2.jpg": b"x",
        "labels.csv": b"filename,label,split\n1.jpg,a,val\n2.jpg,b,test",
    },
    "splits in part": {"1.jpg": b"x", "2.jpg": b"x", "labels.csv": b"filename,label,split\n1.jpg,a,train\n2.jpg,b,"},
    "a class only to test": {"train/a/1.jpg": b"x", "val/a/1.jpg": b"y", "train/b/1.jpg": b"z", "val/c/3.jpg": b"w"},
    "labels in Latin-1": {"1.jpg": b"x", "labels.csv": b"filename,label\n1.jpg,Bl\xfcte"},
    "labels without columns": {"1.jpg": b"x", "labels.csv": b"file,what\n1.jpg,a"},
    "two labels": {"1.jpg": b"x", "2.jpg": b"x", "labels.csv": b"filename,label\n1.jpg,a\n1.jpg,b\n2.jpg,b"},
    "labels of other photos": {"1.jpg": b"x", "labels.csv": b"filename,label\n8.jpg,a\n9.jpg,b"},
    "broken XML": {"1.jpg": b"x", "annotations.xml": b"<annotations><image"},
}


@pytest.mark.parametrize("kind", FAULTY)
def test_every_fault_of_a_source_says_what_to_do_in_the_studio(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in FAULTY[kind].items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    labels = source / "labels.csv"
    with (
        pytest.raises(FieldguideError) as raised,
        open_source(source, labels if labels.exists() else None, workspace=tmp_path / "workspace"),
    ):
        pass
    helps(raised.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"Rar!\x1a\x07\x00", b"no archive"])
def test_every_fault_of_an_archive_says_what_to_do_in_the_studio(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "set.zip"
    archive.write_bytes(content)
    with pytest.raises(FieldguideError) as raised, open_source(archive, workspace=tmp_path / "workspace"):
        pass
    helps(raised.value)


def helps(error: FieldguideError) -> None:
    """The advice is a sentence that tells to do something, without the command line, and not the fault again."""
    assert re.search(
        r"\b(Choose|Put|Give|Add|Name|Drop|Pack|Correct|Rename|Fill|Call|Expected|Export|must)\b",
        error.hint,
        re.IGNORECASE,
    ), error
    assert "--" not in error.hint
    assert "fieldguide" not in error.hint.lower()


def test_work_can_be_stopped(store: Store, folder: Path) -> None:
    job = Jobs(store).start("import", "trees", {"source": str(folder), "ratios": [70, 15, 15]})
    while job.process is None and job.running:
        time.sleep(0.01)
    job.stop()
    ended(job)
    assert (job.error is not None and "stopped" in job.error.message) or job.result is not None
