"""Evaluates a run's classifier on photos with known labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.pixels import open_pixels
from workflows.errors import DatasetError
from workflows.evaluation.predictions import predictions_table
from workflows.evaluation.tables import evaluate_predictions
from workflows.inference.predictor import Predictor
from workflows.progress import Progress, silent
from workflows.store.store import Store


def predict_records(predictor: Predictor, records: pd.DataFrame, squares: np.ndarray) -> pd.DataFrame:
    """Return the predictions table of `records` (image_id, path, split, label) from their network inputs."""
    return predictions_table(
        records["image_id"].tolist(),
        records["path"].tolist(),
        records["split"].tolist(),
        records["label"].tolist(),
        predictor.probabilities(squares),
        predictor.card.classes,
    )


def evaluate_run(
    store: Store,
    run_id: str,
    split: str = "test",
    data: str | None = None,
    out: Path | None = None,
    device: str = "auto",
    bins: int = 15,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Evaluate the classifier of a run again, or on another data set.

    Args:
        store: where everything is kept.
        run_id: the run, by id, unique prefix or `latest`.
        split: `val` or `test`; with `data`, also `train` or `all`.
        data: name of another data set; empty means the split that the run itself was evaluated on.
        out: folder for the tables; default a folder of its own in the run's.
        device: as in training.
        bins: confidence bins of the calibration error.
        progress: told after each photo.

    Raises:
        DatasetError: the data set's classes are not the model's, or the split has no photos.
    """
    predictor = Predictor.load(store, run_id, device)
    card = predictor.card
    folder = store.run_folder(card.run_id)
    if data is None:
        records, name, version = pd.read_parquet(folder / "records.parquet"), card.dataset, card.version
    else:
        found = get_version(store, data)
        _check_classes(found.classes, card.classes, found.name)
        records, name, version = found.labelled(), found.name, found.number
    chosen = records if split == "all" else records[records["split"] == split]
    if chosen.empty:
        held = ", ".join(sorted(records["split"].unique()))
        raise DatasetError(f"Data set {name} has no photos in split {split}.", f"It has: {held}.")
    # decoded for evaluation are all but training photos; judged here, a training photo is no exception
    judged = chosen.assign(split="test")
    pixels = open_pixels(judged, store.blobs.path, card.transform, store.cache_folder, progress)
    frame = predict_records(predictor, chosen.assign(split=split), pixels.squares(chosen["image_id"].tolist()))
    target = out or folder / "evaluations" / f"{name}-v{version}-{split}"
    metrics = evaluate_predictions(target, frame, card.classes, (split,), bins=bins)
    return {
        "run_id": card.run_id,
        "dataset": {"name": name, "version": version, "images": len(chosen), "classes": list(card.classes)},
        "split": split,
        "metrics": metrics[split],
        "artifacts": {path.stem: str(path) for path in sorted(target.iterdir()) if path.is_file()},
    }


def _check_classes(found: Sequence[str], known: Sequence[str], name: str) -> None:
    strange = [label for label in found if label not in set(known)]
    if strange:
        raise DatasetError(
            f"Data set {name} has {len(strange)} class(es) that the model does not know: {', '.join(strange[:8])}.",
            f"The model knows: {', '.join(known[:12])}{' …' if len(known) > 12 else ''}. "
            "Rename the classes to match, or train on this data set.",
        )
