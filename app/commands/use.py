"""Using a finished run: `fieldguide predict`, `evaluate`, `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from app.options import PANEL, AsJson, ClassifierArgument, Device, Split, example
from app.output import Output
from app.words import headline, metrics_table, percent, table, threshold_words
from workflows.errors import UsageError
from workflows.explanation.methods import DEFAULT_METHODS, Method
from workflows.targets.judged import judged_on

if TYPE_CHECKING:
    from workflows.evaluation.thresholds import ReviewThreshold
    from workflows.store.store import Store

MethodChoice = StrEnum("MethodChoice", get_args(Method))  # type: ignore[misc]  # Typer takes no list of a Literal
CHOSEN_METHODS = [MethodChoice(name) for name in DEFAULT_METHODS]


def model_run(store: Store, name: str) -> str:
    """Return the run that `name` refers to: a model's champion, `model:2`, a run; `latest` is the newest finished one."""
    from workflows.serving.naming import run_resolver

    return run_resolver(store)(name)


def photos_in(paths: Sequence[Path]) -> list[Path]:
    """Return the files that `paths` refer to: files as they are, folders with all their photos, sorted."""
    return [photo for path in paths for photo in _photos_of(path)]


def _photos_of(path: Path) -> list[Path]:
    from workflows.data.folders import list_folder

    if not path.is_dir():
        return [path]  # a file, or a missing one: reading it reports what is wrong
    found = [file.path for file in list_folder(path).files]
    if not found:
        raise UsageError(f"There are no photos in {path}.")
    return found


def predict(
    run: ClassifierArgument,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Photos, or folders of photos.")],
    top: Annotated[int, typer.Option(min=1, help="How many of the most likely classes to show.")] = 5,
    csv: Annotated[Path | None, typer.Option(help="Also write the predictions to this CSV file.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Predict the classes of photos. Fails only if none of them can be read."""
    out = Output(as_json)
    photos = photos_in(paths)
    from app.progress_bars import ProgressBars
    from workflows.inference.predictor import Predictor
    from workflows.registry.thresholds import threshold_of
    from workflows.store.store import Store

    store = Store()
    predictor = Predictor.load(store, model_run(store, run), device)
    threshold = threshold_of(store, predictor.card.run_id)
    with ProgressBars(out) as bars:
        records = [_judged(record, threshold) for record in predictor.predict(photos, top, bars)]
    if csv is not None:
        _write_csv(csv, records)
        out.note(f"Written to {csv}")
    shown = table(["photo", "prediction", "#confidence", "", "next most likely"], map(_row, records))
    out.answer(records, shown, threshold_words(threshold))
    if all("error" in record for record in records):
        raise typer.Exit(1)


def _judged(record: dict[str, Any], threshold: ReviewThreshold) -> dict[str, Any]:
    """Return a prediction with whether it is to be reviewed, and the threshold that decides it."""
    if "error" in record:
        return record
    judged = {"to_review": threshold.to_review(record["confidence"]), "threshold": threshold.value}
    return {**record, **judged}


def _row(record: dict[str, Any]) -> list[Any]:
    if "error" in record:
        return [record["path"], f"can't be read: {record['error']}", None, "", None]
    others = ", ".join(f"{other['label']} {percent(other['confidence'])}" for other in record["top"][1:3])
    review = "to review" if record["to_review"] else ""
    return [record["path"], record["label"], percent(record["confidence"]), review, others]


def _write_csv(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write one row per photo: path, label, confidence, whether to review it, the other likely classes, or the error."""
    import pandas as pd

    from workflows.store.files import write_table

    rows = []
    for record in records:
        row = {key: record.get(key) for key in ("path", "label", "confidence", "to_review", "threshold", "error")}
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
    from app.progress_bars import ProgressBars
    from workflows.inference.evaluate import evaluate_run
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        result = evaluate_run(store, model_run(store, run), split.value, data, device=device, progress=bars)
    dataset = result["dataset"]
    where = f"{dataset['name']} (version {dataset['version']})"
    judged = judged_on(result["metrics"], result["split"])
    # with --data, these are images of another data set, which chose nothing
    caution = judged.caution if judged and data is None else ""
    folder = Path(result["artifacts"]["predictions"]).parent
    shown = metrics_table({result["split"]: result["metrics"]})
    lines = [f"{where}: {headline(judged)}" if judged else where, *filter(None, [caution])]
    out.answer(result, *lines, shown, f"Tables: {folder}")


def explain(
    run: ClassifierArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos, or folders of photos.")],
    method: Annotated[
        list[MethodChoice], typer.Option(help="Heat-map method; can be given more than once.")
    ] = CHOSEN_METHODS,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the pictures.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw heat-maps of what the network looked at, on exactly the pixels that it saw."""
    out = Output(as_json)
    photos = photos_in(images)
    from app.progress_bars import ProgressBars
    from workflows.explanation.explain import explain_images
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        records = explain_images(
            store, model_run(store, run), photos, [*map(str, method)], output, device=device, progress=bars
        )
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
