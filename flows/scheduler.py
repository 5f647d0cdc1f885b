"""The studio's scheduler: retrains models when their schedules are due, and imports what appears in watched folders.

The records in the store are the source of truth: the schedules, when each runs next, and the outcome of each
run; Prefect has a deployment for each schedule, the flow runs and their states.

Why the times are computed here, and not by Prefect: on the nights when clocks change its cron schedules run at times that
their line doesn't name. Here `next_at` is in the record, the run and the time after it are written together,
and the time is the run's cause: no time runs twice, whatever is killed, and Prefect's server may be down.

Why flow runs are executed here, and not by `serve()` or a Prefect worker: when server, worker and flow are
killed together, a flow run stays `Running` forever and nothing resumes it; an idle `serve()` dies when the
server is down for 90 s; and after a night with the studio off both would start every missed run. Here
an interrupted run is resumed under its decision's id, with the challenger's run; its old flow run is
marked `Crashed`; and missed runs are run once, or not at all, as the schedule says.

One retraining runs at a time; the others wait, and show for which one. Inside, the challenger's training waits for
the device like every training.

Usage: `python -m flows.scheduler --studio PID@START`
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from flows.process_identity import ProcessIdentity
from flows.scheduler_images import new_images
from flows.scheduling import fingerprint, in_words
from flows.service import serve, start_job
from flows.watching import Watcher
from workflows.errors import FieldguideError, RunError, StorageError
from workflows.retraining.plan import CHALLENGERS_FILE
from workflows.retraining.times import next_time
from workflows.state import State
from workflows.store.files import read_json
from workflows.store.locks import FileLock
from workflows.store.schedules import Schedule, ScheduledRun
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.throttle import Throttle

POLL_SECONDS = 1.0
MATCH_SECONDS = 30.0
IMAGES_SECONDS = 10.0
DRIFT_SECONDS = 600.0
LATE_SECONDS = 90.0
"""A run that starts later than this was missed; a busy machine needs some seconds for everything."""
MOST_ATTEMPTS = 5
STOP_SECONDS = 10.0


class Scheduler:
    """Creates scheduled runs for due schedules, and runs them in processes, one at a time."""

    def __init__(self, store: Store, studio: ProcessIdentity) -> None:
        from flows.scheduler_prefect import Deployments

        self.store, self.studio = store, studio
        self.records = store.schedules
        self.prefect = Deployments(store.home)
        self.watcher = Watcher(store, studio)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deployments: dict[str, str] = {}
        self._matched: list[str] = []
        self._matches, self._counts = Throttle(MATCH_SECONDS), Throttle(IMAGES_SECONDS)
        self._drift_looks = Throttle(DRIFT_SECONDS, at_once=False)

    def step(self) -> None:
        """Poll once: ended processes, due schedules, the next scheduled run, new files in the folders."""
        self._reap()
        self.watcher.look()
        self._count_images()
        self._fire_due(now())
        self._with_prefect()
        if self._drift_looks.take():
            from flows.drift import look_for_drift

            look_for_drift(self.store)

    def _with_prefect(self) -> None:
        from flows.reporting import UNREACHABLE

        try:
            self._match()
            self._take_asked()
            self._settle()
            self._start_next()
        except UNREACHABLE as error:  # the studio restarts it; nothing is lost meanwhile
            sys.stderr.write(f"Prefect's server: {type(error).__name__}: {error}\n")
            self._matches.reset()
            self.prefect.close()

    # ---------------------------------------------------------------- what is due

    def _match(self) -> None:
        """Keep one deployment per schedule; checked when a record changes, and now and then."""
        schedules = self.records.list()
        state = [f"{one.id} {fingerprint(one)}" for one in schedules]
        if state == self._matched and not self._matches.is_due():
            return
        self._deployments = self.prefect.match(schedules)
        for one in schedules:
            if one.deployment_id != self._deployments[one.id]:
                self.records.update(one.id, deployment_id=self._deployments[one.id])
        self._matched = state
        self._matches.done()

    def _fire_due(self, moment: datetime) -> None:
        """Record runs of the schedules that are due, and record the next time of each."""
        for schedule in self.records.list():
            if schedule.paused or schedule.on_new_images is not None:
                continue
            try:
                self._fire_if_due(schedule, moment)
            except FieldguideError as error:  # a cron line or a time zone that this machine does not know
                if schedule.last_outcome != (outcome := f"failed: {error.message}"):
                    self.records.update(schedule.id, last_outcome=outcome)

    def _fire_if_due(self, schedule: Schedule, moment: datetime) -> None:
        planned, ahead = schedule.next_at, next_time(schedule, moment)
        if planned is not None and planned <= moment:
            # of several missed ones, one is run: the one that is still in time, if there is one
            in_time = next_time(schedule, moment - timedelta(seconds=LATE_SECONDS))
            if in_time is not None and planned < in_time <= moment:
                planned = in_time
            self._record_run(schedule, planned, moment, ahead)
        elif planned != ahead:  # none yet, or from an earlier version, or from a machine whose clock was wrong
            self.records.update(schedule.id, next_at=ahead)

    def _record_run(self, schedule: Schedule, planned_at: datetime, moment: datetime, ahead: datetime | None) -> None:
        """Record a scheduled run and, in the same transaction, when the schedule runs next."""
        late = moment - planned_at > timedelta(seconds=LATE_SECONDS)
        recorded = self.records.record_run(
            schedule,
            f"at:{planned_at.astimezone(UTC).isoformat()}",
            f"schedule, {in_words(schedule)}{', late' if late else ''}",
            self.store.models.new_decision_id(schedule.model),
            planned_at=planned_at,
            skipped=self._objection(schedule, planned_at, moment),
            next_at=ahead,
        )
        if recorded is None:  # this time is recorded already: the clock was set back
            self.records.update(schedule.id, next_at=ahead)

    def _take_asked(self) -> None:
        """Record runs for the flow runs that were requested in Prefect."""
        moment = now()
        schedules = {self._deployments.get(one.id): one for one in self.records.list()}
        for due in self.prefect.due(list(self._deployments.values()), moment):
            schedule = schedules.get(due.deployment_id)
            if due.by_schedule:  # of a deployment as earlier versions made it
                self.prefect.end(due.flow_run_id, State.SKIPPED, "the studio handles the times itself")
            elif schedule is not None:
                self._fire_requested(schedule, due.planned_at, due.flow_run_id)

    def _fire_requested(self, schedule: Schedule, planned_at: datetime, flow_run_id: str) -> None:
        skipped = self._objection(schedule, planned_at, now())
        decision_id = self.store.models.new_decision_id(schedule.model)
        self.records.record_run(
            schedule,
            f"run:{flow_run_id}",
            "requested in Prefect",
            decision_id,
            planned_at=planned_at,
            flow_run_id=flow_run_id,
            skipped=skipped,
        )
        # also if it is recorded already: then Prefect was down when it should have been notified
        self.prefect.claim(flow_run_id, skipped or "waiting for its turn")

    def _objection(self, schedule: Schedule, planned_at: datetime, moment: datetime) -> str:
        """Return why a scheduled run is skipped; empty if it is not."""
        if schedule.missed == "skip" and moment - planned_at > timedelta(seconds=LATE_SECONDS):
            return "missed: the studio was off"
        under_way = [one for one in self.records.unfinished() if one.model == schedule.model]
        if any(one.schedule_id == schedule.id and one.state == State.PENDING for one in under_way):
            return "the previous one is still waiting"
        if schedule.overlap == "skip" and (under_way or self._model_is_held(schedule.model)):
            return f"a retraining of {schedule.model} is in progress"
        return ""

    def _model_is_held(self, model: str) -> bool:
        lock = FileLock(self.store.locks_folder / f"model-{model}.lock")
        free = lock.acquire()
        lock.release()
        return not free

    def _count_images(self) -> None:
        if not self._counts.take():
            return
        for schedule in self.records.list():
            if schedule.on_new_images is None or schedule.paused:
                continue
            try:
                dataset, version, found = new_images(self.store, schedule.model)
            except FieldguideError as error:  # a deleted data set
                self.records.update(schedule.id, last_outcome=f"failed: {error.message}")
                continue
            if found >= schedule.on_new_images and not self._objection(schedule, now(), now()):
                trigger = f"{found} new images in {dataset} v{version}"
                self.records.record_run(
                    schedule, f"version:{version}", trigger, self.store.models.new_decision_id(schedule.model)
                )

    # ------------------------------------------------------------- execution

    def _start_next(self) -> None:
        unfinished = self.records.unfinished()
        waiting = [one for one in unfinished if one.state == State.PENDING]
        busy = next((one for one in unfinished if one.state == State.RUNNING), None)
        if busy is None and waiting:
            busy = waiting.pop(0)
            self._start(busy)
        for one in waiting:
            note = f"waiting for the retraining of {busy.model} ({busy.id})" if busy else ""
            if one.note != note:
                self.records.update_scheduled_run(one.id, note=note)

    def _start(self, scheduled: ScheduledRun) -> None:
        deployment = self._deployments.get(scheduled.schedule_id)
        if deployment is None:  # the schedule was removed meanwhile
            self.records.update_scheduled_run(scheduled.id, state=State.CANCELLED, note="the schedule was removed")
            return
        flow_run_id = scheduled.flow_run_id
        if flow_run_id is None:
            parameters = {"trigger": scheduled.trigger, "decision_id": scheduled.decision_id}
            flow_run_id = self.prefect.begin(deployment, scheduled.decision_id, parameters)
        attempt = scheduled.attempts + 1
        values = {"flow_run_id": flow_run_id, "settled": False, "attempts": attempt, "process": None}
        started = scheduled.started_at or now()
        self.records.update_scheduled_run(
            scheduled.id, state=State.RUNNING, note="starting", started_at=started, **values
        )
        log = self.store.home / "logs" / "retraining.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        child = start_job("flows.scheduler_job", scheduled.id, "--studio", str(self.studio), log=log)
        self._children[scheduled.id] = child
        self.records.update_scheduled_run(
            scheduled.id, process=str(ProcessIdentity.of(child.pid) or ProcessIdentity(child.pid, time.time()))
        )

    def _reap(self) -> None:
        """Record the outcome of scheduled runs whose process has ended."""
        for scheduled in self.records.unfinished():
            child = self._children.get(scheduled.id)
            if child is not None:
                child.poll()
            if scheduled.state != State.RUNNING or (
                scheduled.process and ProcessIdentity.parse(scheduled.process).is_alive()
            ):
                continue
            self._children.pop(scheduled.id, None)
            current = self.records.scheduled_run(scheduled.id)  # it may just have recorded its end
            if current.state == State.RUNNING:
                self._cut_off(current)

    def _cut_off(self, scheduled: ScheduledRun) -> None:
        decision = self.store.models.decision(scheduled.decision_id)
        if decision is not None:
            self.records.update_scheduled_run(
                scheduled.id, state=State.FINISHED, note=f"{decision.outcome}: {decision.reason}"
            )
        elif scheduled.attempts >= MOST_ATTEMPTS:
            note = f"failed: its process was interrupted {scheduled.attempts} times; see logs/retraining.log"
            self.records.update_scheduled_run(scheduled.id, state=State.FAILED, note=note)
        else:
            self.store.runs.reconcile()
            self.records.update_scheduled_run(
                scheduled.id, state=State.PENDING, note="interrupted; will be resumed", process=None
            )

    def _settle(self) -> None:
        """Report the end of flow runs to Prefect that could not do it themselves."""
        for scheduled in self.records.unsettled():
            if scheduled.flow_run_id is None:
                continue
            if scheduled.state == State.PENDING:
                self.prefect.end(scheduled.flow_run_id, State.INTERRUPTED, "interrupted; resumed as another flow run")
                self.records.update_scheduled_run(scheduled.id, flow_run_id=None, settled=True)
            elif scheduled.state != State.RUNNING:
                self.prefect.end(scheduled.flow_run_id, scheduled.state, scheduled.note)
                self.records.update_scheduled_run(scheduled.id, settled=True)

    def stop(self) -> None:
        """Stop the running retraining at its next batch; it is resumed when the studio is up again."""
        running = [one for one in self.records.unfinished() if one.state == State.RUNNING]
        for scheduled in running:
            interrupt_challengers(self.store, scheduled.decision_id)
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and any(_lives(one) for one in running):
            for child in self._children.values():
                child.poll()
            time.sleep(POLL_SECONDS / 4)
        for scheduled in running:
            if scheduled.process:
                ProcessIdentity.parse(scheduled.process).kill_group()
        self.watcher.stop()
        self.prefect.close()


def _lives(scheduled: ScheduledRun) -> bool:
    return bool(scheduled.process) and ProcessIdentity.parse(str(scheduled.process)).is_alive()


def interrupt_challengers(store: Store, decision_id: str) -> None:
    """Request the trainings of a retraining to stop at their next batch, to be resumed later."""
    try:
        runs = read_json(store.decision_folder(decision_id) / CHALLENGERS_FILE)
    except StorageError:
        return  # none has started
    for run_id in runs.values():
        try:
            store.runs.request_cancel(run_id, interrupt=True)
        except RunError:
            continue  # it has ended
        except StorageError as error:  # the others are asked all the same; this one is killed a little later
            print(f"Run {run_id} could not be asked to stop: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "1")  # a failed call is repeated at the next poll
    sys.exit(serve("flows.scheduler", Scheduler, POLL_SECONDS))
