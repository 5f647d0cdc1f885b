"""Undo walks back, redo walks forward, and any version can be restored: against a list with a finger on it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.conftest import encoded, picture, write
from tests.properties import examples
from workflows.data.catalog import get_version, list_versions
from workflows.data.edits import rename_class
from workflows.data.importing import add_dataset
from workflows.data.undoing import redo, restore, timeline, undo
from workflows.errors import DatasetError
from workflows.store.store import Store


def imported(home: Path) -> Store:
    """Return a store with the set `set` of one version, whose class `a` edits rename."""
    store = Store(home / "home")
    for number in range(8):
        write(home / "set" / "ab"[number % 2] / f"{number}.png", encoded(picture(number, (12, 12))))
    add_dataset(store, "set", home / "set", threads=1)
    return store


def name_of(store: Store, number: int | None = None) -> str:
    return next(each for each in get_version(store, "set", number).classes if each != "b")


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    presses=st.lists(st.sampled_from(["edit", "undo", "undo", "redo", "restore"]), min_size=1, max_size=10),
    data=st.data(),
)
def test_presses_in_any_order(presses: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = imported(Path(place))
        states, finger, seen = ["a"], 0, {1: "a"}
        for number, press in enumerate(presses):
            if press in ("edit", "restore"):
                wanted = f"name-{number}"
                if press == "restore":
                    chosen = data.draw(st.sampled_from(sorted(seen)))
                    wanted = seen[chosen]
                    restore(store, "set", chosen)
                else:
                    rename_class(store, "set", states[finger], wanted)
                if wanted != states[finger]:
                    states, finger = [*states[: finger + 1], wanted], finger + 1
            elif 0 <= (moved := finger + (1 if press == "redo" else -1)) < len(states):
                (redo if press == "redo" else undo)(store, "set")
                finger = moved
            else:
                with pytest.raises(DatasetError, match=press):
                    (redo if press == "redo" else undo)(store, "set")
            newest = get_version(store, "set")
            seen[newest.number] = name_of(store)
            assert seen[newest.number] == states[finger]
        line = timeline(list_versions(store, "set"))
        assert [seen[each] for each in (*line.past, *reversed(line.future))] == states
        assert all(seen[number] == seen[equal] and equal < number for number, equal in line.equals.items())


def test_an_undo_of_an_undo_of_earlier_releases_is_a_redo(tmp_path: Path) -> None:
    store = imported(tmp_path)
    rename_class(store, "set", "a", "x")
    undo(store, "set")
    redo(store, "set")
    versions = list_versions(store, "set")
    assert versions[-1].action == "redo"
    object.__setattr__(versions[-1], "action", "undo")  # as they wrote it
    assert timeline(versions).past == (1, 2) and timeline(versions).future == ()


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    store = imported(tmp_path)
    for refused, named in (
        (lambda: undo(store, "set"), "undo"),
        (lambda: redo(store, "set"), "redo"),
        (lambda: restore(store, "set", 2), r"\b2\b"),
    ):
        with pytest.raises(DatasetError, match=named):
            refused()
    assert restore(store, "set", 1).number == 1


def test_the_newest_made_by_undo_is_a_version_of_its_own(tmp_path: Path) -> None:
    store = imported(tmp_path)
    first = get_version(store, "set")
    rename_class(store, "set", "a", "x")
    third = undo(store, "set", author="Ada")
    assert (third.number, third.parent, third.action, third.author) == (3, 2, "undo", "Ada")
    assert third.fingerprint == first.fingerprint and third.table().equals(first.table())
