"""`fieldguide runs ...`: what was trained, how it went, and going on with it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.train import carry_on, tell
from app.options import AsJson, RunArgument, Split, example
from app.output import Output
from app.words import duration, metric, metrics_table, percent, size_of, table
from workflows.errors import RunError, UsageError

if TYPE_CHECKING:
    from workflows.store.store import RunRecord, Store

commands = typer.Typer(help="List, show, compare, resume and cancel runs.", no_args_is_help=True)

CANCEL_SECONDS = 120.0
POLL_SECONDS = 0.5
SHOWN_STEPS = 12
STEP_METRICS = ("train/loss", "val/loss", "val/top1", "val/f1_macro", "val/ece")


def open_store() -> Store:
    """Open the store, with runs whose process died marked as such."""
    from workflows.store.store import Store

    store = Store()
    store.runs.reconcile()
    return store


@commands.command("list", epilog=example("fieldguide runs list"))
def list_(as_json: AsJson = False) -> None:
    """List all runs, newest first."""
    out = Output(as_json)
    records = open_store().runs.list()
    rows = [[r.run_id, r.state, _dataset(r), r.goal, _top1(r), _took(r), _when(r.created_at)] for r in records]
    shown = table(["run", "state", "data set", "goal", "#test top-1", "#took", "started"], rows)
    none = "No runs yet. Start one: fieldguide train FOLDER"
    out.answer([_brief(record) for record in records], shown if records else none)


def _brief(record: RunRecord) -> dict[str, Any]:
    """A run as one entry of a list: all but the large fields."""
    result = record.result or {}
    return {
        "run_id": record.run_id,
        "state": record.state,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "dataset": record.dataset,
        "version": record.version,
        "goal": record.goal,
        "device": record.device,
        "test_top1": _test_metrics(result).get("top1"),
        "error": record.error,
    }


def _test_metrics(result: dict[str, Any]) -> dict[str, Any]:
    return (result.get("metrics") or {}).get("test") or {}


def _dataset(record: RunRecord) -> str:
    return f"{record.dataset or '?'}{f' v{record.version}' if record.version else ''}"


def _top1(record: RunRecord) -> str:
    return percent(_test_metrics(record.result or {}).get("top1"))


def _took(record: RunRecord) -> str:
    if record.started_at is None or record.finished_at is None:
        return "-"
    return duration((record.finished_at - record.started_at).total_seconds())


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "-"


@commands.command(epilog=example("fieldguide runs show latest"))
def show(run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: its state, course, metrics, files, and the estimate against what it really took."""
    out = Output(as_json)
    store = open_store()
    record = store.runs.get(run)
    steps = store.runs.steps(record.run_id)
    wide = steps.pivot(index="step", columns="name", values="value") if len(steps) else None
    document = {
        **_brief(record),
        "request": record.request,
        "workflow": record.workflow,
        "result": record.result,
        "steps": [] if wide is None else wide.reset_index().to_dict("records"),
        "flow_run_id": record.flow_run_id,
        "folder": store.run_folder(record.run_id),
    }
    lines: list[Any] = [f"{record.run_id}: {record.state}{f' ({record.error})' if record.error else ''}"]
    lines.append(f"data set {_dataset(record)}, goal {record.goal or '-'}, device {record.device or '-'}")
    lines.append(
        f"started {_when(record.started_at)}, took {_took(record)}; files in {store.run_folder(record.run_id)}"
    )
    if wide is not None:
        lines.append(_course(wide))
    out.answer(document, *lines, *_outcome(record.result or {}), *_next(record))


def _course(wide: Any) -> Any:
    """The last evaluation steps as a table."""
    names = [name for name in STEP_METRICS if name in wide.columns]
    rows = [
        [step, *(metric("log_loss" if name.endswith("loss") else name.split("/")[1], row[name]) for name in names)]
        for step, row in wide.tail(SHOWN_STEPS).iterrows()
    ]
    return table(["#epoch", *(f"#{name}" for name in names)], rows)


def _outcome(result: dict[str, Any]) -> list[Any]:
    """A finished run's metrics, estimate and pictures."""
    if not result.get("metrics"):
        return []
    return [metrics_table(result["metrics"]), *_estimate(result), f"report: {result['artifacts'].get('report', '-')}"]


