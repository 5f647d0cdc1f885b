"""The flow `train`: Prefect runs the steps of a run's graph, each as a task.

The steps are the domain's (`workflows.pipeline`); here is only who runs them, what is retried, what is reused
from an earlier run, and what Prefect's UI shows. Deploy it as `flows/training.py:train`.
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
from workflows.graph.plan import Step
from workflows.pipeline import RunContext, create_run, do_step, recorded_end, walk
from workflows.requests import TrainRequest
from workflows.store.answers import DatasetAnswer, StageAnswer
from workflows.store.run_result import RunResult
from workflows.store.store import Store

# Increase it when a step's answer to the same inputs changes: answers cached by older versions are then not reused.
CACHE_VERSION = 1

RETRY_SECONDS = 2.0
WORTH_RETRYING = (OSError, StorageError)

_walked: ContextVar[RunContext] = ContextVar("walked")


def _alert_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Send the alerts; Prefect calls this with these parameter names."""
    run_id = flow_run.parameters.get("run_id") or flow_run.name
    text = f"The training {run_id} failed: {state.message}"
    alert(caller.get().store or Store(), "failed", text, run_id=run_id)


@flow(name="train", flow_run_name=lambda: _flow_run_name(), persist_result=False, on_failure=[_alert_failure])
def train(request: TrainRequest, run_id: str | None = None) -> Any:
    """Train, evaluate and explain a classifier; return what `fieldguide train --json` prints.

    Args:
        request: what to train on, and how.
        run_id: a recorded run to execute or resume; empty for a new one.
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
    _alert_done(store, result)
    return result.document()


def _alert_done(store: Store, result: RunResult) -> None:
    test = result.metrics_of("test") or result.metrics_of("val")
    metrics = {name: test.get(name) for name in ("top1", "top1_ci95", "support")}
    alert(store, "done", f"The training {result.run_id} is done.", run_id=result.run_id, metrics=metrics)


def _flow_run_name() -> str:
    parameters = flow_run.parameters
    request = parameters.get("request") or {}
    named = request if isinstance(request, dict) else request.model_dump()
    return parameters.get("run_id") or f"train {named.get('dataset') or named.get('source')}"


def _walk(context: RunContext) -> RunResult:
    token = _walked.set(context)
    try:
        for step in walk(context):
            state = _task_of(step)(context.run_id, return_state=True)
            if state.is_cancelled():
                raise RunCancelled(state.message or "")
            answer = state.result()
            if context.answer(step.key) is None:
                _take_over(context, step, answer)
            if step.key == "workflow":
                caller.get().progress(step.title, 1, 1, plan_of(context.workflow))
        return finish(context)
    finally:
        _walked.reset(token)


def _take_over(context: RunContext, step: Step, answer: dict[str, Any]) -> None:
    """Copy an answer that Prefect cached from an earlier run to this run."""
    if step.key == DatasetAnswer.key:
        found = DatasetAnswer.model_validate(answer)
        context.store.runs.update(context.run_id, dataset=found.name, version=found.version)
    context.keep(step.key, StageAnswer.model_validate({**answer, "seconds": 0.0, "cached": True}))


def _task_of(step: Step) -> Task[[str], Any]:
    """Make the Prefect task for `step` of the current run."""

    def do(run_id: str) -> Any:
        context = _walked.get()
        try:
            with Reporter(context) as context.progress:
                return do_step(context, step).document()
        except RunCancelled as error:
            return Cancelled(message=error.message)

    return Task(
        do,
        name=step.title,
        task_run_name=lambda: _task_run_name(step),
        retries=step.stage.retries,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=_worth_retrying,
        cache_key_fn=_cache_key_of(step),
        persist_result=True,
        result_serializer="json",
    )


def _task_run_name(step: Step) -> str:
    request = _walked.get().request
    return f"{step.title} · {request.dataset or request.source}"


def _worth_retrying(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, WORTH_RETRYING)


def _cache_key_of(step: Step) -> Callable[[TaskRunContext, dict[str, Any]], str | None]:
    """Return the cache key under which other runs can reuse a step's answer; None where they can't."""

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
        walked = _walked.get()
        inputs = step.stage.cache_inputs(walked, step)
        if inputs is None:
            return None
        name = step.stage.earlier_key or step.stage.key  # so that answers cached by older releases are found
        text = json.dumps([CACHE_VERSION, name, str(walked.store.home), inputs], sort_keys=True, default=str)
        return f"fieldguide-{name}-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"

    return key
