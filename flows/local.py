"""Training, retraining and tuning in this process, until the end: what the command line and Python programs call.

Each is a Prefect flow, run against the configured server or one that lives as long as the call.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from flows.caller import Caller, caller
from flows.runtime import ServerError, loopback_works, prefect_api, server_is_configured
from flows.signals import stoppable
from workflows.errors import RunCancelled, RunError
from workflows.pipeline import create_run, run_pipeline
from workflows.progress import Progress, silent
from workflows.requests import RetrainSettings, TrainRequest
from workflows.state import State
from workflows.store.models import DecisionRecord
from workflows.store.run_result import RunResult
from workflows.store.store import Store

if TYPE_CHECKING:
    from workflows.tuning.study import Tuning  # optuna: only where somebody tunes

Answer = TypeVar("Answer")

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


def retrain_now(
    store: Store,
    model: str,
    trigger: str = "by hand",
    settings: RetrainSettings | None = None,
    progress: Progress = silent,
    decision_id: str | None = None,
) -> DecisionRecord:
    """Retrain a model as a Prefect flow, and return the decision.

    With the `decision_id` of an interrupted retraining, resume it.

    Raises FieldguideError; its subclass shows what went wrong.
    """
    chosen = decision_id or store.models.new_decision_id(model)

    def as_flow() -> None:
        from flows.retraining import retrain

        retrain(model, trigger, settings, chosen)

    def without_prefect() -> None:
        from workflows.retraining.retrain import retrain

        retrain(store, model, trigger, settings, decision_id=chosen, progress=progress)

    _with_or_without_prefect(store, progress, "flows.retraining", as_flow, without_prefect)
    decision = store.models.decision(chosen)
    if decision is None:
        raise RunError(f"The retraining of {model} ended without a decision.", "Run it again; nothing was promoted.")
    return decision


def tune_now(store: Store, tuning: Tuning, progress: Progress = silent, worker: int = 0) -> dict[str, Any]:
    """Work on a tuning as a Prefect flow until its budget is spent, and return its result.

    Raises FieldguideError; its subclass shows what went wrong.
    """

    def as_flow() -> dict[str, Any]:
        from flows.tuning import tune

        result: dict[str, Any] = tune(study_id=tuning.study_id, worker=worker)
        return result

    def without_prefect() -> dict[str, Any]:
        from workflows.tuning.tune import refit, work

        work(tuning, progress, worker)
        return refit(tuning, progress)

    return tuning.result() or _with_or_without_prefect(store, progress, "flows.tuning", as_flow, without_prefect)


def _with_or_without_prefect(
    store: Store, progress: Progress, module: str, flow: Callable[[], Answer], otherwise: Callable[[], Answer]
) -> Answer:
    """Run a flow against the configured server, or one for the duration of this call, and return its answer.

    Args:
        store: passed to the flow.
        progress: called with its progress.
        module: the flow's module, which takes seconds to import; it is imported while the server starts.
        flow: calls the flow.
        otherwise: does the same without Prefect, where not even this machine can talk to itself.
    """
    if not server_is_configured() and not loopback_works():
        progress("prefect", 0, 1, "the loopback interface is down: this is not shown in Prefect")
        return otherwise()
    token = caller.set(Caller(store, progress))
    try:
        with prefect_api(meanwhile=lambda: importlib.import_module(module)):
            return flow()
    finally:
        caller.reset(token)
