"""One retraining in a process of its own: `python -m flows.scheduler_job FIRING --studio PID@START`.

It executes the firing's flow run of the deployment `retrain`. It belongs to the studio: it survives the scheduler,
and ends at its next batch when the studio is gone; the next studio goes on with it.
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
from workflows.store.files import read_json
from workflows.store.schedules import Firing
from workflows.store.store import Store

TELL_SECONDS = 3.0
SERVER_SECONDS = 60.0


def main() -> int:
    """Execute the firing; return the exit code."""
    chosen = arguments("flows.scheduler_job", "firing").parse_args()
    store = Store()
    firing = store.schedules.firing(chosen.firing)
    if firing.state != "running":
        return 0
    begin_job(chosen.studio, lambda: interrupt_challengers(store, firing.decision_id))
    try:
        _execute(store, firing)
    except RunCancelled as error:
        if _interrupted(store, firing):
            return 0  # the studio ends: the next one goes on
        store.schedules.update_firing(firing.id, state="cancelled", note=f"cancelled: {error.message}")
        return 130
    except FieldguideError as error:
        store.schedules.update_firing(firing.id, state="failed", note=f"failed: {error.message}")
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _execute(store: Store, firing: Firing) -> None:
    """Run the flow run; what came of it stands in the decision's record."""
    end = time.monotonic() + SERVER_SECONDS
    while not answers(os.environ["PREFECT_API_URL"]) and time.monotonic() < end:
        time.sleep(1.0)

    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow

    from flows.retraining import retrain
    from workflows.retraining.plan import RetrainSettings

    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(firing.flow_run_id or ""))
    asked = {
        "model": firing.model,
        "trigger": firing.trigger,
        "settings": RetrainSettings.model_validate(flow_run.parameters.get("settings") or {}),
        "decision_id": firing.decision_id,
    }
    token = caller.set(Caller(store, _teller(store, firing)))
    try:
        run_flow(retrain, flow_run=flow_run, parameters=asked)
    finally:
        caller.reset(token)
    decision = store.models.decision(firing.decision_id)
    if decision is not None:
        store.schedules.update_firing(firing.id, state="done", note=f"{decision.outcome}: {decision.reason}")


def _teller(store: Store, firing: Firing) -> Progress:
    """Return a `Progress` that keeps the newest word as the firing's note, every few seconds."""
    told: list[tuple[float, str]] = [(float("-inf"), "")]

    def tell(stage: str, done: int, total: int, text: str = "") -> None:
        moment, (last, stage_before) = time.monotonic(), told[0]
        waits = text.startswith("waiting")
        if moment - last < TELL_SECONDS and stage == stage_before and not waits:
            return
        told[0] = (moment, stage)
        note = text if waits else f"{stage} {done}/{total} {text}".strip()
        try:
            store.schedules.update_firing(firing.id, note=note)
        except StorageError:
            return  # a full disk must not end a training for the sake of a remark

    return tell


def _interrupted(store: Store, firing: Firing) -> bool:
    """Return whether a training of this retraining was stopped because the studio ends, not because it is unwanted."""
    try:
        runs = read_json(store.decision_folder(firing.decision_id) / CHALLENGERS_FILE)
    except StorageError:
        return False
    return any(store.runs.get(run_id).state == "interrupted" for run_id in runs.values())


if __name__ == "__main__":
    sys.exit(main())
