"""`fieldguide demo`: the whole workflow, step by step, on embedded data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.commands.train import run_with_bars, summary
from app.digits import DEMO
from app.options import AsJson, example
from app.output import Output
from app.words import percent, table

if TYPE_CHECKING:
    from app.progress_bars import ProgressBars
    from workflows.store.store import Store

SHOWN_REASONS = (
    ("model", "size"),
    ("model", "image_size"),
    ("augmentation", "horizontal_flip"),
    ("training", "epochs"),
)
PREDICTED = 5


def demo(as_json: AsJson = False) -> None:
    """Run the whole workflow on 1,797 handwritten digits: import, recommend, train, evaluate, explain, predict."""
    out = Output(as_json)
    from app.progress_bars import ProgressBars
    from workflows.pipeline import create_run
    from workflows.requests import TrainRequest
    from workflows.store.store import Store

    store = Store()
    folder = store.home / "demo" / DEMO
    with ProgressBars(out) as bars:
        _import(out, store, folder, bars)
    _recommend(out, store)
    out.note("\n3. Train, evaluate, explain:  fieldguide train digits --weights none")
    request = TrainRequest(dataset=DEMO, weights="none")
    result = run_with_bars(out, store, create_run(store, request).run_id)
    photos = _some_photos(folder)
    predictions = _predict(out, store, result.run_id, photos)
    out.answer({**result.document(), "demo_predictions": predictions}, *summary(result), *_with_your_photos())


def _import(out: Output, store: Store, folder: Path, bars: ProgressBars) -> None:
    """Write the digits to files and import them."""
    from app.digits import write_digits
    from workflows.data.importing import add_dataset

    out.note(f"1. Import:  fieldguide dataset add {DEMO} {folder}")
    write_digits(folder, bars)
    report = add_dataset(store, DEMO, folder, progress=bars)
    version = report.version
    out.note(f"   {version.images} images of {len(version.classes)} classes; version {version.number}")


def _recommend(out: Output, store: Store) -> None:
    """Recommend a workflow, and show its main reasons."""
    from workflows.data.catalog import get_version
    from workflows.recommend.advice import recommend_for

    out.note(f"\n2. Recommend a workflow:  fieldguide workflow recommend {DEMO} --goal balanced --weights none")
    workflow = recommend_for(store, get_version(store, DEMO), "balanced", weights="none")
    for kind, field in SHOWN_REASONS:
        reason = workflow.reason(kind, field)
        if reason is not None:
            out.note(f"   {field} = {reason.value}: {reason.because}")


def _some_photos(folder: Path) -> list[Path]:
    """A few of the digits, of different classes."""
    return [sorted(label.iterdir())[-1] for label in sorted(folder.iterdir())][:PREDICTED]


def _predict(out: Output, store: Store, run_id: str, photos: Sequence[Path]) -> list[dict[str, Any]]:
    from workflows.inference.predictor import Predictor

    out.note(f"\n4. Predict:  fieldguide predict {run_id} PHOTO...")
    records = Predictor.load(store, run_id).predict(photos)
    rows = [[Path(r["path"]).relative_to(photos[0].parents[1]), r["label"], percent(r["confidence"])] for r in records]
    out.notes.print(table(["photo", "prediction", "#confidence"], rows))
    return records


def _with_your_photos() -> list[str]:
    return ["", "With your own photos, one sub-folder per class:", "  fieldguide train FOLDER"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog=example("fieldguide demo"), rich_help_panel="Help")(demo)
