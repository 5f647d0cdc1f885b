"""What a training tells whoever watches: the caller's bars, and progress, tables and texts in Prefect's own UI."""

from __future__ import annotations

import contextvars
import re
import threading
import time
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from flows.caller import caller
from workflows.graph.workflow import Workflow
from workflows.pipeline import RunContext

UPDATE_SECONDS = 2.0
FAREWELL_SECONDS = 3.0
CANCEL_POLL_SECONDS = 0.5
METRICS = ("top1", "top5", "precision_macro", "recall_macro", "f1_macro", "average_confidence", "ece", "log_loss")

# A server that is gone must not cost a training: it is told nothing more, and our own record has everything.
UNREACHABLE = (httpx.HTTPError, PrefectException, OSError)


class Reporter:
    """The `Progress` of one stage, from inside its Prefect task; also where a wish to cancel is heard.

    Prefect is told by a thread of its own: a server that is slow or gone must not hold up a training. Use it as a
    context manager around the stage.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._watcher = caller.get().progress
        self._asked = float("-inf")
        self._owner = threading.get_ident()
        self._news: tuple[float, str] | None = None
        self._woken, self._over = threading.Event(), False
        # the thread gets a copy of this context, by which Prefect knows which task is running
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._tell,), daemon=True)

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        self._woken.set()
        self._thread.join(timeout=FAREWELL_SECONDS)

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Pass the progress on. Raises RunCancelled if somebody asked the run to stop."""
        self._watcher(stage, done, total, text)
        self._news = (100.0 * done / total if total else 0.0, f"{stage}: {done}/{total} {text}".strip())
        now = time.monotonic()
        if threading.get_ident() == self._owner and now - self._asked >= CANCEL_POLL_SECONDS:
            self._asked = now
            self._context.check_cancelled()

    def _tell(self) -> None:
        """Tell Prefect the newest of the news, every few seconds and at the end."""
        artifact: UUID | None = None
        while True:
            self._woken.wait(UPDATE_SECONDS)
            last, news, self._news = self._over, self._news, None
            try:
                if news is not None and artifact is None:
                    artifact = cast(UUID, create_progress_artifact(news[0], description=news[1]))
                elif news is not None and artifact is not None:
                    update_progress_artifact(artifact, news[0], description=news[1])
            except UNREACHABLE:
                return
            if last:
                return


def plan_of(workflow: Workflow) -> str:
    """Say what a run is about to do, and what it is expected to take, before it begins."""
    model, training, estimate = workflow.model, workflow.training, workflow.estimate
    plan = f"YOLOv8{model.size} at {model.image_size} px, {training.epochs} epochs, batch {training.batch}"
    if estimate is None:
        return plan
    low, high = (_minutes(seconds) for seconds in (estimate.seconds_low, estimate.seconds_high))
    return f"{plan}; expected {low} to {high} min and {estimate.memory_bytes / 1e9:.1f} GB of memory"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds < 600 else f"{seconds / 60:.0f}"


def show_result(result: dict[str, Any]) -> None:
    """Leave the result of a run as a text and a table in Prefect's UI, under the run's id."""
    key = re.sub(r"[^a-z0-9]+", "-", result["run_id"].lower())
    splits = {split: values for split, values in result["metrics"].items() if values}
    rows = [
        {"metric": name, **{split: _rounded(values.get(name)) for split, values in splits.items()}} for name in METRICS
    ]
    try:
        create_table_artifact(rows, key=f"{key}-metrics", description=f"Metrics of {result['run_id']}")
        create_markdown_artifact(result_text(result), key=f"{key}-result", description=f"Result of {result['run_id']}")
    except UNREACHABLE:
        return


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def result_text(result: dict[str, Any]) -> str:
    """Say in Markdown what came of a run, and where its files are."""
    dataset, lines = result["dataset"], [f"# {result['run_id']}", ""]
    lines.append(f"{dataset['name']} version {dataset['version']}: {dataset['images']} images")
    for split, values in result["metrics"].items():
        if values:
            low, high = values["top1_ci95"]
            lines.append(
                f"- **{split}**: top-1 {values['top1']:.1%} (95 %: {low:.1%} to {high:.1%}), {values['support']} images"
            )
    lines += ["", "| file | where |", "|---|---|"]
    lines += [f"| {name} | `{path}` |" for name, path in result["artifacts"].items()]
    return "\n".join(lines)
