"""`fieldguide runs ...`: listing, comparing, resuming and cancelling runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.train import print_result, run_with_bars, test_images_hint
from app.options import AsJson, RunArgument, Search, Split, Starred, TagFilter, example
from app.output import Output
from app.words import (
    JUDGED_COLUMNS,
    calibration_words,
    duration,
    judged_cells,
    metric,
    metrics_table,
    moment,
    size_of,
    table,
    verdict,
    with_absent,
)
from workflows.errors import RunError, UsageError
from workflows.state import State
from workflows.store.run_result import RunResult
from workflows.targets.judged import OPTIMISTIC_RUNS, Judged, counted_images, judged_by
from workflows.targets.metrics import ECE, F1, TOP1, metric_of

if TYPE_CHECKING:
    from workflows.store.marks import Mark
    from workflows.store.store import RunRecord, Store

commands = typer.Typer(help="List, show, compare, resume and cancel runs.", no_args_is_help=True)

CANCEL_SECONDS = 120.0
POLL_SECONDS = 0.5
SHOWN_STEPS = 12
STEP_METRICS = ("train/loss", "val/loss", TOP1.on("val"), F1.on("val"), ECE.on("val"))


def open_store() -> Store:
    """Open the store, and mark runs whose process died."""
    from workflows.store.store import Store

    store = Store()
    store.runs.reconcile()
    return store


@commands.command("list", epilog=example("fieldguide runs list"))
def list_(search: Search = "", tag: TagFilter = None, starred: Starred = False, as_json: AsJson = False) -> None:
    """List all runs, newest first."""
    out = Output(as_json)
    store = open_store()
    all_runs, marks = store.runs.list(), store.marks.all("run")
    wanted = store.marks.among("run", [run.run_id for run in all_runs], search, tag or (), starred)
    records = [run for run in all_runs if run.run_id in wanted]
    rows = [
        [
            r.run_id,
            marks[r.run_id].words if r.run_id in marks else "",
            r.state,
            _dataset(r),
            r.goal,
            *_cells(r),
            _took(r),
            moment(r.created_at),
        ]
        for r in records
    ]
    titles = ["run", "name", "state", "data set", "goal", *JUDGED_COLUMNS, "#took", "started"]
    shown = table(titles, rows)
    none = "No run matches." if all_runs else "No runs yet. Start one: fieldguide train FOLDER"
    out.answer([_brief(record, marks.get(record.run_id)) for record in records], shown if records else none)


def _brief(record: RunRecord, mark: Mark | None = None) -> dict[str, Any]:
    """A run as one entry of a list: all but the large fields."""
    judged = _judged(record)
    marked = mark.document() if mark else {"title": "", "note": "", "tags": [], "starred": False}
    return {
        "run_id": record.run_id,
        **marked,
        "state": record.state,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "dataset": record.dataset,
        "version": record.version,
        "goal": record.goal,
        "device": record.device,
        "test_top1": judged.top1 if judged and judged.split == "test" else None,
        "judged": judged and judged.document(),
        "error": record.error,
    }


def _judged(record: RunRecord) -> Judged | None:
    return judged_by(record.result.metrics) if record.result else None


def _dataset(record: RunRecord) -> str:
    return f"{record.dataset or '?'}{f' v{record.version}' if record.version else ''}"


def _cells(record: RunRecord) -> list[str]:
    """A run's accuracy, its interval, and the images that judged it; empty before there is one."""
    judged = _judged(record)
    return ["", "", ""] if judged is None else judged_cells(judged)


def _took(record: RunRecord) -> str:
    if record.started_at is None or record.finished_at is None:
        return "-"
    return duration((record.finished_at - record.started_at).total_seconds())


