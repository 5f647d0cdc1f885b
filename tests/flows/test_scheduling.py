"""Schedules as records: what is refused, when they fire next, what a firing leaves, watched folders, deployments."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.leash import Mark
from flows.scheduler import MOST_ATTEMPTS, Scheduler
from flows.scheduling import add_schedule, fingerprint, in_words, length, next_time, pause, resume, run_now
from flows.watching import Watcher, add_watch, import_now, stamp
from tests.tiny import TrainedRun
from workflows.data.catalog import get_version
from workflows.errors import UsageError
from workflows.registry.models import register
from workflows.retraining.plan import RetrainSettings
from workflows.store.schedules import Schedule
from workflows.store.store import Store
from workflows.store.tables import now

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(trained: TrainedRun, tmp_path: Path) -> Store:
    """A store with a model `digits`."""
    store = trained.copied(tmp_path / "home").store
    register(store, "digits", trained.run_id)
    return store


def test_a_wrong_schedule_is_refused_in_words(store: Store) -> None:
    with pytest.raises(UsageError, match="exactly one"):
        add_schedule(store, "digits")
    with pytest.raises(UsageError, match="exactly one"):
        add_schedule(store, "digits", cron="0 3 * * 1", every_seconds=60)
    with pytest.raises(UsageError, match="no cron line"):
        add_schedule(store, "digits", cron="0 25 * * 1")
    with pytest.raises(UsageError, match="no cron line"):
        add_schedule(store, "digits", cron="every monday")
    with pytest.raises(UsageError, match="shortest"):
        add_schedule(store, "digits", every_seconds=1)
    with pytest.raises(UsageError, match="time zone"):
        add_schedule(store, "digits", cron="0 3 * * 1", timezone="Europe/Nowhere")
    with pytest.raises(UsageError, match="no model"):
        add_schedule(store, "nothing", every_seconds=60)
    assert store.schedules.list() == []


def test_a_cron_line_counts_in_its_time_zone_also_across_summer_time(store: Store) -> None:
    schedule = add_schedule(store, "digits", cron="0 3 * * 1", timezone="Europe/Berlin")
    winter = next_time(schedule, datetime(2026, 3, 21, tzinfo=UTC))
    assert winter == datetime(2026, 3, 23, 2, 0, tzinfo=UTC)
    summer = next_time(schedule, winter)
    assert summer == datetime(2026, 3, 30, 1, 0, tzinfo=UTC)
    assert in_words(schedule) == "0 3 * * 1 (Europe/Berlin)"


def test_an_interval_keeps_its_beat(store: Store) -> None:
    schedule = add_schedule(store, "digits", every_seconds=6 * 3600)
    later = next_time(schedule, schedule.created_at + timedelta(hours=13))
    assert later == schedule.created_at + timedelta(hours=18)
    assert next_time(schedule, later) == schedule.created_at + timedelta(hours=24)
    assert (in_words(schedule), length(90), length(60), length(7 * 86_400)) == (
        "every 6 hours",
        "90 seconds",
        "minute",
        "week",
    )


def test_pause_resume_and_remove(store: Store) -> None:
    schedule = add_schedule(store, "digits", every_seconds=60, settings=RetrainSettings(epochs=3))
    assert schedule.settings == {"epochs": 3} and schedule.next_at is not None
    pause(store, schedule)
    paused = store.schedules.get("digits")
    assert paused.paused and paused.next_at is None and fingerprint(paused) != fingerprint(schedule)
    resume(store, paused)
    again = store.schedules.get(schedule.id)
    assert again.next_at is not None and fingerprint(again) == fingerprint(schedule)
    firing = run_now(store, again)
    store.schedules.remove(schedule.id)
    assert store.schedules.list() == []
    assert store.schedules.firing(firing.id).state == "cancelled", "the log outlives the schedule"
    add_schedule(store, "digits", every_seconds=60)
    add_schedule(store, "digits", every_seconds=70)
    with pytest.raises(UsageError, match="2 schedules"):
        store.schedules.get("digits")


def test_one_cause_fires_once_and_a_skipped_firing_is_told(store: Store) -> None:
    schedule = add_schedule(store, "digits", on_new_images=50)
    assert store.schedules.fire(schedule, "version:2", "50 new images", "d-1") is not None
    assert store.schedules.fire(schedule, "version:2", "50 new images", "d-2") is None
    skipped = store.schedules.fire(schedule, "run:x", "cron", "d-3", flow_run_id="x", skipped="missed")
    assert skipped is not None and (skipped.state, skipped.note) == ("skipped", "missed")
    assert [one.id for one in store.schedules.unsettled()] == [skipped.id], "Prefect still has to be told"
    assert store.schedules.get(schedule.id).last_outcome == "skipped: missed"


# ------------------------------------------------------------ what is missed or overlaps


@pytest.fixture
def scheduler(store: Store) -> Scheduler:
    return Scheduler(store, Mark.mine())


def test_overlap_is_skipped_or_queued_once(store: Store, scheduler: Scheduler) -> None:
    skips = add_schedule(store, "digits", every_seconds=60)
    queues = add_schedule(store, "digits", every_seconds=60, overlap="queue")
    objection = lambda one: scheduler._objection(one, now(), now())  # noqa: E731
    assert objection(skips) == objection(queues) == ""
    running = store.schedules.fire(skips, "run:1", "cron", "d-1")
    assert running is not None
    store.schedules.update_firing(running.id, state="running", process=str(Mark.mine()))
    assert objection(skips) == "a retraining of digits is under way"
    assert objection(queues) == ""
    store.schedules.fire(queues, "run:2", "cron", "d-2")
    assert objection(queues) == "the one before still waits"


def test_what_was_missed_is_made_up_for_once_or_skipped(store: Store, scheduler: Scheduler) -> None:
    def missed(policy: str) -> Schedule:
        made = add_schedule(store, "digits", every_seconds=600, missed=policy)  # type: ignore[arg-type]
        store.schedules.update(made.id, next_at=now() - timedelta(hours=5))
        return store.schedules.get(made.id)

    for policy, state in (("run-once", "waiting"), ("skip", "skipped")):
        schedule = missed(policy)
        scheduler._look_ahead(schedule, False, now())
        (firing,) = store.schedules.firings(schedule.id)
        assert firing.state == state
        after = store.schedules.get(schedule.id)
        assert after.next_at is not None and after.next_at > now()
        scheduler._look_ahead(after, False, now())
        assert len(store.schedules.firings(schedule.id)) == 1
        store.schedules.remove(schedule.id)


def test_a_firing_whose_process_is_dead_goes_on_but_not_for_ever(store: Store, scheduler: Scheduler) -> None:
    firing = run_now(store, add_schedule(store, "digits", every_seconds=60))
    dead = str(Mark(os.getpid(), 1.0))
    store.schedules.update_firing(firing.id, state="running", process=dead, attempts=1)
    scheduler._bury()
    assert store.schedules.firing(firing.id).state == "waiting"
    store.schedules.update_firing(firing.id, state="running", process=dead, attempts=MOST_ATTEMPTS)
    scheduler._bury()
    assert store.schedules.firing(firing.id).state == "failed"


# ------------------------------------------------------------------ watched folders


def test_a_watched_folder_is_imported_and_its_report_kept(store: Store, tiny_source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    shutil.copytree(tiny_source, folder)
    watch = add_watch(store, "seen", folder, every_seconds=5)
    with pytest.raises(UsageError, match="already"):
        add_watch(store, "seen", folder)
    report = import_now(store, watch)
    assert report["changed"] and report["accepted"] == 120 and report["version"] == 1
    kept = store.watched.get("seen")
    assert kept.last_report == report and report["listing"] == stamp(kept)
    (folder / "0" / "broken.png").write_bytes(b"no image")
    assert stamp(kept) != report["listing"]
    again = import_now(store, kept)
    assert again["rejected"] == 1


def test_unlabelled_images_of_a_watched_folder_wait_for_their_labels(
    store: Store, tiny_source: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_source / "0", tmp_path / "loose")
    watch = add_watch(store, "digits-in", tmp_path / "loose", unlabelled=True)
    import_now(store, watch)
    assert get_version(store, "digits-in").table()["label"].isna().all()


def test_a_folder_that_is_being_written_is_left_alone(store: Store, tiny_source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    shutil.copytree(tiny_source, folder)
    watch = add_watch(store, "busy", folder, every_seconds=2)
    watcher = Watcher(store, Mark.mine())

    def look() -> bool:
        watcher._looks = {key: (when - 10.0, seen) for key, (when, seen) in watcher._looks.items()}  # time passes
        return watcher._is_ready(store.watched.get(watch.id))

    assert not look(), "nobody knows yet whether it is quiet"
    shutil.copy(folder / "0" / "0.png", folder / "0" / "more.png")
    assert not look(), "it has changed between two looks"
    assert look()
    import_now(store, watch)
    assert not look(), "there is nothing new"


def test_the_wrong_folder_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        add_watch(store, "x", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="own files"):
        add_watch(store, "x", store.home)


# ------------------------------------------------------------------------------ drift


def test_drift_of_what_a_champion_is_asked_is_told_once(store: Store, trained: TrainedRun) -> None:
    from flows.alerts import add_alert
    from flows.drift import drift_of, look_for_drift
    from workflows.store.recent import RecentAnswers

    assert drift_of(store, "digits").answers == 0
    RecentAnswers(store.home).add(trained.run_id, [("0", 0.4)] * 150)
    found = drift_of(store, "digits")
    assert found.drifted and found.classes[0] == ("0", pytest.approx(1 / 3, abs=0.05), 1.0)
    hook = add_alert(store, "http://127.0.0.1:9/nobody", ["drift"])
    look_for_drift(store)
    first = store.webhooks.get(hook.id).last_status
    assert first is not None and "drift: not delivered" in first
    store.webhooks.update(hook.id, last_status=None)
    look_for_drift(store)
    assert store.webhooks.get(hook.id).last_status is None, "it was told already"


# ----------------------------------------------------------------------- deployments


def test_every_deployment_of_prefect_yaml_can_be_loaded() -> None:
    from prefect.flows import Flow, load_flow_from_entrypoint

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert [one["name"] for one in deployments] == ["train", "retrain", "tune"]
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        for one in deployments:
            flow: Flow[..., Any] = load_flow_from_entrypoint(one["entrypoint"], use_placeholder_flow=False)
            assert flow.name == one["name"]
            flow.validate_parameters(one["parameters"])
    finally:
        os.chdir(before)
