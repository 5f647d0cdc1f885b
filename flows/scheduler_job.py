"""One retraining in a process of its own: `python -m flows.scheduler_job SCHEDULED_RUN --studio PID@START`.

It executes the scheduled run's flow run of the deployment `retrain`. It belongs to the studio: it survives the scheduler,
and ends at its next batch when the studio has ended; the next studio resumes it.
"""

from __future__ import annotations

import os
import sys
import time
from uuid import UUID

from flows.caller import Caller, caller
from flows.runtime import answers
from flows.scheduler import interrupt_challengers
from flows.service import arguments, begin_job
from workflows.errors import FieldguideError, RunCancelled, StorageError
from workflows.progress import Progress
from workflows.retraining.plan import CHALLENGERS_FILE
from workflows.state import State
from workflows.store.files import read_json
from workflows.store.schedules import ScheduledRun
from workflows.store.store import Store
from workflows.throttle import ProgressThrottle

REPORT_SECONDS = 3.0
SERVER_SECONDS = 60.0


def main() -> int:
    """Execute the scheduled run; return the exit code."""
    chosen = arguments("flows.scheduler_job", "scheduled_run").parse_args()
    store = Store()
    scheduled = store.schedules.scheduled_run(chosen.scheduled_run)
    if scheduled.state != State.RUNNING:
        return 0
    begin_job(chosen.studio, lambda: interrupt_challengers(store, scheduled.decision_id))
    try:
        _execute(store, scheduled)
    except RunCancelled as error:
        if _interrupted(store, scheduled):
            return 0  # the studio ends: the next one resumes it
        store.schedules.update_scheduled_run(scheduled.id, state=State.CANCELLED, note=f"cancelled: {error.message}")
        return 130
    except FieldguideError as error:
        store.schedules.update_scheduled_run(scheduled.id, state=State.FAILED, note=f"failed: {error.message}")
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _execute(store: Store, scheduled: ScheduledRun) -> None:
    """Execute the flow run; its result is in the decision's record."""
    end = time.monotonic() + SERVER_SECONDS
    while not answers(os.environ["PREFECT_API_URL"]) and time.monotonic() < end:
        time.sleep(1.0)

    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow

    from flows.retraining import retrain
    from workflows.requests import RetrainSettings

    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(scheduled.flow_run_id or ""))
    parameters = {
        "model": scheduled.model,
        "trigger": scheduled.trigger,
        "settings": RetrainSettings.model_validate(flow_run.parameters.get("settings") or {}),
        "decision_id": scheduled.decision_id,
    }
    token = caller.set(Caller(store, _note_progress(store, scheduled)))
    try:
        run_flow(retrain, flow_run=flow_run, parameters=parameters)
    finally:
        caller.reset(token)
    decision = store.models.decision(scheduled.decision_id)
    if decision is not None:
        store.schedules.update_scheduled_run(
            scheduled.id, state=State.FINISHED, note=f"{decision.outcome}: {decision.reason}"
        )


def _note_progress(store: Store, scheduled: ScheduledRun) -> Progress:
    """Return a `Progress` that writes its latest report to the scheduled run's note, every few seconds."""
    throttle = ProgressThrottle(REPORT_SECONDS)

    def report(stage: str, done: int, total: int, text: str = "") -> None:
        waits = text.startswith("waiting")
        if not throttle.take(stage, always=waits):
            return
        note = text if waits else f"{stage} {done}/{total} {text}".strip()
        try:
            store.schedules.update_scheduled_run(scheduled.id, note=note)
        except StorageError:
            return  # a full disk must not end a training

    return report


def _interrupted(store: Store, scheduled: ScheduledRun) -> bool:
    """Return whether a training of this retraining was stopped because the studio ends, not because somebody cancelled it."""
    try:
        runs = read_json(store.decision_folder(scheduled.decision_id) / CHALLENGERS_FILE)
    except StorageError:
        return False
    return any(store.runs.get(run_id).state == State.INTERRUPTED for run_id in runs.values())


if __name__ == "__main__":
    sys.exit(main())
