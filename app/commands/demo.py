"""`fieldguide demo`: the whole job, step by step, on data that comes with the installation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.commands.train import carry_on, summary
from app.options import AsJson, example
from app.output import Output
from app.words import percent, table

if TYPE_CHECKING:
    from app.bars import Bars
    from workflows.store.store import Store

NAME = "digits"
SHOWN_REASONS = (
    ("model", "size"),
    ("model", "image_size"),
    ("augmentation", "horizontal_flip"),
    ("training", "epochs"),
)
PREDICTED = 5


def demo(as_json: AsJson = False) -> None:
    """Run the whole job on 1,797 handwritten digits: import, recommend, train, evaluate, explain, predict."""
    out = Output(as_json)
    from app.bars import Bars
    from workflows.pipeline import TrainRequest, create_run
    from workflows.store.store import Store

    store = Store()
    folder = store.home / "demo" / NAME
    with Bars(out) as bars:
        _import(out, store, folder, bars)
    _recommend(out, store)
    out.note("\n3. Train, evaluate, explain:  fieldguide train digits --weights none")
    request = TrainRequest(dataset=NAME, weights="none")
    result = carry_on(out, store, create_run(store, request).run_id)
    photos = _some_photos(folder)
    predictions = _predict(out, store, result["run_id"], photos)
    out.answer({**result, "demo_predictions": predictions}, *summary(result), *_with_your_photos())


def _import(out: Output, store: Store, folder: Path, bars: Bars) -> None:
    """Write the digits out and bring them in."""
    from app.digits import write_digits
    from workflows.data.importing import add_dataset

    out.note(f"1. Import:  fieldguide dataset add {NAME} {folder}")
    write_digits(folder, bars)
    report = add_dataset(store, NAME, folder, progress=bars)
    version = report.version
    out.note(f"   {version.images} images of {len(version.classes)} classes; version {version.number}")


def _recommend(out: Output, store: Store) -> None:
    """Have a workflow recommended, and say the most telling reasons."""
    from workflows.data.catalog import get_version
    from workflows.recommend.advice import recommend_for

    out.note(f"\n2. Recommend a workflow:  fieldguide workflow recommend {NAME} --goal balanced --weights none")
    workflow = recommend_for(store, get_version(store, NAME), "balanced", weights="none")
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
