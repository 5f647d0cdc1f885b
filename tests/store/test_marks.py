"""Titles, notes, tags and stars: set, searched, forgotten with what they belong to."""

from __future__ import annotations

import pytest

from workflows.errors import RunError, UsageError
from workflows.store.marks import MAX_TITLE, version_key
from workflows.store.run_list import count_runs, newest_runs
from workflows.store.store import Store


def run_of(store: Store, **marks: object) -> str:
    run_id = store.runs.create("a", {}).run_id
    store.marks.change("run", run_id, **marks)  # type: ignore[arg-type]
    return run_id


def test_only_what_is_given_changes(store: Store) -> None:
    assert store.marks.get("run", "a").empty
    store.marks.change("run", "a", title="  without \n blur ", tags=["paper", " ", "paper", "Über uns"])
    store.marks.change("run", "a", note="line\nline", starred=True)
    found = store.marks.get("run", "a")
    assert (found.title, found.note, found.starred) == ("without blur", "line\nline", True)
    assert found.tags == ("paper", "Über uns")
    assert store.marks.all("dataset") == {}


def test_an_empty_mark_is_none(store: Store) -> None:
    store.marks.change("run", "a", title="x")
    store.marks.change("run", "a", title="")
    assert store.marks.all("run") == {}


@pytest.mark.parametrize("wrong", [{"title": "x" * (MAX_TITLE + 1)}, {"tags": ["a,b"]}, {"note": "x" * 10_001}])
def test_what_is_too_long_is_refused(store: Store, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        store.marks.change("run", "a", **wrong)  # type: ignore[arg-type]


def test_runs_are_found_by_all_that_people_added(store: Store) -> None:
    plain = store.runs.create("plain", {}).run_id
    called, noted = run_of(store, title="ÜBER alles", starred=True), run_of(store, note="für Ada", tags=["paper"])

    def found(**filters: object) -> set[str]:
        runs = newest_runs(store.database, 10, **filters)  # type: ignore[arg-type]
        assert sum(count_runs(store.database, **filters).values()) == len(runs)  # type: ignore[arg-type]
        return {run.run_id for run in runs}

    assert found() == {plain, called, noted}
    assert found(text="über") == {called} and found(text="ada") == found(text="PAPER") == {noted}
    assert found(text="plain-") == {plain} and found(text="%") == set()
    assert found(tags=["paper"]) == {noted} and found(starred=True) == {called}
    assert found(tags=["paper"], starred=True) == set()
    assert store.marks.among("run", [plain, called, noted], "PLAIN") == [plain]
    assert store.marks.among("run", [plain, called, noted], starred=True) == [called]
    assert store.marks.tags("run") == ["paper"]


def test_a_run_is_found_by_its_title_unless_two_have_it(store: Store) -> None:
    one = run_of(store, title="best so far")
    assert store.runs.get("Best so far").run_id == one
    run_of(store, title="best so far")
    with pytest.raises(RunError) as refused:
        store.runs.get("best so far")
    assert len(refused.value.problems) == 2
    assert store.runs.get(one).run_id == one


def test_marks_go_with_what_they_belong_to(store: Store) -> None:
    run_id = run_of(store, starred=True)
    store.runs.update(run_id, state="failed")
    store.runs.delete(run_id)
    store.datasets.claim("set", "/photos")
    store.marks.change("dataset", "set", note="x")
    store.datasets.delete("set")
    assert store.marks.all("run") == store.marks.all("dataset") == {}
    assert version_key("set", 3) == "set:3"
