"""The heat-maps of a run on one sheet: each photo next to its heat-maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from workflows.explanation.methods import CLASSLESS
from workflows.report.sheets import image_sheet
from workflows.report.tables import read_csv
from workflows.report.words import percent
from workflows.store.run_folder import ExplanationFolder, RunFolder

GROUPS = 2
"""Photos (each with its maps) in a row of the sheet."""

SHOWN = 16


def heatmap_sheet(run_folder: RunFolder) -> bytes | None:
    """Draw photo and heat-maps side by side for the first photos explained; None if none were.

    Correct predictions are marked green, wrong ones orange.
    """
    path = run_folder.explanation.table
    if not path.exists():
        return None
    table = read_csv(path)
    if table.empty:
        return None
    methods = table["method"].drop_duplicates().tolist()
    tiles = []
    for image_id in table["image_id"].drop_duplicates().head(SHOWN):
        tiles += _row(run_folder.explanation, table[table["image_id"] == image_id])
    heading = f"What the network looks at: {' and '.join(methods)}, on the pixels that it sees"
    return image_sheet(tiles, heading=heading, columns=GROUPS * (1 + len(methods)))


def _row(folder: ExplanationFolder, of_photo: pd.DataFrame) -> list[tuple[np.ndarray, str, str]]:
    first = of_photo.iloc[0]
    predicted, label = str(first["predicted"]), str(first["label"])
    colour = "good" if predicted == label else "bad"
    answer = f"{percent(float(first['confidence']), 0)} {predicted}\ntrue: {label}"
    tiles = [(_pixels(folder.input(first["image_id"])), answer, colour)]
    # the table holds text, and older runs don't say
    flat = of_photo.get("flat", pd.Series("False", index=of_photo.index)).astype(str) == "True"
    for method, target, is_flat in zip(of_photo["method"], of_photo["target"], flat, strict=True):
        about = "no contrast" if is_flat else "whatever the class" if method == CLASSLESS else f"for {target}"
        tiles.append((_pixels(folder.heatmap(first["image_id"], method)), f"{method}\n{about}", colour))
    return tiles


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))
