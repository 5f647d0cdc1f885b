"""What a finished run is good for: `fieldguide predict`, `evaluate`, `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, ClassifierArgument, Device, Split, example
from app.output import Output
from app.words import headline, metrics_table, percent, table
from workflows.errors import UsageError

if TYPE_CHECKING:
    from workflows.store.store import Store

PANEL = "The job"


class Method(StrEnum):
    """Heat-map methods."""

    eigen_cam = "eigen-cam"
    grad_cam = "grad-cam"
    grad_cam_pp = "grad-cam++"
    layer_cam = "layer-cam"


def model_run(store: Store, name: str) -> str:
    """Return the run that `name` means: a model's champion, `model:2`, a run; `latest` is the newest finished one."""
    if name == "latest":
        return next((run.run_id for run in store.runs.list() if run.state == "finished"), name)
    from workflows.registry.models import resolve_run

    return resolve_run(store, name)


def photos_in(paths: Sequence[Path]) -> list[Path]:
    """Return the files that `paths` mean: files as they are, folders with all their photos, sorted."""
    return [photo for path in paths for photo in _photos_of(path)]


def _photos_of(path: Path) -> list[Path]:
    from workflows.data.folders import list_folder

    if not path.is_dir():
        return [path]  # a file, or nothing at all: the reader says what is wrong with it
    found = [file.path for file in list_folder(path).files]
    if not found:
        raise UsageError(f"There are no photos in {path}.")
    return found


def predict(
    run: ClassifierArgument,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Photos, or folders of photos.")],
    top: Annotated[int, typer.Option(min=1, help="How many of the likeliest classes to give.")] = 5,
    csv: Annotated[Path | None, typer.Option(help="Also write the predictions to this CSV file.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what is on photos. Fails only if not one of them can be read."""
    out = Output(as_json)
    photos = photos_in(paths)
    from app.bars import Bars
    from workflows.inference.predictor import Predictor
    from workflows.store.store import Store

    store = Store()
    predictor = Predictor.load(store, model_run(store, run), device)
    with Bars(out) as bars:
        records = predictor.predict(photos, top, bars)
    if csv is not None:
        _write_csv(csv, records)
        out.note(f"Written to {csv}")
    out.answer(records, table(["photo", "prediction", "#confidence", "next likeliest"], map(_row, records)))
    if all("error" in record for record in records):
        raise typer.Exit(1)


def _row(record: dict[str, Any]) -> list[Any]:
    if "error" in record:
        return [record["path"], f"can't be read: {record['error']}", None, None]
    others = ", ".join(f"{other['label']} {percent(other['confidence'])}" for other in record["top"][1:3])
    return [record["path"], record["label"], percent(record["confidence"]), others]


def _write_csv(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write one row per photo: path, label, confidence, the other likely classes, or the error."""
    import pandas as pd

    from workflows.store.files import write_table

    rows = []
    for record in records:
        row = {key: record.get(key) for key in ("path", "label", "confidence", "error")}
        for rank, other in enumerate(record.get("top", [])[1:], start=2):
            row |= {f"label_{rank}": other["label"], f"confidence_{rank}": other["confidence"]}
        rows.append(row)
    write_table(path.with_suffix(".csv"), pd.DataFrame(rows))


def evaluate(
    run: ClassifierArgument,
    split: Annotated[Split, typer.Option(help="Which held-out photos.")] = Split.test,
    data: Annotated[str | None, typer.Option(metavar="NAME", help="Another data set with the same classes.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a run's classifier again, also on another data set."""
    out = Output(as_json)
    from app.bars import Bars
    from workflows.inference.evaluate import evaluate_run
    from workflows.store.store import Store

    store = Store()
    with Bars(out) as bars:
        result = evaluate_run(store, model_run(store, run), split.value, data, device=device, progress=bars)
    dataset = result["dataset"]
    where = f"{dataset['name']} (version {dataset['version']}), {result['split']}"
    folder = Path(result["artifacts"]["predictions"]).parent
    shown = metrics_table({result["split"]: result["metrics"]})
    out.answer(result, f"{where}: {headline(result['metrics'])}", shown, f"Tables: {folder}")


def explain(
    run: ClassifierArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos, or folders of photos.")],
    method: Annotated[list[Method], typer.Option(help="Heat-map method; can be given more than once.")] = [  # noqa: B006
        Method.eigen_cam,
        Method.grad_cam_pp,
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the pictures.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw what the network looked at, on exactly the pixels that it saw."""
    out = Output(as_json)
    photos = photos_in(images)
    from app.bars import Bars
    from workflows.explanation.explain import explain_images
    from workflows.store.store import Store

    store = Store()
    methods = [chosen.value for chosen in method]
    with Bars(out) as bars:
        records = explain_images(store, model_run(store, run), photos, methods, output, device=device, progress=bars)
    rows = [[r["path"], r["method"], r["predicted"], percent(r["confidence"]), r["picture"]] for r in records]
    out.answer(records, table(["photo", "method", "prediction", "#confidence", "picture"], rows))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(
        epilog=example("fieldguide predict latest photo.jpg", "fieldguide predict latest photos --top 3 --csv out.csv"),
        rich_help_panel=PANEL,
    )(predict)
    app.command(
        epilog=example("fieldguide evaluate latest --split test", "fieldguide evaluate latest --data other-flowers"),
        rich_help_panel=PANEL,
    )(evaluate)
    app.command(
        epilog=example("fieldguide explain latest photo.jpg --method eigen-cam -o heatmaps"),
        rich_help_panel=PANEL,
    )(explain)
