"""Runs a training in this process: what `fieldguide train` and Python programs call."""

from __future__ import annotations

import importlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from flows.caller import Caller, caller
from flows.runtime import ServerError, loopback_works, prefect_api, server_is_configured
from flows.signals import stoppable
from workflows.errors import RunCancelled, RunError
from workflows.pipeline import create_run, run_pipeline
from workflows.progress import Progress, silent
from workflows.requests import TrainRequest
from workflows.state import State
from workflows.store.run_result import RunResult
from workflows.store.store import Store

# What a training imports anyway takes seconds; it is done while the embedded server starts.
SLOW_IMPORTS = ("flows.training", "workflows.training.trainer", "workflows.backbones.yolov8.network")


def train_now(store: Store, request: TrainRequest, progress: Progress = silent) -> dict[str, Any]:
    """Carry out a training request, and return the result that `fieldguide train --json` prints.

    Raises FieldguideError; its subclass shows what went wrong, and the run's record has it, too.
    """
    return execute_run(store, create_run(store, request).run_id, progress).document()


def execute_run(
    store: Store, run_id: str, progress: Progress = silent, stopping: Callable[[], None] | None = None
) -> RunResult:
    """Run a recorded run to its end: a new one from the start, an interrupted one from where it was.

    Args:
        store: holds all records and files.
        run_id: the run, exactly.
        progress: called with each stage's progress.
        stopping: called when Ctrl-C or SIGTERM has requested a stop, which takes until the next batch.

    Raises:
        RunCancelled: it was stopped; its `exit_code` is 130 or 143 if by a signal.
        FieldguideError: anything else that went wrong.
    """
    record = store.runs.get(run_id)
    if record.final:
        return record.final
    if record.state == State.PENDING:  # so that it is known to be dead if this process dies before the run starts
        store.runs.update(run_id, pid=os.getpid(), host=socket.gethostname())
    signals: list[int] = []

    def hear(number: int) -> None:
        signals.append(number)
        if stopping is not None:
            stopping()

    token = caller.set(Caller(store, progress, hear))
    try:
        _run(store, run_id)
    except ServerError as error:
        _never_began(store, run_id, State.FAILED, error.message)
        raise
    except KeyboardInterrupt as error:
        _never_began(store, run_id, State.CANCELLED, "interrupted from the keyboard")
        raise _cancelled(run_id, signal.SIGINT) from error
    except RunCancelled as error:
        raise _cancelled(run_id, signals[0] if signals else None) from error
    finally:
        caller.reset(token)
    return _result(store, run_id)


def _run(store: Store, run_id: str) -> None:
    """Run the flow; where not even this machine can talk to itself, run the same stages without Prefect."""
    if not server_is_configured() and not loopback_works():
        progress = caller.get().progress
        progress("prefect", 0, 1, "the loopback interface is down: this run is not shown in Prefect")
        with stoppable(store, run_id):
            run_pipeline(store, run_id, progress)
        return
    with prefect_api(meanwhile=_import_slowly):
        _run_flow(store, run_id)


def _import_slowly() -> None:
    for module in SLOW_IMPORTS:
        importlib.import_module(module)


def _run_flow(store: Store, run_id: str) -> None:
    from prefect.exceptions import CancelledRun

    from flows.reporting import UNREACHABLE
    from flows.training import train

    request = TrainRequest.model_validate(store.runs.get(run_id).request)
    try:
        train(request, run_id)
    except CancelledRun as error:
        raise RunCancelled(f"Run {run_id} was cancelled.") from error
    except UNREACHABLE:
        # the server went away during the run; what counts is whether the run completed
        if store.runs.get(run_id).state != State.FINISHED:
            raise


def _never_began(store: Store, run_id: str, state: State, error: str) -> None:
    """Record the end of a run whose flow could not be started; a run that has begun records its end itself."""
    if store.runs.get(run_id).state == State.PENDING:
        store.runs.update(run_id, state=state, error=error)


def _cancelled(run_id: str, number: int | None) -> RunCancelled:
    """Return the error for a stopped run, with the exit code that shells expect after a signal."""
    error = RunCancelled(f"Run {run_id} was cancelled.", f"Resume it: fieldguide runs resume {run_id}")
    if number is not None:
        error.exit_code = 128 + number
    return error


def _result(store: Store, run_id: str) -> RunResult:
    result = store.runs.get(run_id).result
    if not result:
        raise RunError(f"Run {run_id} ended without a result.", f"Resume it: fieldguide runs resume {run_id}")
    return result
