"""One training in a process of its own: `python -m flows.runner_job RUN --studio PID@START`, started by the runner.

It belongs to the studio, not to the runner or to a page: it survives both, and ends cleanly at its next batch when
the studio is gone.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from flows.local import go_on
from flows.runtime import answers, server_is_configured
from flows.service import arguments, begin_job
from flows.signals import stoppable
from workflows.errors import FieldguideError, RunCancelled, RunError, StorageError
from workflows.pipeline import run_pipeline
from workflows.progress import Progress
from workflows.store.files import write_json
from workflows.store.store import Store
from workflows.store.tables import now

PREFECT_SECONDS = 60.0
"""How long Prefect's server may be away before the run starts without being shown there."""
TELL_SECONDS = 0.5
STARTABLE = ("pending", "running")


def main() -> int:
    """Execute the run; return the exit code."""
    chosen = arguments("flows.runner_job", "run").parse_args()
    store = Store()
    if store.runs.get(chosen.run).state not in STARTABLE:
        return 0
    begin_job(chosen.studio, lambda: _interrupt(store, chosen.run))
    try:
        _execute(store, chosen.run)
    except RunCancelled:
        return 130
    except FieldguideError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _execute(store: Store, run_id: str) -> None:
    """Run the flow against the studio's Prefect server; without Prefect if that stays away."""
    progress = teller(store, run_id)
    if server_is_configured() and _prefect_answers(store, run_id):
        go_on(store, run_id, progress)
        return
    sys.stderr.write("Prefect's server does not answer: this run is not shown there.\n")
    with stoppable(store, run_id):
        run_pipeline(store, run_id, progress)


def _prefect_answers(store: Store, run_id: str) -> bool:
    end = time.monotonic() + PREFECT_SECONDS
    while time.monotonic() < end and not store.runs.cancel_requested(run_id):
        if answers(os.environ["PREFECT_API_URL"]):
            return True
        time.sleep(TELL_SECONDS)
    return False


def teller(store: Store, run_id: str) -> Progress:
    """Return a `Progress` that keeps the newest word in the run's `progress.json`, at most twice a second.

    Its fields: `stage`, `done`, `total`, `text`, `at` (ISO 8601, UTC).
    """
    return tell_into(store.run_folder(run_id) / "progress.json")


def tell_into(path: Path) -> Progress:
    """Return a `Progress` that keeps its newest word in a file; see :func:`teller`."""
    told: dict[str, float] = {}

    def tell(stage: str, done: int, total: int, text: str = "") -> None:
        moment = time.monotonic()
        waits = "waiting for" in text  # nothing may follow for hours
        if done < total and not waits and moment - told.get(stage, float("-inf")) < TELL_SECONDS:
            return
        told[stage] = moment
        with suppress(StorageError):  # a full disk must not end a training for the sake of a remark
            write_json(path, {"stage": stage, "done": done, "total": total, "text": text, "at": now()})

    return tell


def _interrupt(store: Store, run_id: str) -> None:
    with suppress(RunError):  # just ended by itself
        store.runs.request_cancel(run_id, interrupt=True)


if __name__ == "__main__":
    sys.exit(main())
