"""The flow `train`: Prefect walks a run's graph, each stage a task.

The stages are the domain's (`workflows.stages`); here is only who runs them, what is tried again, what is taken
over from an earlier run, and what Prefect's UI gets to see. Deploy it as `flows/training.py:train`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from prefect import Flow, Task, flow
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows.alerts import alert
from flows.caller import caller
from flows.reporting import Reporter, plan_of, show_result
from flows.signals import stoppable
from workflows.errors import RunCancelled, StorageError
from workflows.finish import finish
from workflows.pipeline import RunContext, Stage, TrainRequest, create_run, do_stage, recorded_end
from workflows.stages import STAGES
from workflows.store.store import Store

# Raise it when a stage's answer to the same inputs changes: answers cached by older versions are then not taken over.
CACHE_VERSION = 1

RETRY_SECONDS = 2.0
WORTH_RETRYING = (OSError, StorageError)

_walked: ContextVar[RunContext] = ContextVar("walked")


def _tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Alert those who asked for it; Prefect calls this with these names."""
    run_id = flow_run.parameters.get("run_id") or flow_run.name
    text = f"The training {run_id} failed: {state.message}"
    alert(caller.get().store or Store(), "failed", text, run_id=run_id)


@flow(name="train", flow_run_name=lambda: _flow_run_name(), persist_result=False, on_failure=[_tell_failure])
def train(request: TrainRequest, run_id: str | None = None) -> Any:
    """Train, evaluate and explain a classifier; answer what `fieldguide train --json` prints.

    Args:
        request: what to train on, and how.
        run_id: a recorded run to go on with; empty for a new one.
    """
    store = caller.get().store or Store()
    run_id = run_id or create_run(store, request).run_id
    try:
        with store.runs.alive(run_id), recorded_end(store, run_id), stoppable(store, run_id):
            store.runs.update(run_id, flow_run_id=str(flow_run.id))
            result = _walk(RunContext(store, run_id))
    except RunCancelled as error:
        return Cancelled(message=error.message)
    show_result(result)
    _tell_done(store, result)
    return result


def _tell_done(store: Store, result: dict[str, Any]) -> None:
    test = result["metrics"].get("test") or result["metrics"].get("val") or {}
    metrics = {name: test.get(name) for name in ("top1", "top1_ci95", "support")}
    alert(store, "done", f"The training {result['run_id']} is done.", run_id=result["run_id"], metrics=metrics)


def _flow_run_name() -> str:
    parameters = flow_run.parameters
    request = parameters.get("request") or {}
    named = request if isinstance(request, dict) else request.model_dump()
    return parameters.get("run_id") or f"train {named.get('dataset') or named.get('source')}"


def _walk(context: RunContext) -> dict[str, Any]:
    token = _walked.set(context)
    try:
        for stage in STAGES:
            state = TASKS[stage.key](context.run_id, return_state=True)
            if state.is_cancelled():
                raise RunCancelled(state.message or "")
            answer = state.result()
            if context.answer(stage.key) is None:
                _take_over(context, stage, answer)
            if stage.key == "workflow":
                caller.get().progress(stage.title, 1, 1, plan_of(context.workflow))
        return finish(context)
    finally:
        _walked.reset(token)


def _take_over(context: RunContext, stage: Stage, answer: dict[str, Any]) -> None:
    """Make an answer that Prefect had from an earlier run this run's own."""
    if stage.key == "dataset":
        context.store.runs.update(context.run_id, dataset=answer["name"], version=answer["version"])
    context.keep(stage.key, {**answer, "seconds": 0.0, "cached": True})


def _task_of(stage: Stage) -> Task[[str], Any]:
    """Make the Prefect task that does `stage` of the run being walked."""

    def do(run_id: str) -> Any:
        context = _walked.get()
        try:
            with Reporter(context) as context.progress:
                return do_stage(context, stage)
        except RunCancelled as error:
            return Cancelled(message=error.message)

    return Task(
        do,
        name=stage.title,
        task_run_name=lambda: _task_run_name(stage),
        retries=stage.retries,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=_worth_retrying,
        cache_key_fn=_cache_key_of(stage),
        persist_result=True,
        result_serializer="json",
    )


def _task_run_name(stage: Stage) -> str:
    request = _walked.get().request
    return f"{stage.title} · {request.dataset or request.source}"


def _worth_retrying(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, WORTH_RETRYING)


def _cache_key_of(stage: Stage) -> Callable[[TaskRunContext, dict[str, Any]], str | None]:
    """Give the key under which a stage's answer can be taken over by other runs; None where it can't."""

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
        walked = _walked.get()
        inputs = stage.cache_inputs(walked)
        if inputs is None:
            return None
        text = json.dumps([CACHE_VERSION, stage.key, str(walked.store.home), inputs], sort_keys=True, default=str)
        return f"fieldguide-{stage.key}-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"

    return key


TASKS = {stage.key: _task_of(stage) for stage in STAGES}
