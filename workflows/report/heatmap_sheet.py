"""The heat-maps of a run on one sheet: each photo beside what every method says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from workflows.report.sheets import image_sheet
from workflows.report.tables import read_csv
from workflows.report.words import percent

GROUPS = 2
"""Photos (each with its maps) in a row of the sheet."""

SHOWN = 16


def heatmap_sheet(run_folder: Path) -> bytes | None:
    """Draw photo and heat-maps side by side for the first photos explained; None if none were.

    Green stands above right answers, orange above wrong ones.
    """
    path = run_folder / "explanation" / "explanations.csv"
    if not path.exists():
        return None
    table = read_csv(path)
    if table.empty:
        return None
    methods = table["method"].drop_duplicates().tolist()
    tiles = []
    for image_id in table["image_id"].drop_duplicates().head(SHOWN):
        tiles += _row(run_folder / "explanation", table[table["image_id"] == image_id])
    heading = f"What the network looks at: {' and '.join(methods)}, on the pixels that it sees"
    return image_sheet(tiles, heading=heading, columns=GROUPS * (1 + len(methods)))


def _row(folder: Path, of_photo: pd.DataFrame) -> list[tuple[np.ndarray, str, str]]:
    first = of_photo.iloc[0]
    predicted, label = str(first["predicted"]), str(first["label"])
    colour = "green" if predicted == label else "orange"
    answer = f"{percent(float(first['confidence']), 0)} {predicted}\ntruly {label}"
    tiles = [(_pixels(folder / f"{first['image_id']}_input.png"), answer, colour)]
    for method, target in zip(of_photo["method"], of_photo["target"], strict=True):
        picture = folder / f"{first['image_id']}_{method}.png"
        tiles.append((_pixels(picture), f"{method}\nfor {target}", colour))
    return tiles


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))