@commands.command(epilog=example("fieldguide runs show latest"))
def show(run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: its state, epochs, metrics, files, and estimated against actual time."""
    out = Output(as_json)
    store = open_store()
    from workflows.evaluation.steps import absent_of

    record = store.runs.get(run)
    steps = store.runs.steps(record.run_id)
    wide = steps.pivot(index="step", columns="name", values="value") if len(steps) else None
    mark = store.marks.get("run", record.run_id)
    document = {
        **_brief(record, mark),
        "request": record.request,
        "workflow": record.workflow,
        "result": record.result and record.result.document(),
        "steps": [] if wide is None else wide.reset_index().to_dict("records"),
        "flow_run_id": record.flow_run_id,
        "folder": store.run_folder(record.run_id).path,
    }
    lines: list[Any] = [f"{record.run_id}: {record.state}{f' ({record.error})' if record.error else ''}"]
    lines += [words for words in (mark.words, mark.note) if words]
    lines.append(f"data set {_dataset(record)}, goal {record.goal or '-'}, device {record.device or '-'}")
    lines.append(
        f"started {moment(record.started_at)}, took {_took(record)}; files in {store.run_folder(record.run_id).path}"
    )
    if wide is not None:
        lines.append(_history(wide, absent_of(store.run_folder(record.run_id), "val")))
    out.answer(document, *lines, *_outcome(record.result), *_next(record))


def _history(wide: Any, absent: Sequence[str]) -> Any:
    """The last epochs as a table."""
    names = [name for name in STEP_METRICS if name in wide.columns]
    titles = [with_absent(name, absent, _history_title(name)) for name in names]
    rows = [
        [step, *(metric("log_loss" if name.endswith("loss") else name.split("/")[1], row[name]) for name in names)]
        for step, row in wide.tail(SHOWN_STEPS).iterrows()
    ]
    return table(["#epoch", *(f"#{title}" for title in titles)], rows)


def _history_title(name: str) -> str:
    """`val/top1` -> 'Top-1, validation'."""
    from workflows.data.version import SPLIT_WORDS

    split, _, measured = name.partition("/")
    known = metric_of(name)
    heading = (known.short or known.heading) if known else measured
    return f"{heading}, {SPLIT_WORDS[split]}"


def _outcome(result: RunResult | None) -> list[Any]:
    """A finished run's metrics, estimate and pictures."""
    if result is None or not result.metrics:
        return []
    judged = judged_by(result.metrics)
    lines = [metrics_table(result.metrics), *verdict(judged), *test_images_hint(judged, result.dataset.name)]
    lines += [calibration_words(result.calibration), *_estimate(result)]
    return [*lines, f"report: {result.artifacts.get('report', '-')}"]


def _estimate(result: RunResult) -> list[str]:
    estimate = result.estimate
    if not estimate:
        return []
    actual = estimate.get("actual_seconds")
    text = f"estimated {duration(estimate['seconds'])}, took {duration(actual)}"
    if estimate.get("memory_bytes"):
        text += f"; estimated memory {size_of(estimate['memory_bytes'])}"
    return [text]


def _next(record: RunRecord) -> list[str]:
    if record.state.resumable:
        return [f"Next: fieldguide runs resume {record.run_id}"]
    return [f"Next: fieldguide predict {record.run_id} PHOTO"] if record.state == State.FINISHED else []


@commands.command(epilog=example("fieldguide runs compare flowers-a flowers-b"))
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="The first is compared with each other one.")],
    split: Annotated[Split, typer.Option(help="Which held-out photos.")] = Split.test,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same photos, with confidence intervals of the difference."""
    out = Output(as_json)
    if len(runs) < 2:
        raise UsageError("Comparing needs at least two runs.", "`fieldguide runs list` shows them.")
    from workflows.evaluation.comparison import compare as compare_predictions
    from workflows.evaluation.comparison import left_out_of_runs, left_out_words
    from workflows.evaluation.predictions import common_target, read_predictions

    store = open_store()
    ids = [store.runs.get(run).run_id for run in runs]
    paths = [_predictions(store, run_id) for run_id in ids]
    (first, first_known), *others = (read_predictions(path) for path in paths)
    target = common_target(*paths)
    found = [
        compare_predictions(
            first, frame, split.value, names=(ids[0], run_id), known={*first_known, *known}, target=target
        )
        for run_id, (frame, known) in zip(ids[1:], others, strict=True)
    ]
    lines: list[Any] = []
    documents = []
    notes = [OPTIMISTIC_RUNS] if split == Split.val else []
    for comparison in found:
        causes = left_out_of_runs(comparison, *map(store.run_folder, comparison.names))
        rows = [
            [
                with_absent(row["metric"], comparison.absent),
                *(f"{row[key]:.4f}" for key in ("a", "b", "difference", "low", "high")),
            ]
            for row in comparison.metrics.to_dict("records")
        ]
        images = counted_images(comparison.images, comparison.split)
        title = f"{comparison.names[0]} (A) and {comparison.names[1]} (B) on {images}"
        lines += [title, table(["metric", "#A", "#B", "#B - A", "#from", "#to"], rows), comparison.verdict]
        lines += filter(None, [left_out_words(comparison, causes), *notes])
        documents.append(
            {
                **comparison.document(),
                "left_out_because": [{"cause": cause, "images": number} for cause, number in causes],
            }
        )
    out.answer(documents, *lines)


def _predictions(store: Store, run_id: str) -> Any:
    path = store.run_folder(run_id).evaluation.predictions
    if not path.exists():
        raise RunError(f"Run {run_id} has no predictions yet.", f"Finish it first: fieldguide runs resume {run_id}")
    return path


@commands.command(epilog=example("fieldguide runs resume latest"))
def resume(run: RunArgument, as_json: AsJson = False) -> None:
    """Resume an interrupted, cancelled or failed run from its last checkpoint."""
    out = Output(as_json)
    store = open_store()
    print_result(out, run_with_bars(out, store, store.runs.get(run).run_id))


@commands.command(epilog=example("fieldguide runs cancel latest"))
def cancel(
    run: RunArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the run has stopped.")] = True,
    as_json: AsJson = False,
) -> None:
    """Stop a running training at its next batch. Its checkpoint stays, so that it can be resumed."""
    out = Output(as_json)
    store = open_store()
    run_id = store.runs.get(run).run_id
    store.runs.request_cancel(run_id)
    record = _stopped(out, store, run_id) if wait else store.runs.get(run_id)
    text = f"{run_id}: {record.state}" if wait else f"{run_id} is stopping"
    out.answer(_brief(record), text, *(_next(record) if wait else []))


def _stopped(out: Output, store: Store, run_id: str) -> RunRecord:
    """Wait until a run has ended, and return its record."""
    out.note(f"Waiting for {run_id} to stop.")
    end = time.monotonic() + CANCEL_SECONDS
    while (record := store.runs.get(run_id)).state.alive:
        if time.monotonic() > end:
            hint = f"Its process is {record.pid} on {record.host}; ending it is safe, its last checkpoint is complete."
            raise RunError(f"Run {run_id} has not stopped within {CANCEL_SECONDS:g} s.", hint)
        time.sleep(POLL_SECONDS)
        store.runs.reconcile()
    return record


@commands.command("delete", epilog=example("fieldguide runs delete flowers-20261122-101530-ab12"))
def delete_(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run with its checkpoints, tables and pictures. Refused while a model uses it."""
    out = Output(as_json)
    from workflows.registry.deletion import delete_run

    store = open_store()
    record = store.runs.get(run)
    if not yes and not as_json:
        typer.confirm(
            f"Delete {record.run_id} with all its files ({store.run_folder(record.run_id).path})?", abort=True
        )
    deleted = delete_run(store, record.run_id)
    out.answer(_brief(deleted), f"{deleted.run_id} is deleted.")
