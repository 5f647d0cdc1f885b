"""Histories and differences; and edits at random, whose promises hold whatever their order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.conftest import MakeImages, encoded, picture, write
from tests.data.test_edits import ids
from tests.properties import examples
from tests.texts import numbers
from workflows.data.catalog import get_version, list_versions
from workflows.data.edits import merge_classes, move, relabel, remove, rename_class
from workflows.data.history import change_words, diff, history, in_words
from workflows.data.importing import add_dataset
from workflows.data.undoing import redo, restore, undo
from workflows.data.version import SPLITS, DatasetVersion
from workflows.errors import DatasetError, UsageError
from workflows.store.store import Store

CLASSES = ("a", "b", "c")
EDITS = ("relabel", "unlabel", "remove", "move", "rename", "merge", "undo", "redo", "restore")


def test_history_says_who_when_why_and_what(store: Store, make_images: MakeImages) -> None:
    first = add_dataset(store, "set", make_images(a=8, b=8)).version
    relabel(store, "set", dict.fromkeys(ids(first, label="a")[:2], "b"), author="ada", reason="were b")
    remove(store, "set", ids(first)[:1], author="bob")
    undo(store, "set", author="eve")
    newest, removal, relabelling, start = history(store, "set")
    assert [change.action for change in (start, relabelling, removal, newest)] == [
        "import",
        "relabel",
        "remove",
        "undo",
    ]
    assert (relabelling.author, relabelling.reason, relabelling.parent) == ("ada", "were b", 1)
    assert [c.in_words() for c in (start, relabelling, removal, newest)] == ["+16", "2 relabelled", "-1", "+1"]
    assert newest.created_at >= start.created_at and start.parent is None


def test_diff_names_the_images(store: Store, make_images: MakeImages) -> None:
    first = add_dataset(store, "set", make_images(a=8, b=8)).version
    changed, gone = ids(first, label="a")[0], ids(first, label="b")[0]
    relabel(store, "set", {changed: "c"})
    remove(store, "set", [gone])
    found = diff(store, "set", 1, 3)
    assert [(each.image_id, each.before, each.after) for each in found.relabelled] == [(changed, "a", "c")]
    assert [(each.image_id, each.before, each.after) for each in found.removed] == [(gone, "b", None)]
    assert (found.classes_added, found.classes_removed, found.empty) == (("c",), (), False)
    assert numbers(in_words(found)) == [1, 3, 1, 1] and in_words(found).startswith("set")
    assert change_words(found) == "1 label changed, 1 image removed"
    assert change_words(diff(store, "set", 2, 2)) == "nothing changed"
    backwards = diff(store, "set", 3, 1)
    assert [each.image_id for each in backwards.added] == [gone]
    assert diff(store, "set", 2, 2).empty
    with pytest.raises(DatasetError, match="no version 9"):
        diff(store, "set", 1, 9)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 3 x 8 images."""
    folder = tmp_path_factory.mktemp("source")
    for label in CLASSES:
        for number in range(8):
            write(folder / label / f"{number}.png", encoded(picture((label, number), (12, 12))))
    return folder


def edit_somehow(store: Store, newest: DatasetVersion, kind: str, data: st.DataObject) -> None:
    """Do one edit with drawn images and classes; what can't be done is refused with words, and changes nothing."""
    known = ids(newest)
    some = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=6, unique=True))
    label = data.draw(st.sampled_from([*CLASSES, "new"]))
    try:
        if kind == "relabel":
            relabel(store, "set", dict.fromkeys(some, label))
        elif kind == "unlabel":
            relabel(store, "set", dict.fromkeys(some, None))
        elif kind == "remove":
            remove(store, "set", some)
        elif kind == "move":
            move(store, "set", dict.fromkeys(some, data.draw(st.sampled_from(SPLITS))))
        elif kind == "rename":
            rename_class(store, "set", label, data.draw(st.sampled_from(["new", "other"])))
        elif kind == "merge":
            merge_classes(store, "set", [label], data.draw(st.sampled_from(CLASSES)))
        elif kind == "restore":
            restore(store, "set", data.draw(st.sampled_from(list_versions(store, "set"))).number)
        else:
            {"undo": undo, "redo": redo}[kind](store, "set")
    except (DatasetError, UsageError):
        assert get_version(store, "set") == newest


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(kinds=st.lists(st.sampled_from(EDITS), min_size=1, max_size=8), data=st.data())
def test_edits_at_random(source: Path, kinds: list[str], data: st.DataObject) -> None:
    """Totals hold, untouched images keep their splits, older versions stay, whatever was undone or restored."""
    with tempfile.TemporaryDirectory() as home:
        store = Store(Path(home))
        add_dataset(store, "set", source, threads=1)
        tables = {1: get_version(store, "set").table()}
        for kind in kinds:
            before = get_version(store, "set")
            edit_somehow(store, before, kind, data)
            after = get_version(store, "set")
            if after == before:
                continue
            tables[after.number] = after.table()
            found = diff(store, "set", before.number, after.number)
            assert before.images + len(found.added) - len(found.removed) == after.images == len(after.table())
            if kind not in ("move", "undo", "redo", "restore"):
                touched = {change.image_id for change in found.relabelled}
                assert {change.image_id for change in found.moved if change.before is not None} <= touched
            taught = after.labelled()
            assert (taught.groupby("sha256")["split"].nunique() <= 1).all()
            assert set(after.classes) == set(after.table()["label"].dropna())
        for version in list_versions(store, "set"):
            if version.number in tables:
                assert version.table().equals(tables[version.number])
