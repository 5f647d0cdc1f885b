"""Deleting data sets: what is shared stays, what runs need is not deleted by accident, kills leave no half."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.data.conftest import MakeImages, write
from tests.data.test_killed_imports import blobs, die, end, start
from workflows.data import deletion
from workflows.data.catalog import list_datasets
from workflows.data.deletion import BLOBS_LOCK, delete_dataset, deletion_plan, finish_deletions
from workflows.data.edits import remove
from workflows.data.importing import add_dataset
from workflows.data.thumbnails import thumbnail
from workflows.errors import DatasetError
from workflows.store.blobs import Blobs
from workflows.store.datasets import DatasetRecords
from workflows.store.locks import hold
from workflows.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def two_sets(store: Store, make_images: MakeImages) -> tuple[set[str], set[str]]:
    """Two data sets that share 10 of their 20 pictures; returns the contents of each."""
    source = make_images(a=10, b=10)
    other = make_images(below="other", a=5, b=5)
    for number in range(5):
        for label in "ab":
            write(other / label / f"same{number}.png", (source / label / f"{number}.png").read_bytes())
    return tuple(  # type: ignore[return-value]
        set(add_dataset(store, name, folder).version.table()["sha256"])
        for name, folder in (("set", source), ("other", other))
    )


def traces(store: Store) -> list[str]:
    return [path.name for path in (store.home / "datasets").iterdir()]


def test_what_others_share_stays(store: Store, make_images: MakeImages) -> None:
    current, others = two_sets(store, make_images)
    remove(store, "set", list(list_datasets(store)[1].table()["image_id"])[:3])  # in the first version they are still
    picture = thumbnail(store, next(iter(current - others)))
    store.reviews.add("set", ["0" * 16], "look")
    plan = deletion_plan(store, "set")
    assert (plan.versions, plan.images, plan.shared, plan.runs) == (2, 20, 10, ())
    assert 0 < plan.bytes_freed < plan.bytes_total
    assert len(blobs(store)) == 30 and list_datasets(store)[1].name == "set"  # a plan changes nothing
    done = delete_dataset(store, "set")
    assert done.finished and done.plan == plan
    assert set(blobs(store)) == others and not picture.exists()
    assert [version.name for version in list_datasets(store)] == traces(store) == ["other"]
    assert store.reviews.list("set", done=True) == []
    with pytest.raises(DatasetError, match="'set'"):
        delete_dataset(store, "set")


def test_the_name_is_free_again(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=5, b=5)
    first = add_dataset(store, "set", source).version
    delete_dataset(store, "set")
    again = add_dataset(store, "set", source).version
    assert (again.number, again.fingerprint) == (1, first.fingerprint) and len(blobs(store)) == 10


def test_runs_hold_their_data_set(store: Store, make_images: MakeImages) -> None:
    add_dataset(store, "set", make_images(a=5, b=5))
    run = store.runs.create("set", {"dataset": "set"})
    write(store.run_folder(run.run_id).report, b"report")
    store.runs.update(run.run_id, state="finished", dataset="set", version=1)
    other = store.runs.create("set", {"dataset": "set"})
    plan = deletion_plan(store, "set")
    assert set(plan.runs) == {run.run_id, other.run_id} and plan.active_runs == (other.run_id,)
    with pytest.raises(DatasetError, match=r"2 runs .*'set'"):
        delete_dataset(store, "set")
    assert len(blobs(store)) == 10
    delete_dataset(store, "set", force=True)
    assert store.runs.get(run.run_id).dataset == "set"
    assert store.run_folder(run.run_id).report.read_bytes() == b"report"


def test_an_import_at_work_is_waited_for(
    store: Store, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be about to use a picture that it found here: files go only when no import is at work."""
    monkeypatch.setattr(deletion, "_PATIENCE_SECONDS", 0.0)
    add_dataset(store, "set", make_images(a=5, b=5))
    with hold(store.locks_folder / BLOBS_LOCK, shared=True):
        assert not delete_dataset(store, "set").finished
        assert list_datasets(store) == [] and len(blobs(store)) == 10
    add_dataset(store, "next", make_images(below="next", a=5, b=5))
    assert len(blobs(store)) == 10 and traces(store) == ["next"]


@pytest.mark.parametrize("moment", ["mark", "records", "aside", "blob", "folder"])
def test_killed_deletion(store: Store, make_images: MakeImages, moment: str) -> None:
    """Before the records go, the data set is whole; afterwards it is gone, and the next attempt removes the rest."""
    _, others = two_sets(store, make_images)

    def delete_and_die() -> None:
        if moment == "mark":
            DatasetRecords.delete = die  # type: ignore[method-assign]
        elif moment == "records":
            deletion._put_aside = die
        elif moment == "aside":
            deletion.referenced = lambda *_, without="": set() if without else die()  # type: ignore[assignment]
        elif moment == "blob":
            remaining = iter(range(3))
            blob_remove = Blobs.remove
            Blobs.remove = lambda *args: blob_remove(*args) if next(remaining, None) is not None else die()  # type: ignore
        else:
            deletion.shutil.rmtree = die  # type: ignore[assignment]
        delete_dataset(Store(), "set")

    assert end(start(delete_and_die)) == -signal.SIGKILL
    assert finish_deletions(store)
    if moment == "mark":
        assert len(blobs(store)) == 30 and [version.name for version in list_datasets(store)] == ["other", "set"]
        delete_dataset(store, "set")
    assert set(blobs(store)) == others and traces(store) == ["other"]


def test_damaged_data_sets_can_be_deleted(store: Store, make_images: MakeImages) -> None:
    version = add_dataset(store, "set", make_images(a=5, b=5)).version
    (version.folder / "images.parquet").write_bytes(b"damaged")
    assert delete_dataset(store, "set").finished
    assert traces(store) == [] and len(blobs(store)) == 10  # nobody knows whose they were


def test_test_sets_of_models_stay(store: Store, make_images: MakeImages, tmp_path: Path) -> None:
    version = add_dataset(store, "set", make_images(a=10, b=10)).version
    test = version.table().query("split == 'test'")
    folder = store.home / "models" / "best" / "1"
    folder.mkdir(parents=True)
    test.to_parquet(folder / "test_images.parquet")
    delete_dataset(store, "set")
    assert set(blobs(store)) == set(test["sha256"])
