"""Photos on their way in: uploads to disk, and imports in processes of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import app.client as clients
from app.client import uploads as uploads_module
from app.client.datasets import Datasets
from app.client.jobs import Jobs
from app.client.uploads import Batch, UploadRefused, Uploads
from app.components.dataset_jobs import source_words
from app.upload_door import PATH, upload_routes
from tests.app.trees import ended, write_trees
from workflows.errors import SourceError
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
    assert [path for path in batch.folder.rglob("*") if path.is_file()] == []


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


def test_work_can_be_stopped(store: Store, folder: Path) -> None:
    job = Jobs(store).start("import", "trees", {"source": str(folder), "ratios": [70, 15, 15]})
    while job.process is None and job.running:
        time.sleep(0.01)
    job.stop()
    ended(job)
    assert (job.error is not None and "stopped" in job.error.message) or job.result is not None
