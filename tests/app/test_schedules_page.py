"""The page Schedules: adding, holding and removing what happens by itself, and reading what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from flows.scheduling import add_schedule, run_now
from flows.watching import add_watch, import_now
from tests.app.homes import write_model
from tests.app.pages import copied, marked, opened, show, sound, words
from workflows.store.store import Store

page = partial(show, "schedules")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A store with a model `digits`."""
    return write_model(tmp_path_factory.mktemp("schedules") / "home", tiny_source).home


@pytest.fixture
def store(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A copy that a test may change."""
    with opened(copied(written, tmp_path), monkeypatch) as store:
        yield store


def test_a_schedule_is_added_held_and_removed(store: Store) -> None:
    test = page()
    assert "No model is retrained by itself yet" in words(test) and "fieldguide up" in words(test)
    test.text_input("new-cron").set_value("0 99 * * *").run()
    sound(test.button("new-add").click().run())
    assert "no cron line" in words(test) and store.schedules.list() == []
    test.text_input("new-cron").set_value("30 4 * * 1").run()
    sound(test.button("new-add").click().run())
    (schedule,) = store.schedules.list()
    assert (schedule.cron, schedule.settings["start_from"]) == ("30 4 * * 1", "pretrained")
    sound(test.button(f"pause-{schedule.id}").click().run())
    assert store.schedules.get(schedule.id).paused and "when it is resumed" in words(test)
    sound(test.button(f"resume-{schedule.id}").click().run())
    sound(test.button(f"run-{schedule.id}").click().run())
    assert store.schedules.firings()[0].state == "waiting"
    sound(test.button(f"remove-{schedule.id}").click().run())
    assert store.schedules.list() == []


def test_the_log_says_what_came_of_every_firing(store: Store) -> None:
    firing = run_now(store, add_schedule(store, "digits", every_seconds=3600))
    note = "kept: the champion's *stars* stay"
    store.schedules.update_firing(firing.id, state="done", note=note)
    test = page()
    (line,) = test.dataframe[0].value.to_dict("records")
    assert (line["Model"], line["Cause"], line["State"], line["Outcome"]) == ("digits", "by hand", "done", note)
    assert r"\*stars\*" in marked(test), "what people or models are called is no markup"


def test_watched_folders_show_their_last_import(store: Store, tiny_source: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_source, tmp_path / "new")
    test = page()
    test.text_input("watch-dataset").set_value("seen").run()
    test.text_input("watch-folder").set_value(str(tmp_path / "nowhere")).run()
    sound(test.button("watch-add").click().run())
    assert "no folder" in words(test)
    watch = add_watch(store, "seen", tmp_path / "new")
    import_now(store, watch)
    test = page()
    assert "version 1: 120 taken in" in words(test)
    sound(test.button(f"hold-{watch.id}").click().run())
    assert store.watched.get(watch.id).paused
