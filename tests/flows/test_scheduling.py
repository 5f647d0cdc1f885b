"""Schedules as records: what is refused, when they run next, what a scheduled run leaves, watched folders, deployments."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING

from flows.process_identity import ProcessIdentity
from flows.scheduler import MOST_ATTEMPTS, Scheduler
from flows.scheduling import add_schedule, edit_schedule, fingerprint, in_words, length, pause, resume, run_now
from flows.watching import Watcher, add_watch, import_now, stamp
from tests.app.studio import eventually
from tests.texts import mentions
from tests.tiny import TrainedRun
from workflows.data.catalog import get_version
from workflows.errors import UsageError
from workflows.registry.models import register
from workflows.requests import RetrainSettings
from workflows.retraining.times import next_time
from workflows.state import State
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
    with pytest.raises(UsageError, match="not a cron expression"):
        add_schedule(store, "digits", cron="0 25 * * 1")
    with pytest.raises(UsageError, match="not a cron expression"):
        add_schedule(store, "digits", cron="every monday")
    with pytest.raises(UsageError, match="never"):
        add_schedule(store, "digits", cron="0 0 30 2 *")
    with pytest.raises(UsageError, match=r"every_seconds.*10"):
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
    assert in_words(schedule) == "Mondays at 03:00 (Europe/Berlin)"
    other = add_schedule(store, "digits", cron="0 3,15 * * 1", timezone="Europe/Berlin")
    assert in_words(other) == "0 3,15 * * 1 (Europe/Berlin)", "what is no time of the week stays a cron line"


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
    scheduled = run_now(store, again)
    store.schedules.remove(schedule.id)
    assert store.schedules.list() == []
    assert store.schedules.scheduled_run(scheduled.id).state == "cancelled", "the log outlives the schedule"
    add_schedule(store, "digits", every_seconds=60)
    add_schedule(store, "digits", every_seconds=70)
    with pytest.raises(UsageError, match="2 schedules"):
        store.schedules.get("digits")


def test_a_schedule_is_edited_and_its_log_stays(store: Store) -> None:
    schedule = add_schedule(store, "digits", cron="0 3 * * 1", timezone="Europe/Berlin", overlap="queue")
    scheduled = run_now(store, schedule)
    changed = edit_schedule(store, schedule, cron="30 4 * * *", timezone="Asia/Kolkata", missed="skip")
    assert (changed.cron, changed.timezone, changed.overlap, changed.missed) == (
        "30 4 * * *",
        "Asia/Kolkata",
        "queue",
        "skip",
    )
    assert changed.next_at == next_time(changed) and fingerprint(changed) != fingerprint(schedule)
    rare = edit_schedule(store, changed, every_seconds=3600, settings=RetrainSettings(epochs=3))
    assert (rare.cron, rare.every_seconds, rare.settings) == (None, 3600, {"epochs": 3})
    assert rare.next_at is not None
    pause(store, rare)
    waiting = edit_schedule(store, store.schedules.get(schedule.id), on_new_images=9)
    assert (waiting.paused, waiting.next_at, waiting.every_seconds) == (True, None, None)
    with pytest.raises(UsageError, match="cron"):
        edit_schedule(store, waiting, cron="0 25 * * 1")
    with pytest.raises(UsageError, match="exactly one"):
        edit_schedule(store, waiting, cron="0 3 * * 1", every_seconds=60)
    assert store.schedules.get(schedule.id) == waiting
    assert [one.id for one in store.schedules.scheduled_runs(schedule.id)] == [scheduled.id]


def test_one_cause_has_one_run_and_a_skipped_scheduled_run_is_logged(store: Store) -> None:
    schedule = add_schedule(store, "digits", on_new_images=50)
    assert store.schedules.record_run(schedule, "version:2", "50 new images", "d-1") is not None
    assert store.schedules.record_run(schedule, "version:2", "50 new images", "d-2") is None
    skipped = store.schedules.record_run(schedule, "run:x", "cron", "d-3", flow_run_id="x", skipped="missed")
    assert skipped is not None and (skipped.state, skipped.note) == ("skipped", "missed")
    assert [one.id for one in store.schedules.unsettled()] == [skipped.id], "Prefect still has to be told"
    assert store.schedules.get(schedule.id).last_outcome == "skipped: missed"


# ------------------------------------------------------------ what is missed or overlaps


@pytest.fixture
def scheduler(store: Store) -> Scheduler:
    return Scheduler(store, ProcessIdentity.current())


def test_overlap_is_skipped_or_queued_once(store: Store, scheduler: Scheduler) -> None:
    skips = add_schedule(store, "digits", every_seconds=60)
    queues = add_schedule(store, "digits", every_seconds=60, overlap="queue")
    objection = lambda one: scheduler._objection(one, now(), now())  # noqa: E731
    assert objection(skips) == objection(queues) == ""
    running = store.schedules.record_run(skips, "run:1", "cron", "d-1")
    assert running is not None
    store.schedules.update_scheduled_run(running.id, state="running", process=str(ProcessIdentity.current()))
    assert mentions(objection(skips), "digits")
    assert objection(queues) == ""
    store.schedules.record_run(queues, "run:2", "cron", "d-2")
    assert "still waiting" in objection(queues)


def test_what_was_missed_is_made_up_for_once_or_skipped(store: Store, scheduler: Scheduler) -> None:
    def missed(policy: str) -> Schedule:
        made = add_schedule(store, "digits", every_seconds=600, missed=policy)  # type: ignore[arg-type]
        store.schedules.update(made.id, next_at=now() - timedelta(hours=5))
        return store.schedules.get(made.id)

    for policy, state in (("run-once", State.PENDING), ("skip", State.SKIPPED)):
        schedule = missed(policy)
        scheduler._fire_due(now())
        (scheduled,) = store.schedules.scheduled_runs(schedule.id)
        assert scheduled.state == state and scheduled.planned_at == schedule.next_at
        after = store.schedules.get(schedule.id)
        assert after.next_at is not None and after.next_at > now()
        scheduler._fire_due(now())
        assert len(store.schedules.scheduled_runs(schedule.id)) == 1
        store.schedules.remove(schedule.id)


def test_after_a_night_with_the_studio_off_the_time_that_is_not_late_is_the_one_that_counts(
    store: Store, scheduler: Scheduler
) -> None:
    schedule = add_schedule(store, "digits", cron="0 * * * *", timezone="Europe/Berlin", missed="skip")
    three = datetime(2030, 5, 1, 3, 0, tzinfo=UTC)
    store.schedules.update(schedule.id, next_at=three - timedelta(hours=2))
    scheduler._fire_due(three + timedelta(seconds=5))
    (scheduled,) = store.schedules.scheduled_runs(schedule.id)
    assert (scheduled.planned_at, scheduled.state) == (three, State.PENDING)
    assert store.schedules.get(schedule.id).next_at == three + timedelta(hours=1)


@pytest.mark.parametrize("line", ["30 2 * * *", "0,30 * * * *"])
@pytest.mark.parametrize("day", [datetime(2030, 3, 30, 21, tzinfo=UTC), datetime(2030, 10, 26, 21, tzinfo=UTC)])
def test_on_nights_when_clocks_change_each_time_fires_once(
    store: Store, scheduler: Scheduler, line: str, day: datetime
) -> None:
    schedule = add_schedule(store, "digits", cron=line, timezone="Europe/Berlin", overlap="queue")
    store.schedules.update(schedule.id, next_at=next_time(schedule, day - timedelta(seconds=1)))
    for minutes in range(0, 24 * 60, 5):
        scheduler._fire_due(day + timedelta(minutes=minutes))
        for scheduled in store.schedules.unfinished():
            store.schedules.update_scheduled_run(scheduled.id, state=State.FINISHED)
    planned = [one.planned_at for one in store.schedules.scheduled_runs(schedule.id, limit=None)]
    assert len(planned) == len(set(planned)) == (1 if line.startswith("30 2") else 48)


def test_a_clock_that_is_put_back_makes_no_time_fire_twice(store: Store, scheduler: Scheduler) -> None:
    schedule = add_schedule(store, "digits", every_seconds=600)
    first = schedule.next_at
    assert first is not None
    scheduler._fire_due(first + timedelta(seconds=1))
    scheduler._fire_due(first - timedelta(seconds=1))
    assert store.schedules.get(schedule.id).next_at == first
    scheduler._fire_due(first + timedelta(seconds=1))
    assert len(store.schedules.scheduled_runs(schedule.id)) == 1
    assert store.schedules.get(schedule.id).next_at == first + timedelta(minutes=10)


def test_a_next_time_that_is_absent_or_of_another_version_is_worked_out(store: Store, scheduler: Scheduler) -> None:
    schedule = add_schedule(store, "digits", cron="30 2 * * *", timezone="Europe/Berlin")
    moment = datetime(2030, 3, 30, 12, tzinfo=UTC)
    for stored in (None, datetime(2030, 3, 31, 0, 30, tzinfo=UTC)):  # the latter is 01:30, as Prefect has it
        store.schedules.update(schedule.id, next_at=stored)
        scheduler._fire_due(moment)
        assert store.schedules.get(schedule.id).next_at == datetime(2030, 3, 31, 1, 30, tzinfo=UTC)
    assert store.schedules.scheduled_runs() == []


def test_a_line_that_is_wrong_by_now_holds_up_no_other_schedule(store: Store, scheduler: Scheduler) -> None:
    wrong = add_schedule(store, "digits", cron="0 3 * * *")
    store.schedules.update(wrong.id, cron="R 3 * * *")
    right = add_schedule(store, "digits", every_seconds=60)
    scheduler._fire_due(now() + timedelta(seconds=61))
    assert [one.schedule_id for one in store.schedules.scheduled_runs()] == [right.id]
    assert (store.schedules.get(wrong.id).last_outcome or "").startswith("failed: ")


def test_a_scheduled_run_whose_process_died_is_resumed_but_not_for_ever(store: Store, scheduler: Scheduler) -> None:
    scheduled = run_now(store, add_schedule(store, "digits", every_seconds=60))
    dead = str(ProcessIdentity(os.getpid(), 1.0))
    store.schedules.update_scheduled_run(scheduled.id, state="running", process=dead, attempts=1)
    scheduler._reap()
    assert store.schedules.scheduled_run(scheduled.id).state == State.PENDING
    store.schedules.update_scheduled_run(scheduled.id, state="running", process=dead, attempts=MOST_ATTEMPTS)
    scheduler._reap()
    assert store.schedules.scheduled_run(scheduled.id).state == "failed"


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
    watcher = Watcher(store, ProcessIdentity.current())

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
    with pytest.raises(UsageError, match="not a folder"):
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
    assert first is not None and "drift:" in first and "not delivered" in first
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


# ------------------------------------------------------- with a real Prefect server


def test_a_schedule_that_is_due_retrains_in_a_process_of_its_own_and_prefect_knows(
    store: Store, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDGUIDE_HOME", str(store.home))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PREFECT_API_AUTH_STRING.value() or "")
    scheduler = Scheduler(store, ProcessIdentity.current())
    schedule = add_schedule(store, "digits", every_seconds=86_400)
    store.schedules.update(schedule.id, next_at=now() - timedelta(seconds=1))

    def settled() -> bool:
        scheduler.step()
        return any(
            scheduled.state == State.FINISHED and scheduled.settled for scheduled in store.schedules.scheduled_runs()
        )

    try:
        eventually(settled)
        (scheduled,) = store.schedules.scheduled_runs()
        decision = store.models.decision(scheduled.decision_id)
        assert decision is not None and decision.outcome == "unchanged"  # nothing is new, so nothing is trained
        with get_client(sync_client=True) as client:
            assert client.read_flow_run(UUID(scheduled.flow_run_id)).state_name == "Completed"
        ahead = store.schedules.get(schedule.id).next_at
        assert ahead is not None and ahead > now()
    finally:
        scheduler.stop()


def test_the_images_that_start_a_retraining_are_enough_for_it(store: Store) -> None:
    few = add_schedule(store, "digits", on_new_images=3)
    assert few.settings == {"min_changes": 3}
    many = edit_schedule(store, few, on_new_images=500)
    assert RetrainSettings.model_validate(many.settings).min_changes <= 500
    wanted = add_schedule(store, "digits", on_new_images=50, settings=RetrainSettings(min_changes=30))
    assert wanted.settings == {"min_changes": 30}
    assert edit_schedule(store, wanted, on_new_images=10).settings == {"min_changes": 10}
    assert edit_schedule(store, wanted, overlap="queue").settings == {"min_changes": 30}
