"""Imports in processes of their own: looked through, imported, refused in words, stopped."""

from __future__ import annotations

import re
import signal
import time
from functools import partial
from pathlib import Path

import pytest

import app.client as clients
from app.client.datasets import Datasets
from app.client.jobs import Jobs
from app.client.uploads import Uploads
from tests.app.trees import ended
from tests.app.uploading import long_ago, upload
from workflows.data import reasons
from workflows.data.sources import open_source
from workflows.errors import FieldguideError
from workflows.store.store import Store


def test_a_source_is_looked_through_and_imported_in_processes_of_their_own(store: Store, folder: Path) -> None:
    jobs = Jobs(store)
    looked = ended(jobs.start("scan", "", {"source": str(folder)}))
    assert looked.error is None
    assert looked.result is not None
    assert sorted(looked.result["counts"]) == [["ash", None, 11], ["birch", None, 10], ["cedar", None, 10]]
    assert looked.result["ignored"] == [["notes.txt", reasons.NO_IMAGE]]
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
            upload(uploads, batch, f"{top}{name}", b"x")
    for source, name in ((wrapped.folder / "files" / "set", "in set"), (bare.folder / "files", "in what was dropped")):
        job = ended(jobs.start("scan", "", {"source": str(source)}))
        assert job.error is not None
        assert name in job.error.message
        assert str(store.home) not in str(job.error)
        assert job.error.hint


def test_an_upload_is_not_swept_while_it_is_imported(store: Store, folder: Path) -> None:
    uploads, jobs = Uploads(store), Jobs(store)
    batch = uploads.open()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        upload(uploads, batch, path.relative_to(folder.parent).as_posix(), path.read_bytes())
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
        r"\b(Choose|Create|Put|Give|Add|Name|Drop|Pack|Correct|Rename|Fill|Call|Expected|Export|must)\b",
        error.hint,
        re.IGNORECASE,
    ), error
    assert "--" not in error.hint
    assert "fieldguide" not in error.hint.lower()


@pytest.mark.parametrize("at_once", [True, False])
def test_work_can_be_stopped(store: Store, folder: Path, at_once: bool) -> None:
    job = Jobs(store).start("import", "trees", {"source": str(folder), "ratios": [70, 15, 15]})
    if not at_once:
        while job.process is None:
            assert job.running
            time.sleep(0.001)
        job.process.send_signal(signal.SIGSTOP)  # or it might be done first
    job.stop()
    if job.process is not None:
        job.process.send_signal(signal.SIGCONT)
    ended(job)
    assert job.result is None
    assert job.error is not None and "stopped" in job.error.message
    assert Datasets(store).names() == []
