"""Draws all pictures of a finished run into its folder."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from workflows.data.version import HELD_OUT
from workflows.evaluation.predictions import read_predictions
from workflows.palette import Mode
from workflows.report.heatmap_sheet import heatmap_sheet
from workflows.report.pictures import (
    confusion_matrix_picture,
    image_sheet,
    learning_curves_picture,
    reliability_picture,
)
from workflows.report.sheets import caption, sheet_heading
from workflows.report.tables import read_csv
from workflows.report.theme import class_names
from workflows.store.files import write_atomic
from workflows.store.run_folder import PicturesFolder, RunFolder
from workflows.store.run_result import RunResult
from workflows.targets.calibration import DEFAULT_BINS, expected_calibration_error, reliability_curve
from workflows.targets.single_label.confusion import confusion_counts
from workflows.targets.single_label.tables import most_wrong

SHOWN = 24
"""Number of photos on a sheet and in a gallery of the report."""

SPLIT_TITLES = {"val": "Validation split", "test": "Test split"}

# Photos up to this side are stored as PNG: JPEG would blur their few pixels.
TINY = 64

Pixels = Callable[[str], NDArray[np.uint8]]


def draw_run_pictures(
    run_folder: RunFolder, result: RunResult, steps: pd.DataFrame, load_pixels: Pixels
) -> dict[str, Path]:
    """Draw every picture of a run from its tables, into `pictures/`.

    `learning_curves.png`; for each evaluated split `confusion_matrix_<split>.png`, `reliability_<split>.png`
    and `most_wrong_<split>.png`; `suspected_labels.png`; `heatmaps.png`. The photos on the sheets are also stored one by one in
    `pictures/photos/` as well, for the report.

    Args:
        run_folder: Holds the predictions, and the suspected labels if they were looked for.
        result: The run's result.
        steps: Long table of metrics: `step`, `name`, `value`.
        load_pixels: From an image id to the pixels that the network sees, uint8 [height, width, 3].

    Returns:
        The path of each picture by name (the file's stem).

    Raises:
        RunError: There are no predictions.
        StorageError: The disk is full or read-only.
    """
    frame, classes = read_predictions(run_folder.evaluation.predictions)
    keeper = _PhotoKeeper(run_folder.pictures, load_pixels)
    drawn = {
        "learning_curves": learning_curves_picture(
            steps, result.training.best_step, classes=len(classes), absent=absent_from(result, "val")
        )
    }
    for split in HELD_OUT:
        part = frame[frame["split"] == split]
        if len(part):
            charts = split_charts(
                part, classes, SPLIT_TITLES[split], bins=calibration_bins(result), before=error_before(result, split)
            )
            drawn |= {f"{name}_{split}": png for name, png in charts.items()}
            drawn[f"most_wrong_{split}"] = _wrong_sheet(part, classes, SPLIT_TITLES[split], keeper)
    drawn["suspected_labels"] = _suspects_sheet(run_folder, classes, keeper)
    sheet = heatmap_sheet(run_folder)
    if sheet is not None:
        drawn["heatmaps"] = sheet
    paths = {name: run_folder.pictures.picture(name) for name in drawn}
    for name, path in paths.items():
        write_atomic(path, drawn[name])
    return paths


def split_charts(
    part: pd.DataFrame,
    classes: tuple[str, ...],
    title: str,
    *,
    bins: int,
    before: float | None = None,
    mode: Mode = "light",
) -> dict[str, bytes]:
    """Draw the charts of one split's predictions: `confusion_matrix` and `reliability`.

    Args:
        bins: confidence bins.
        before: the calibration error before the confidences were calibrated, if they were.
    """
    confidence, correct = part["confidence"].to_numpy(), part["correct"].to_numpy(dtype=bool)
    matrix = confusion_counts(part["label"], part["predicted"], classes)
    error = expected_calibration_error(confidence, correct, bins)
    curve = reliability_curve(confidence, correct, bins)
    return {
        "confusion_matrix": confusion_matrix_picture(matrix, classes, title=title, mode=mode),
        "reliability": reliability_picture(curve, error, before=before, title=title, mode=mode),
    }


def error_before(result: RunResult, split: str) -> float | None:
    """Return a split's calibration error without the temperature; None where none was applied."""
    return (result.metrics_of(split).get("uncalibrated") or {}).get("ece")


def absent_from(result: RunResult, split: str) -> list[str]:
    """Return the classes that a split has no images of, as far as the result has them."""
    return list(result.metrics_of(split).get("absent") or ())


def calibration_bins(result: RunResult) -> int:
    """Return the number of confidence bins set in the run's workflow."""
    for node in result.workflow.get("nodes") or []:
        settings = node.get("settings") or {}
        if node.get("kind") == "evaluation" and settings.get("dataset") is None:  # on the run's own photos
            return int(settings.get("calibration_bins", DEFAULT_BINS))
    return DEFAULT_BINS


def suspected_of(run_folder: RunFolder) -> pd.DataFrame:
    """Return the suspected labels of a run, the most suspicious first; empty without such a table."""
    path = run_folder.evaluation.suspected_labels
    if not path.exists():
        return pd.DataFrame(columns=["image_id", "label", "suggested", "score", "is_suspected", "why", "path", "split"])
    table = read_csv(path)
    return table[table["is_suspected"] == "True"].reset_index(drop=True)


class _PhotoKeeper:
    """Loads photos and stores each of them as a file for the report."""

    def __init__(self, folder: PicturesFolder, load_pixels: Pixels) -> None:
        self._folder, self._load_pixels = folder, load_pixels

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        pixels = self._load_pixels(image_id)
        stream, photo = BytesIO(), Image.fromarray(np.ascontiguousarray(pixels))
        if max(photo.size) <= TINY:
            photo.save(stream, format="PNG")
        else:
            photo.thumbnail((320, 320))
            photo.save(stream, format="JPEG", quality=88)
        suffix = ".png" if max(photo.size) <= TINY else ".jpg"
        write_atomic(self._folder.photo(image_id, suffix), stream.getvalue())
        return pixels


def _wrong_sheet(part: pd.DataFrame, classes: tuple[str, ...], title: str, keep: _PhotoKeeper) -> bytes:
    names = dict(zip(classes, class_names(list(classes)), strict=True))
    wrong = most_wrong(part, classes, SHOWN)
    tiles = [
        (keep(str(image)), caption(names[label], names[predicted], float(confidence)), "bad")
        for image, label, predicted, confidence in zip(
            wrong["image_id"], wrong["label"], wrong["predicted"], wrong["confidence"], strict=True
        )
    ]
    mistakes = int((~part["correct"].astype(bool)).sum())
    return image_sheet(tiles, heading=sheet_heading(f"{title}, most confidently wrong", len(tiles), mistakes))


def _suspects_sheet(run_folder: RunFolder, classes: tuple[str, ...], keep: _PhotoKeeper) -> bytes:
    names = dict(zip(classes, class_names(list(classes)), strict=True))
    table = suspected_of(run_folder)
    shown = table.head(SHOWN)
    tiles = [
        (keep(str(image)), f"labelled {names.get(label, label)}\nrather {names.get(other, other) or '?'}", "purple")
        for image, label, other in zip(shown["image_id"], shown["label"], shown["suggested"], strict=True)
    ]
    return image_sheet(tiles, heading=sheet_heading("Labels that look wrong", len(tiles), len(table)))
