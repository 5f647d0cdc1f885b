"""`fieldguide train`: photos in; an evaluated, explained, reusable classifier out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import PANEL, AsJson, example
from app.output import Output
from app.request_options import Options, options_from, request_of
from app.words import duration, headline, metrics_table, verdict
from workflows.errors import DatasetError, DeviceError, SourceError, UsageError
from workflows.requests import TrainRequest
from workflows.targets.judged import Judged, judged_by, judged_on
from workflows.words import listed

if TYPE_CHECKING:
    from workflows.recommend.readiness import Check
    from workflows.store.run_result import RunResult
    from workflows.store.store import Store


@options_from(TrainRequest, without=("dataset", "version", "source"))
def train(
    source: Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help="A data set, or a folder of labelled photos.")],
    options: Options,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only check what can be known beforehand: device, memory, disk, weights, audit."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a data set or a folder: import, recommend, train, evaluate, explain, report."""
    out = Output(as_json)
    from workflows.pipeline import create_run
    from workflows.store.store import Store

    store = Store()
    store.runs.reconcile()
    request = request_of(TrainRequest, options).model_copy(update=_named(store, source))
    if dry_run:
        _check_only(out, store, request)
        return
    import flows.local  # noqa: F401  (seconds, in which a kill would leave a run behind that nobody has begun)

    print_result(out, run_with_bars(out, store, create_run(store, request).run_id))


def _check_only(out: Output, store: Store, request: TrainRequest) -> None:
    """Print what can be known before a training starts. Exit code 1 if it would end with an error."""
    from app.progress_bars import ProgressBars
    from workflows.data.catalog import get_version
    from workflows.graph.workflow import Workflow
    from workflows.preparation import proposed_workflow
    from workflows.recommend.hardware import cpu_hardware, detect_hardware
    from workflows.recommend.readiness import is_ready, readiness
    from workflows.training.devices import gpu_count

    if request.dataset is None:
        raise UsageError(
            "--dry-run needs a data set, and this folder is not imported yet.",
            f"Import it first: fieldguide dataset add NAME {request.source}",
        )
    version = get_version(store, request.dataset)
    with ProgressBars(out) as bars:
        # another device than the one that is wanted is a finding here, not the end
        workflow = proposed_workflow(store, request.model_copy(update={"device": "auto"}), version, bars)
    given = Workflow.model_validate(request.workflow).training.device if request.workflow else "auto"
    wanted = request.device or given
    try:
        hardware = detect_hardware(wanted)
    except DeviceError:
        hardware = cpu_hardware()
    checks = readiness(
        store, version, workflow, hardware, device=wanted, gpus=gpu_count(), allow=request.allow, trust=request.trust
    )
    cost = workflow.estimate.model_dump(mode="json") if workflow.estimate else None
    out.answer(
        {
            "ready": is_ready(checks),
            "workflow": workflow.name,
            "estimate": cost,
            "checks": [check.document() for check in checks],
        },
        *(_check_lines(checks)),
        "It can start." if is_ready(checks) else "It would end with an error.",
    )
    if not is_ready(checks):
        raise typer.Exit(1)


def _check_lines(checks: list[Check]) -> list[str]:
    signs = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
    lines = []
    for check in checks:
        lines.append(f"{signs[check.state]}  {check.text}")
        lines += [f"      {way.title}: {way.command}" for way in check.ways if way.command]
    return lines


def _named(store: Store, source: str) -> dict[str, Any]:
    """Distinguish a data set's name from a folder: a known name wins unless it is written as a path."""
    from workflows.data.naming import dataset_called

    path = Path(source).expanduser()
    written_as_path = "/" in source or source.startswith((".", "~"))
    if not written_as_path and store.datasets.get(called := dataset_called(store, source)) is not None:
        return {"dataset": called}
    if path.exists():
        return {"source": str(path.resolve())}
    if written_as_path:
        raise SourceError(
            f"The folder or archive {path} does not exist.",
            "Name a folder with one sub-folder of photos for each class.",
        )
    known = listed((dataset.name for dataset in store.datasets.list()), full="fieldguide dataset list") or "none yet"
    raise DatasetError(f"{source!r} is neither a data set nor a folder or archive.", f"Data sets: {known}.")


def run_with_bars(out: Output, store: Store, run_id: str) -> RunResult:
    """Run a recorded run to its end with bars on stderr, and return its result."""
    from app.progress_bars import ProgressBars
    from flows.local import execute_run

    out.note(f"Run {run_id}")
    with ProgressBars(out) as bars:
        return execute_run(
            store, run_id, bars, lambda: out.note("Stopping at the next batch. Press Ctrl-C again to stop at once.")
        )


def print_result(out: Output, result: RunResult) -> None:
    """Print the result of a finished run: metrics, files, next commands."""
    out.answer(result.document(), *summary(result))


def summary(result: RunResult) -> list[Any]:
    """A finished run as text."""
    metrics, artifacts, run_id = result.metrics, result.artifacts, result.run_id
    judged = judged_by(metrics)
    took = duration(sum(result.seconds.values()))
    return [
        metrics_table(metrics),
        *verdict(judged),
        *test_images_hint(judged, result.dataset.name),
        *_further(result),
        *_concerns(result),
        f"Took {took} on {result.device}: "
        + ", ".join(f"{node} {duration(s)}" for node, s in result.seconds.items() if s >= 1),
        "",
        *_places(artifacts, judged.split if judged else "val"),
        "",
        "Next:",
        f"  fieldguide predict {run_id} PHOTO...",
        f"  fieldguide explain {run_id} PHOTO...",
        f"  fieldguide runs show {run_id}",
    ]


def test_images_hint(judged: Judged | None, dataset: str) -> list[str]:
    """How to get an independent figure, where the validation images judged."""
    if judged is None or not judged.optimistic:
        return []
    return [f"For an independent figure, set test images aside: fieldguide dataset resplit {dataset} --split 70/15/15"]


def _further(result: RunResult) -> list[str]:
    """The metrics of further evaluations."""
    lines = []
    for key, answer in result.further.items():
        name = (answer.get("dataset") or {}).get("name", result.dataset.name)
        for split, found in (answer.get("metrics") or {}).items():
            judged = judged_on(found or {}, split)
            if judged:
                lines.append(f"{key.partition('.')[2] or key} ({name}): {headline(judged)}")
    return lines


def _concerns(result: RunResult) -> list[str]:
    """The findings of the data's audit that weaken these figures."""
    found = [finding for finding in result.findings if finding["severity"] != "info"]
    lines = [f"Data {finding['severity']}: {finding['title']} ({finding['key']})" for finding in found]
    return [*lines, f"See: fieldguide dataset audit {result.dataset.name}"] if lines else []


def _places(artifacts: dict[str, str], split: str) -> list[str]:
    """Where the report and the pictures are."""
    shown = {
        "Report": "report",
        "Confusion matrix": f"confusion_matrix_{split}_picture",
        "Learning curves": "learning_curves_picture",
        "Heat-maps": "heatmaps_picture",
    }
    lines = [f"{title + ':':18}{artifacts[name]}" for title, name in shown.items() if name in artifacts]
    pictures = [path for name, path in artifacts.items() if name.endswith("_picture")]
    return lines + [f"{'All pictures:':18}{Path(pictures[0]).parent}" for _ in pictures[:1]]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=example(
            "fieldguide train photos/flowers --goal balanced",
            "fieldguide train flowers --size 128 --epochs 8 --weights weights.safetensors --seed 0",
            "fieldguide train flowers --dry-run",
        ),
        rich_help_panel=PANEL,
    )(train)
