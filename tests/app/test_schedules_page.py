"""The page Schedules: adding, holding and removing what happens by itself, and reading what came of it."""

from __future__ import annotations

import re
import shutil
from datetime import time
from functools import partial
from pathlib import Path

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from flows.scheduling import add_schedule, run_now
from flows.watching import add_watch, import_now
from tests.app.homes import write_model
from tests.app.pages import button_keys, marked, show, sound, words
from tests.texts import mentions
from workflows.requests import RetrainSettings
from workflows.state import State
from workflows.store.store import Store

page = partial(show, "schedules")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Path:
    """A store with a model `digits`."""
    return write_model(tmp_path_factory.mktemp("schedules") / "home", tiny_source).home


def form(test: AppTest, which: str = "schedule-new") -> AppTest:
    """Open a form of the page."""
    return sound(test.button(which).click().run())


def in_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the browser be in a time zone."""
    monkeypatch.setattr(ContextProxy, "timezone", property(lambda self: zone))


def test_a_schedule_is_added_held_and_removed(store: Store) -> None:
    test = page()
    assert not [key for key in button_keys(test) if key.startswith("pause-")] and "fieldguide up" in words(test)
    test = form(test)
    sound(test.button_group("new-kind").set_value("cron").run())
    test.text_input("new-cron").set_value("0 99 * * *").run()
    sound(test.button("new-add").click().run())
    assert "'0 99 * * *' is not a cron" in words(test) and store.schedules.list() == []
    test.text_input("new-cron").set_value("0 0 30 2 *").run()
    sound(test.button("new-add").click().run())
    assert "'0 0 30 2 *' never matches" in words(test) and store.schedules.list() == []
    test.text_input("new-cron").set_value("30 4,5 * * 1").run()
    assert len(re.findall(r"\d{4}-\d\d-\d\d 0[45]:30", words(test))) == 3, "the next times are shown before it is added"
    sound(test.button("new-add").click().run())
    (schedule,) = store.schedules.list()
    assert (schedule.cron, schedule.settings["start_from"]) == ("30 4,5 * * 1", "pretrained")
    assert "new-add" not in button_keys(test), "the form closes when it is saved"
    sound(test.button(f"pause-{schedule.id}").click().run())
    assert store.schedules.get(schedule.id).paused and f"pause-{schedule.id}" not in button_keys(test)
    sound(test.button(f"resume-{schedule.id}").click().run())
    sound(test.button(f"run-{schedule.id}").click().run())
    assert store.schedules.scheduled_runs()[0].state == State.PENDING
    sound(test.button(f"remove-{schedule.id}").click().run())
    assert store.schedules.list() == []


def test_days_and_a_time_of_day_are_set_by_the_clock_of_the_browser(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_zone("Asia/Kolkata", monkeypatch)
    test = form(page())
    test.button_group("new-days").set_value([]).run()
    assert test.button("new-add").disabled, "without a day there is no time"
    test.button_group("new-days").set_value([1, 6]).run()
    sound(test.time_input("new-clock").set_value(time(4, 35)).run())
    assert len(re.findall(r"(Tue|Sun) \d{4}-\d\d-\d\d 04:35 IST", words(test))) == 3
    assert "`35 4 * * 0,2`" in marked(test), "the cron line of these times is shown beside them"
    sound(test.button("new-add").click().run())
    (schedule,) = store.schedules.list()
    assert (schedule.cron, schedule.timezone) == ("35 4 * * 0,2", "Asia/Kolkata")
    assert len(re.findall(r"(Tue|Sun) \d{4}-\d\d-\d\d 04:35 IST", words(test))) == 3, "the card shows the next dates"
    in_zone("Europe/Berlin", monkeypatch)
    assert re.search(r"by your clock \w{3} \d{4}-\d\d-\d\d \d\d:05 CES?T", words(page()))


def test_a_schedule_is_edited_in_the_form_that_made_it(store: Store) -> None:
    settings = RetrainSettings(epochs=3, start_from="both")
    made = add_schedule(
        store, "digits", cron="0 3 * * 1-5", timezone="Asia/Kolkata", settings=settings, overlap="queue"
    )
    test = form(page(), f"edit-{made.id}")
    assert test.button_group(f"{made.id}-days").value == [0, 1, 2, 3, 4]
    assert test.time_input(f"{made.id}-clock").value == time(3)
    assert test.selectbox(f"{made.id}-zone").value == "Asia/Kolkata"
    test.selectbox(f"{made.id}-zone").set_value("Europe/Berlin").run()
    sound(test.button(f"{made.id}-add").click().run())
    changed = store.schedules.get(made.id)
    assert (changed.cron, changed.timezone, changed.overlap) == ("0 3 * * 1,2,3,4,5", "Europe/Berlin", "queue")
    assert (changed.settings["epochs"], changed.settings["start_from"]) == (3, "both"), "the rest stays as it was"
    assert f"{made.id}-add" not in button_keys(test)
    test = form(test, f"edit-{made.id}")
    test.button_group(f"{made.id}-kind").set_value("images").run()
    test.number_input(f"{made.id}-images").set_value(50).run()
    sound(test.button(f"{made.id}-add").click().run())
    changed = store.schedules.get(made.id)
    assert (changed.cron, changed.on_new_images, changed.next_at) == (None, 50, None)
    assert "as photos arrive" in words(test)


def test_the_next_time_is_shown_as_the_clock_of_the_schedules_zone_shows_it(store: Store) -> None:
    schedule = add_schedule(store, "digits", cron="30 4 * * *", timezone="Australia/Lord_Howe")
    assert schedule.next_at is not None
    assert "04:30 +1" in words(page()), "its offset from UTC is its name"


def test_the_log_shows_the_outcome_of_every_scheduled_run(store: Store) -> None:
    scheduled = run_now(store, add_schedule(store, "digits", every_seconds=3600))
    note = "kept: the champion's *stars* stay"
    store.schedules.update_scheduled_run(scheduled.id, state=State.FINISHED, note=note)
    test = page()
    (line,) = test.dataframe[0].value.to_dict("records")
    assert (line["Model"], line["Cause"], line["State"], line["Outcome"]) == ("digits", "by hand", "finished", note)
    assert r"\*stars\*" in marked(test), "what people or models are called is no markup"


def test_watched_folders_show_their_last_import(store: Store, tiny_source: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_source, tmp_path / "new")
    test = form(page(), "watch-new")
    test.text_input("watch-dataset").set_value("seen").run()
    test.text_input("watch-folder").set_value(str(tmp_path / "nowhere")).run()
    sound(test.button("watch-add").click().run())
    assert str(tmp_path / "nowhere") in words(test) and store.watched.list() == []
    watch = add_watch(store, "seen", tmp_path / "new")
    import_now(store, watch)
    test = page()
    assert mentions(words(test), "version 1", 120)
    sound(test.button(f"hold-{watch.id}").click().run())
    assert store.watched.get(watch.id).paused