def _estimate(result: dict[str, Any]) -> list[str]:
    estimate = result.get("estimate")
    if not estimate:
        return []
    actual = estimate.get("actual_seconds")
    text = f"estimated {duration(estimate['seconds'])}, took {duration(actual)}"
    if estimate.get("memory_bytes"):
        text += f"; estimated memory {size_of(estimate['memory_bytes'])}"
    return [text]


def _next(record: RunRecord) -> list[str]:
    if record.state in ("interrupted", "cancelled", "failed"):
        return [f"Next: fieldguide runs resume {record.run_id}"]
    return [f"Next: fieldguide predict {record.run_id} PHOTO"] if record.state == "finished" else []


@commands.command(epilog=example("fieldguide runs compare flowers-a flowers-b"))
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="The first is compared with each other one.")],
    split: Annotated[Split, typer.Option(help="Which held-out photos.")] = Split.test,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the very same photos, with how sure the difference is."""
    out = Output(as_json)
    if len(runs) < 2:
        raise UsageError("Comparing needs at least two runs.", "`fieldguide runs list` shows them.")
    from workflows.evaluation.comparison import compare as compare_predictions
    from workflows.evaluation.predictions import read_predictions

    store = open_store()
    ids = [store.runs.get(run).run_id for run in runs]
    frames = [read_predictions(_predictions(store, run_id))[0] for run_id in ids]
    found = [
        compare_predictions(frames[0], frame, split.value, names=(ids[0], run_id))
        for run_id, frame in zip(ids[1:], frames[1:], strict=True)
    ]
    lines: list[Any] = []
    for comparison in found:
        rows = [
            [row["metric"], *(f"{row[key]:.4f}" for key in ("a", "b", "difference", "low", "high"))]
            for row in comparison.metrics.to_dict("records")
        ]
        title = f"{comparison.names[0]} (A) and {comparison.names[1]} (B) on {comparison.images} {split.value} images"
        lines += [title, table(["metric", "#A", "#B", "#B - A", "#from", "#to"], rows), comparison.verdict]
    out.answer([comparison.document() for comparison in found], *lines)


def _predictions(store: Store, run_id: str) -> Any:
    path = store.run_folder(run_id) / "evaluation" / "predictions.parquet"
    if not path.exists():
        raise RunError(f"Run {run_id} has no predictions yet.", f"Finish it first: fieldguide runs resume {run_id}")
    return path


@commands.command(epilog=example("fieldguide runs resume latest"))
def resume(run: RunArgument, as_json: AsJson = False) -> None:
    """Go on with a run that was interrupted, cancelled or failed, from its last checkpoint."""
    out = Output(as_json)
    store = open_store()
    tell(out, carry_on(out, store, store.runs.get(run).run_id))


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
    text = f"{run_id}: {record.state}" if wait else f"{run_id} was asked to stop"
    out.answer(_brief(record), text, *(_next(record) if wait else []))


def _stopped(out: Output, store: Store, run_id: str) -> RunRecord:
    """Wait until a run has ended, and return its record."""
    out.note(f"Asked {run_id} to stop; waiting for it.")
    end = time.monotonic() + CANCEL_SECONDS
    while (record := store.runs.get(run_id)).state in ("pending", "running"):
        if time.monotonic() > end:
            hint = f"Its process is {record.pid} on {record.host}; ending that is safe, its last checkpoint is whole."
            raise RunError(f"Run {run_id} has not stopped within {CANCEL_SECONDS:g} s.", hint)
        time.sleep(POLL_SECONDS)
        store.runs.reconcile()
    return record


@commands.command("delete", epilog=example("fieldguide runs delete flowers-20261122-101530-ab12"))
def delete_(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run with its checkpoints, tables and pictures. Refused while a model uses it."""
    out = Output(as_json)
    from workflows.registry.deletion import delete_run

    store = open_store()
    record = store.runs.get(run)
    if not yes and not as_json:
        typer.confirm(f"Delete {record.run_id} with all its files ({store.run_folder(record.run_id)})?", abort=True)
    deleted = delete_run(store, record.run_id)
    out.answer(_brief(deleted), f"{deleted.run_id} is deleted.")
