"""Explains a run's answers for chosen photos, as pictures and a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from workflows.errors import ImageError, UsageError
from workflows.explanation.heatmaps import heatmaps, overlay
from workflows.explanation.methods import CLASSLESS, DEFAULT_METHODS
from workflows.inference.model import ModelCard
from workflows.inference.predictor import Predictor
from workflows.progress import Progress, silent
from workflows.store.files import atomic_path
from workflows.store.run_folder import ExplanationFolder
from workflows.store.store import Store
from workflows.words import listed


def explain_images(
    store: Store,
    run_id: str,
    paths: Sequence[Path],
    methods: Sequence[str] = DEFAULT_METHODS,
    out: Path | None = None,
    device: str = "auto",
    target: str | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Write a heat-map picture for each photo and method.

    Args:
        store: where everything is kept.
        run_id: the run, by id, unique prefix or `latest`.
        paths: photos.
        methods: see `heatmaps.METHODS`.
        out: folder for the pictures; default `explained/` in the run's folder.
        device: as in training.
        target: class whose evidence to show; default the predicted one.
        progress: called after each method.

    Returns:
        One record per photo and method: `path`, `method`, `predicted`, `confidence` in [0, 1], `target` (None for a method
        that is not class-specific), `flat` (the map shows nothing), `picture`.

    Raises:
        ImageError: photos can't be read; all of them are named.
        UsageError: an unknown method or class.
    """
    predictor = Predictor.load(store, run_id, device)
    card = predictor.card
    if target is not None and target not in card.classes:
        raise UsageError(f"The model has no class {target}.", f"It has: {listed(card.classes, full='its model card')}.")
    squares = np.stack(_squares(card, paths))
    names = _file_names(paths)
    return explain_squares(
        predictor,
        squares,
        [str(path) for path in paths],
        names,
        methods,
        out or store.run_folder(card.run_id).explained,
        target,
        progress,
    )


def explain_squares(
    predictor: Predictor,
    squares: np.ndarray,
    labels: Sequence[str],
    names: Sequence[str],
    methods: Sequence[str],
    out: Path,
    target: str | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Write the input and a heat-map per method of each photo to `out`; see `explain_images`.

    `squares` are the network's inputs (uint8 [n, side, side, 3]), `labels` say which photo each is (their `path` in
    the records), `names` become the files' names.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = ExplanationFolder(out)
    classes = predictor.card.classes
    probabilities = predictor.probabilities(squares)
    predicted = predictor.target.first_codes(probabilities)
    chosen = predicted if target is None else np.full(len(squares), classes.index(target))
    for square, name in zip(squares, names, strict=True):
        _save(files.input(name), square)
    records = []
    for done, method in enumerate(methods, start=1):
        maps = heatmaps(predictor.model, squares, method, chosen.tolist())
        for i, (square, heatmap, name) in enumerate(zip(squares, maps, names, strict=True)):
            picture = files.heatmap(name, method)
            _save(picture, overlay(square, heatmap))
            records.append(
                {
                    "path": labels[i],
                    "method": method,
                    "predicted": classes[predicted[i]],
                    "confidence": float(probabilities[i, predicted[i]]),
                    "target": None if method == CLASSLESS else classes[chosen[i]],
                    "flat": not heatmap.any(),
                    "picture": str(picture),
                }
            )
        progress("explain", done, len(methods), method)
    return records


def choose_to_explain(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the rows of a predictions table worth explaining first.

    Half are the most confidently wrong answers, the rest right ones taken class by class, the most confident first:
    what went wrong, and what it looks like when it goes right.
    """
    ordered = predictions.sort_values(["confidence", "image_id"], ascending=[False, True])
    wrong, right = ordered[~ordered["correct"]], ordered[ordered["correct"]]
    right = right.assign(turn=right.groupby("label").cumcount()).sort_values(["turn", "label"], kind="stable")
    wrong_count = min(len(wrong), max(count // 2, count - len(right)))
    return pd.concat([wrong.head(wrong_count), right.head(count - wrong_count).drop(columns="turn")])


def _squares(card: ModelCard, paths: Sequence[Path]) -> list[np.ndarray]:
    squares, faults = [], []
    for path in paths:
        try:
            squares.append(card.transform.read(path))
        except ImageError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ImageError(
            f"{len(faults)} of {len(paths)} photos can't be read:",
            "Repair these files or leave them out.",
            problems=[error.message for error in faults],
        )
    return squares


def _file_names(paths: Sequence[Path]) -> list[str]:
    """Return a distinct file name for each path: its stem, numbered where stems repeat."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}")
    return names


def _save(path: Path, pixels: np.ndarray) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        Image.fromarray(pixels).save(file, format="PNG")
