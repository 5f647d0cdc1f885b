"""`fieldguide train`: photos in; an evaluated, explained, reusable classifier out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, Epochs, Goal, GoalOption, Size, check_size, example, parse_shares
from app.output import Output
from app.words import duration, headline, metrics_table
from workflows.errors import DatasetError, SourceError, WeightsError

if TYPE_CHECKING:
    from workflows.store.store import Store


def train(
    source: Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help="A data set, or a folder of labelled photos.")],
    goal: GoalOption = Goal.balanced,
    workflow: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run this workflow instead of a recommended one.")
    ] = None,
    epochs: Epochs = None,
    size: Size = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything random; the same seed gives the same result.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="auto|none|FILE", help="Start from official ImageNet weights, random ones, or a file."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|0|0,1", help="Where to compute: CPU, one GPU or several.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="What the training may take, in minutes.")] = None,
    labels: Annotated[Path | None, typer.Option(help="A CSV file with the columns filename and label.")] = None,
    split: Annotated[str, typer.Option(help="Shares of train/val/test when a folder is imported.")] = "70/15/15",
    group_by: Annotated[
        str | None,
        typer.Option(metavar="REGEX|COLUMN", help="Images that agree in this stay on one side of the split."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="FINDING", help="Train in spite of this error of the data set's audit; repeatable."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Unpickle a .pt file whose checksum is unknown: it can run any code.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a data set or a folder: import, recommend, train, evaluate, explain, report."""
    out = Output(as_json)
    check_size(size)
    ratios = parse_shares(split)
    from workflows.graph.workflow import load_workflow
    from workflows.pipeline import TrainRequest, create_run
    from workflows.store.store import Store

    store = Store()
    store.runs.reconcile()
    request = TrainRequest(
        **_named(store, source),
        labels=str(labels.resolve()) if labels else None,
        split=ratios,
        group_by=group_by,
        goal=goal.value,
        workflow=load_workflow(workflow).model_dump(mode="json") if workflow else None,
        epochs=epochs,
        size=size,
        seed=seed,
        weights=_weights(weights),
        device=device,
        minutes=minutes,
        allow=tuple(allow or ()),
        trust=trust,
    )
    tell(out, carry_on(out, store, create_run(store, request).run_id))


def _named(store: Store, source: str) -> dict[str, Any]:
    """Tell a data set's name from a folder: a known name wins unless it is written as a path."""
    path = Path(source).expanduser()
    written_as_path = "/" in source or source.startswith((".", "~"))
    if not written_as_path and store.datasets.get(source) is not None:
        return {"dataset": source}
    if path.exists():
        return {"source": str(path.resolve())}
    if written_as_path:
        raise SourceError(
            f"There is no folder or archive {path}.", "Name a folder with one sub-folder of photos for each class."
        )
    known = ", ".join(dataset.name for dataset in store.datasets.list()[:8]) or "none yet"
    raise DatasetError(f"{source!r} is neither a data set nor a folder or archive.", f"Data sets: {known}.")


def _weights(choice: str | None) -> str | None:
    """Make the path of a weights file absolute, so that the run can be resumed from anywhere."""
    if choice in (None, "auto", "none"):
        return choice
    path = Path(choice).expanduser().resolve()
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.", "Use --weights auto, --weights none or another file.")
    return str(path)


def carry_on(out: Output, store: Store, run_id: str) -> dict[str, Any]:
    """Run a recorded run to its end with bars on stderr, and return its result."""
    from app.bars import Bars
    from flows.local import go_on

    out.note(f"Run {run_id}")
    with Bars(out) as bars:
        return go_on(
            store, run_id, bars, lambda: out.note("Stopping at the next batch. Press Ctrl-C again to stop at once.")
        )


def tell(out: Output, result: dict[str, Any]) -> None:
    """Give the result of a finished run: how good it is, where everything lies, what to type next."""
    out.answer(result, *summary(result))


def summary(result: dict[str, Any]) -> list[Any]:
    """A finished run in words."""
    metrics, artifacts, run_id = result["metrics"], result["artifacts"], result["run_id"]
    judged = "test" if metrics.get("test") else "val"
    seconds = result["seconds"]
    took = duration(sum(seconds.values()))
    return [
        metrics_table(metrics),
        f"{judged.capitalize()}: {headline(metrics[judged])}",
        *_concerns(result),
        f"Took {took} on {result['device']}: "
        + ", ".join(f"{node} {duration(s)}" for node, s in seconds.items() if s >= 1),
        "",
        *_places(artifacts, judged),
        "",
        "Next:",
        f"  fieldguide predict {run_id} PHOTO...",
        f"  fieldguide explain {run_id} PHOTO...",
        f"  fieldguide runs show {run_id}",
    ]


def _concerns(result: dict[str, Any]) -> list[str]:
    """What the audit of the data found that weakens these figures."""
    found = [finding for finding in result.get("findings", []) if finding["severity"] != "info"]
    lines = [f"Data {finding['severity']}: {finding['title']} ({finding['key']})" for finding in found]
    return [*lines, f"See: fieldguide dataset audit {result['dataset']['name']}"] if lines else []


def _places(artifacts: dict[str, str], judged: str) -> list[str]:
    """Where the report and the pictures are."""
    shown = {
        "Report": "report",
        "Confusion matrix": f"confusion_matrix_{judged}_picture",
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
        ),
        rich_help_panel="The job",
    )(train)
