"""The studio's scheduler: retrains models when their schedules say so, and takes in what appears in watched folders.

Prefect has the deployments, the cron and interval schedules, the flow runs and their states; the records in the store
are the truth about which schedules there are and what became of each firing.

Why the due flow runs are fetched here, and not by `serve()` or a Prefect worker: when server, worker and flow are
killed together, a flow run stays `Running` for ever and nobody goes on with it; a `serve()` that is idle dies of a
server that is away for 90 s; and after a night with the studio off both would start every run that was missed. Here
a firing that was cut off goes on under its decision's id, with the challenger's run resumed; its old flow run is
marked `Crashed`; and what was missed is made up for once, or not at all, as the schedule says.

One retraining at a time has the slot; the others wait, and say for whom. Inside, the challenger's training waits for
the device like every training.

Usage: `python -m flows.scheduler --studio PID@START`
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta

from flows.leash import Mark
from flows.scheduler_images import new_images
from flows.scheduling import fingerprint, in_words, next_time
from flows.service import serve, start_job
from flows.watching import Watcher
from workflows.errors import FieldguideError, RunError, StorageError
from workflows.retraining.plan import CHALLENGERS_FILE
from workflows.store.files import read_json
from workflows.store.locks import FileLock
from workflows.store.schedules import Firing, Schedule
from workflows.store.store import Store
from workflows.store.tables import now

POLL_SECONDS = 1.0
MATCH_SECONDS = 30.0
IMAGES_SECONDS = 10.0
DRIFT_SECONDS = 600.0
LATE_SECONDS = 90.0
"""Who is later than this was missed; a busy machine needs some seconds for everything."""
MOST_ATTEMPTS = 5
STOP_SECONDS = 10.0


class Scheduler:
    """Turns what is due into firings, and firings into processes, one at a time."""

    def __init__(self, store: Store, studio: Mark) -> None:
        from flows.scheduler_prefect import Deployments

        self.store, self.studio = store, studio
        self.records = store.schedules
        self.prefect = Deployments(store.home)
        self.watcher = Watcher(store, studio)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deployments: dict[str, str] = {}
        self._matched: tuple[float, list[str]] = (float("-inf"), [])
        self._counted = float("-inf")
        self._drift_seen = time.monotonic()

    def step(self) -> None:
        """Look once: who has ended, what is due, who is next, what is new in the folders."""
        self._bury()
        self.watcher.look()
        self._count_images()
        self._with_prefect()
        if time.monotonic() - self._drift_seen > DRIFT_SECONDS:
            from flows.drift import look_for_drift

            self._drift_seen = time.monotonic()
            look_for_drift(self.store)

    def _with_prefect(self) -> None:
        from flows.reporting import UNREACHABLE

        try:
            self._match()
            self._take_due()
            self._settle()
            self._start_next()
        except UNREACHABLE as error:  # it is started again by the studio; nothing is lost meanwhile
            sys.stderr.write(f"Prefect's server: {type(error).__name__}: {error}\n")
            self._matched = (float("-inf"), [])
            self.prefect.close()

    # ---------------------------------------------------------------- what is due

    def _match(self) -> None:
        """Have a deployment for each schedule; looked at when a record changes, and now and then."""
        schedules = self.records.list()
        state = [f"{one.id} {fingerprint(one)}" for one in schedules]
        when, before = self._matched
        if state == before and time.monotonic() - when < MATCH_SECONDS:
            return
        self._deployments = self.prefect.match(schedules)
        for one in schedules:
            if one.deployment_id != self._deployments[one.id]:
                self.records.update(one.id, deployment_id=self._deployments[one.id])
        self._matched = (time.monotonic(), state)

    def _take_due(self) -> None:
        moment = now()
        due = self.prefect.due(list(self._deployments.values()), moment)
        for schedule in self.records.list():
            mine = [one for one in due if one.deployment_id == self._deployments.get(schedule.id)]
            for one in mine[:-1]:
                if one.by_schedule:
                    self._fire(schedule, one.planned_at, one.flow_run_id, "missed; a later one makes up for it")
            for one in mine[-1:] if mine and mine[-1].by_schedule else [o for o in mine if not o.by_schedule]:
                self._fire(schedule, one.planned_at, one.flow_run_id, self._objection(schedule, one.planned_at, moment))
            self._look_ahead(schedule, bool(mine), moment)

    def _look_ahead(self, schedule: Schedule, fired: bool, moment: datetime) -> None:
        """Keep `next_at` ahead; what Prefect knew nothing of (it was off) is missed all the same."""
        if schedule.paused or schedule.on_new_images is not None:
            return
        planned = schedule.next_at
        missed = planned is not None and moment - planned > timedelta(seconds=LATE_SECONDS)
        if missed and planned is not None and not fired:
            self._fire(schedule, planned, None, self._objection(schedule, planned, moment))
        if planned is None or missed or (fired and planned <= moment):
            self.records.update(schedule.id, next_at=next_time(schedule, moment))

    def _objection(self, schedule: Schedule, planned_at: datetime, moment: datetime) -> str:
        """Return why nothing is to be done about a firing; empty if something is."""
        if schedule.missed == "skip" and moment - planned_at > timedelta(seconds=LATE_SECONDS):
            return "missed: the studio was off"
        under_way = [one for one in self.records.unfinished() if one.model == schedule.model]
        if any(one.schedule_id == schedule.id and one.state == "waiting" for one in under_way):
            return "the one before still waits"
        if schedule.overlap == "skip" and (under_way or self._model_is_held(schedule.model)):
            return f"a retraining of {schedule.model} is under way"
        return ""

    def _model_is_held(self, model: str) -> bool:
        lock = FileLock(self.store.locks_folder / f"model-{model}.lock")
        free = lock.acquire()
        lock.release()
        return not free

    def _fire(self, schedule: Schedule, planned_at: datetime, flow_run_id: str | None, skipped: str) -> None:
        cause = f"run:{flow_run_id}" if flow_run_id else f"missed:{planned_at.isoformat()}"
        decision_id = self.store.models.new_decision_id(schedule.model)
        late = (now() - planned_at).total_seconds() > LATE_SECONDS
        trigger = f"schedule, {in_words(schedule)}{', late' if late else ''}"
        self.records.fire(
            schedule, cause, trigger, decision_id, planned_at=planned_at, flow_run_id=flow_run_id, skipped=skipped
        )
        if flow_run_id is not None:  # also if it is on record already: then Prefect was away when it was to be told
            self.prefect.claim(flow_run_id, skipped or "waits for its turn")

    def _count_images(self) -> None:
        if time.monotonic() - self._counted < IMAGES_SECONDS:
            return
        self._counted = time.monotonic()
        for schedule in self.records.list():
            if schedule.on_new_images is None or schedule.paused:
                continue
            try:
                dataset, version, found = new_images(self.store, schedule.model)
            except FieldguideError as error:  # a data set that is gone
                self.records.update(schedule.id, last_outcome=f"failed: {error.message}")
                continue
            if found >= schedule.on_new_images and not self._objection(schedule, now(), now()):
                trigger = f"{found} new images in {dataset} v{version}"
                self.records.fire(
                    schedule, f"version:{version}", trigger, self.store.models.new_decision_id(schedule.model)
                )

    # ------------------------------------------------------------- who is executed

    def _start_next(self) -> None:
        unfinished = self.records.unfinished()
        waiting = [one for one in unfinished if one.state == "waiting"]
        busy = next((one for one in unfinished if one.state == "running"), None)
        if busy is None and waiting:
            busy = waiting.pop(0)
            self._start(busy)
        for one in waiting:
            note = f"waiting for the retraining of {busy.model} ({busy.id})" if busy else ""
            if one.note != note:
                self.records.update_firing(one.id, note=note)

    def _start(self, firing: Firing) -> None:
        deployment = self._deployments.get(firing.schedule_id)
        if deployment is None:  # the schedule was removed meanwhile
            self.records.update_firing(firing.id, state="cancelled", note="the schedule was removed")
            return
        flow_run_id = firing.flow_run_id
        if flow_run_id is None:
            asked = {"trigger": firing.trigger, "decision_id": firing.decision_id}
            flow_run_id = self.prefect.begin(deployment, firing.decision_id, asked)
        attempt = firing.attempts + 1
        values = {"flow_run_id": flow_run_id, "settled": False, "attempts": attempt, "process": None}
        started = firing.started_at or now()
        self.records.update_firing(firing.id, state="running", note="starting", started_at=started, **values)
        log = self.store.home / "logs" / "retraining.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        child = start_job("flows.scheduler_job", firing.id, "--studio", str(self.studio), log=log)
        self._children[firing.id] = child
        self.records.update_firing(firing.id, process=str(Mark.of(child.pid) or Mark(child.pid, time.time())))

    def _bury(self) -> None:
        """See what became of those whose process has ended."""
        for firing in self.records.unfinished():
            child = self._children.get(firing.id)
            if child is not None:
                child.poll()
            if firing.state != "running" or (firing.process and Mark.parse(firing.process).lives()):
                continue
            self._children.pop(firing.id, None)
            current = self.records.firing(firing.id)  # it may have told its end in this moment
            if current.state == "running":
                self._cut_off(current)

    def _cut_off(self, firing: Firing) -> None:
        decision = self.store.models.decision(firing.decision_id)
        if decision is not None:
            self.records.update_firing(firing.id, state="done", note=f"{decision.outcome}: {decision.reason}")
        elif firing.attempts >= MOST_ATTEMPTS:
            note = f"failed: its process was cut off {firing.attempts} times; see logs/retraining.log"
            self.records.update_firing(firing.id, state="failed", note=note)
        else:
            self.store.runs.reconcile()
            self.records.update_firing(firing.id, state="waiting", note="was cut off; goes on", process=None)

    def _settle(self) -> None:
        """Tell Prefect the end of flow runs that could not tell it themselves."""
        for firing in self.records.unsettled():
            if firing.flow_run_id is None:
                continue
            if firing.state == "waiting":
                self.prefect.end(firing.flow_run_id, "crashed", "cut off; goes on as another flow run")
                self.records.update_firing(firing.id, flow_run_id=None, settled=True)
            elif firing.state != "running":
                self.prefect.end(firing.flow_run_id, firing.state, firing.note)
                self.records.update_firing(firing.id, settled=True)

    def stop(self) -> None:
        """End the retraining under way at its next batch; it goes on when the studio is up again."""
        running = [one for one in self.records.unfinished() if one.state == "running"]
        for firing in running:
            interrupt_challengers(self.store, firing.decision_id)
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and any(_lives(one) for one in running):
            for child in self._children.values():
                child.poll()
            time.sleep(POLL_SECONDS / 4)
        for firing in running:
            if firing.process:
                Mark.parse(firing.process).kill_group()
        self.watcher.stop()
        self.prefect.close()


def _lives(firing: Firing) -> bool:
    return bool(firing.process) and Mark.parse(str(firing.process)).lives()


def interrupt_challengers(store: Store, decision_id: str) -> None:
    """Ask the trainings of a retraining to stop at their next batch, to be resumed later."""
    try:
        runs = read_json(store.decision_folder(decision_id) / CHALLENGERS_FILE)
    except StorageError:
        return  # none has begun
    for run_id in runs.values():
        try:
            store.runs.request_cancel(run_id, interrupt=True)
        except RunError:
            continue  # it has ended


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "1")  # here a lost call is simply made again
    sys.exit(serve("flows.scheduler", Scheduler, POLL_SECONDS))
