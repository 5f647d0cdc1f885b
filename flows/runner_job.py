"""One training in a process of its own: `python -m flows.runner_job RUN --studio PID@START`, started by the runner.

It belongs to the studio, not to the runner or to a page: it survives both, and ends cleanly at its next batch when
the studio has ended.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from flows.local import execute_run
from flows.progress_file import WRITE_SECONDS, progress_into
from flows.runtime import answers, server_is_configured
from flows.service import arguments, begin_job
from flows.signals import stoppable
from workflows.errors import FieldguideError, RunCancelled, RunError
from workflows.pipeline import run_pipeline
from workflows.store.store import Store

PREFECT_SECONDS = 60.0
"""Seconds to wait for Prefect's server before the run starts without being shown there."""


def main() -> int:
    """Execute the run; return the exit code."""
    chosen = arguments("flows.runner_job", "run").parse_args()
    store = Store()
    if not store.runs.get(chosen.run).state.alive:
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
    """Run the flow against the studio's Prefect server; without Prefect if that stays unreachable."""
    progress = progress_into(store.run_folder(run_id).progress)
    if server_is_configured() and _prefect_answers(store, run_id):
        execute_run(store, run_id, progress)
        return
    sys.stderr.write("Prefect's server does not answer: this run is not shown there.\n")
    with stoppable(store, run_id):
        run_pipeline(store, run_id, progress)


def _prefect_answers(store: Store, run_id: str) -> bool:
    end = time.monotonic() + PREFECT_SECONDS
    while time.monotonic() < end and not store.runs.cancel_requested(run_id):
        if answers(os.environ["PREFECT_API_URL"]):
            return True
        time.sleep(WRITE_SECONDS)
    return False


def _interrupt(store: Store, run_id: str) -> None:
    with suppress(RunError):  # it has just ended
        store.runs.request_cancel(run_id, interrupt=True)


if __name__ == "__main__":
    sys.exit(main())
