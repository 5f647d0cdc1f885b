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
from workflows.evaluation.tables import evaluate_predictions
from workflows.inference.predictor import Predictor
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.words import listed


def predict_records(predictor: Predictor, records: pd.DataFrame, squares: np.ndarray) -> pd.DataFrame:
    """Return the predictions table of `records` (image_id, path, split, label) from their network inputs."""
    target, classes = predictor.target, predictor.card.classes
    return target.predictions_table(
        records["image_id"].tolist(),
        records["path"].tolist(),
        records["split"].tolist(),
        target.encode(records, classes),
        predictor.probabilities(squares),
        classes,
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
        store: the store of runs and data sets.
        run_id: the run, by id, unique prefix or `latest`.
        split: `val` or `test`; with `data`, also `train` or `all`.
        data: name of another data set; empty means the split that the run itself was evaluated on.
        out: folder for the tables; default a folder of its own in the run's.
        device: as in training.
        bins: confidence bins of the calibration error.
        progress: called after each photo.

    Raises:
        DatasetError: the data set's classes are not the model's, or the split has no photos.
    """
    predictor = Predictor.load(store, run_id, device)
    card = predictor.card
    folder = store.run_folder(card.run_id)
    if data is None:
        records, name, version = pd.read_parquet(folder.records), card.dataset, card.version
    else:
        found = get_version(store, data)
        check_classes(found.classes, card.classes, found.name)
        records, name, version = found.labelled(), found.name, found.number
    chosen = records if split == "all" else records[records["split"] == split]
    if chosen.empty:
        splits = ", ".join(sorted(records["split"].unique()))
        raise DatasetError(f"Data set {name} has no photos in split {split}.", f"It has: {splits}.")
    # decoded for evaluation are all but training photos; judged here, a training photo is no exception
    judged = chosen.assign(split="test")
    pixels = open_pixels(judged, store.blobs.path, card.transform, store.cache_folder, progress)
    frame = predict_records(predictor, chosen.assign(split=split), pixels.squares(chosen["image_id"].tolist()))
    place = out or folder.evaluated_again(name, version, split)
    metrics = evaluate_predictions(
        place,
        frame,
        card.classes,
        (split,),
        bins=bins,
        temperature=card.calibration.temperature,
        target=predictor.target,
    )
    return {
        "run_id": card.run_id,
        "dataset": {"name": name, "version": version, "images": len(chosen), "classes": list(card.classes)},
        "split": split,
        "metrics": metrics[split],
        "artifacts": {path.stem: str(path) for path in sorted(place.iterdir()) if path.is_file()},
    }


def check_classes(found: Sequence[str], known: Sequence[str], name: str) -> None:
    """Raise DatasetError where a data set has classes that a model does not know."""
    strange = [label for label in found if label not in set(known)]
    if strange:
        raise DatasetError(
            f"Data set {name} has {len(strange)} class(es) that the model does not know:",
            f"The model knows: {listed(known, full='its model card')}. "
            "Rename the classes to match, or train on this data set.",
            problems=strange,
        )
