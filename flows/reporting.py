"""A training's reports: the caller's progress bars, and progress, tables and texts in Prefect's own UI."""

from __future__ import annotations

import contextvars
import re
import threading
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
from workflows.backbones.registry import title_of
from workflows.graph.workflow import Workflow
from workflows.pipeline import RunContext
from workflows.report.words import without
from workflows.store.run_result import RunResult
from workflows.targets.judged import counted_images, judged_by
from workflows.targets.metrics import ECE, METRICS, SUPPORT, TOP1
from workflows.throttle import Throttle

UPDATE_SECONDS = 2.0
FAREWELL_SECONDS = 3.0
CANCEL_POLL_SECONDS = 0.5

# A lost server must not end a training: it gets no more reports, and our own record has everything.
UNREACHABLE = (httpx.HTTPError, PrefectException, OSError)


class Reporter:
    """The `Progress` of one stage, from inside its Prefect task; it also checks for a requested cancellation.

    A thread of its own reports to Prefect: a slow or lost server must not delay a training. Use it as a
    context manager around the stage.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._watcher = caller.get().progress
        self._cancel_looks = Throttle(CANCEL_POLL_SECONDS)
        self._owner = threading.get_ident()
        self._news: tuple[float, str] | None = None
        self._woken, self._over = threading.Event(), False
        # the thread gets a copy of this context, by which Prefect knows which task is running
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._report,), daemon=True)

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        self._woken.set()
        self._thread.join(timeout=FAREWELL_SECONDS)

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Pass the progress on. Raises RunCancelled if a stop was requested."""
        self._watcher(stage, done, total, text)
        self._news = (100.0 * done / total if total else 0.0, f"{stage}: {done}/{total} {text}".strip())
        if threading.get_ident() == self._owner and self._cancel_looks.take():
            self._context.check_cancelled()

    def _report(self) -> None:
        """Report the latest progress to Prefect, every few seconds and at the end."""
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
    """Describe a run and its expected cost before it starts."""
    model, training, estimate = workflow.model, workflow.training, workflow.estimate
    plan = (
        f"{title_of(model.family, model.size)} at {model.image_size} px, {training.epochs} epochs, "
        f"batch {training.batch}"
    )
    if estimate is None:
        return plan
    low, high = (_minutes(seconds) for seconds in (estimate.seconds_low, estimate.seconds_high))
    return f"{plan}; expected {low} to {high} min and {estimate.memory_bytes / 1e9:.1f} GB of memory"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds < 600 else f"{seconds / 60:.0f}"


def show_result(result: RunResult) -> None:
    """Store the result of a run as a text and a table in Prefect's UI, under the run's id."""
    key = re.sub(r"[^a-z0-9]+", "-", result.run_id.lower())
    splits = {split: values for split, values in result.metrics.items() if values}
    rows: list[dict[str, Any]] = [
        {"metric": metric.title, **{split: _rounded(values.get(name)) for split, values in splits.items()}}
        for name, metric in METRICS.items()
        if metric is not SUPPORT
    ]
    if any("uncalibrated" in values for values in splits.values()):
        before = {split: (values.get("uncalibrated") or {}).get("ece") for split, values in splits.items()}
        rows.append(
            {"metric": f"{ECE.title}, uncalibrated", **{split: _rounded(value) for split, value in before.items()}}
        )
    if any(values.get("absent") for values in splits.values()):
        rows.append(
            {"metric": "macro", **{split: without(values.get("absent") or ()) for split, values in splits.items()}}
        )
    try:
        create_table_artifact(rows, key=f"{key}-metrics", description=f"Metrics of {result.run_id}")
        create_markdown_artifact(result_text(result), key=f"{key}-result", description=f"Result of {result.run_id}")
    except UNREACHABLE:
        return


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def result_text(result: RunResult) -> str:
    """Return the result of a run and the paths of its files as Markdown."""
    dataset, lines = result.dataset, [f"# {result.run_id}", ""]
    lines.append(f"{dataset.name} version {dataset.version}: {dataset.images} images")
    for split, values in result.metrics.items():
        if values:
            low, high = values["top1_ci95"]
            images = counted_images(values["support"], split)
            lines.append(f"- {TOP1.title} {values['top1']:.1%} (95 % interval {low:.1%} to {high:.1%}) on {images}")
    judged = judged_by(result.metrics)
    lines += ["", judged.caution] if judged and judged.caution else []
    lines += ["", "| file | where |", "|---|---|"]
    lines += [f"| {name} | `{path}` |" for name, path in result.artifacts.items()]
    return "\n".join(lines)
