"""Small real data for tests that run the whole job: a few of scikit-learn's digits as class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def digit_folders(folder: Path, classes: int = 3, per_class: int = 20, side: int = 32) -> Path:
    """Write `per_class` digits of each of the first `classes` classes to `folder/<class>/<number>.png`."""
    digits = load_digits()
    for label in range(classes):
        place = folder / str(label)
        place.mkdir(parents=True)
        for number in np.flatnonzero(digits.target == label)[:per_class]:
            grey = Image.fromarray((digits.images[number] * 15).astype(np.uint8))
            grey.resize((side, side), Image.Resampling.BICUBIC).save(place / f"{number:04d}.png")
    return folder
