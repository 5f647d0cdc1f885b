"""Trivial facts of an image as numbers: what is known without seeing what it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd

Family = Literal["file", "light", "colour", "name"]

_RARE = 5  # values of fewer images than this are merged into one: a small classifier can't learn them


@dataclass(frozen=True)
class TrivialFact:
    """A fact, its name for people, and its columns in :func:`trivial_table`."""

    name: str
    words: str
    family: Family
    columns: tuple[str, ...]


# Where two facts give a label away equally well, the first is reported.
FACTS: tuple[TrivialFact, ...] = (
    TrivialFact("format", "the file format", "file", ("format", "mode")),
    TrivialFact("size", "the image size", "file", ("pixels",)),
    TrivialFact("aspect", "the shape of the image", "file", ("aspect",)),
    TrivialFact("jpeg_quality", "the JPEG quality", "file", ("jpeg_quality",)),
    TrivialFact("camera", "the camera", "file", ("camera",)),
    TrivialFact("border", "an even border", "file", ("border",)),
    TrivialFact("brightness", "brightness", "light", ("brightness", "darkest", "brightest", "dark_share", "bright_share")),
    TrivialFact("contrast", "contrast", "light", ("contrast", "entropy")),
    TrivialFact("sharpness", "sharpness", "light", ("sharpness",)),
    TrivialFact("colour", "the average colour", "colour", ("red_cast", "green_cast", "blue_cast")),
    TrivialFact("saturation", "saturation", "colour", ("saturation",)),
    TrivialFact("name_pattern", "the pattern of the file names", "name", ("name_prefix", "name_pattern")),
    TrivialFact("name_length", "the length of the file names", "name", ("name_length", "name_digits")),
)  # fmt: skip

_MEASURED = (
    "jpeg_quality", "border", "brightness", "darkest", "brightest", "dark_share", "bright_share", "contrast", "entropy",
    "sharpness", "red_cast", "green_cast", "blue_cast", "saturation",
)  # fmt: skip


def trivial_table(images: pd.DataFrame) -> pd.DataFrame:
    """Return the trivial facts of images as numbers, in the order of `images`; unknown values are -1.

    Args:
        images: columns of images.parquet and measures. Of `path`, only the file's own name is used: its
            folders often are the label itself.
    """
    width, height = images["width"].to_numpy(float), images["height"].to_numpy(float)
    names = images["path"].map(lambda path: PurePosixPath(path).stem)
    facts = {
        "pixels": np.sqrt(width * height),
        "aspect": width / height,
        "format": _codes(images["format"]),
        "mode": _codes(images["mode"]),
        "camera": _codes(images["camera"].fillna("")),
        "name_prefix": _codes(names.map(_prefix)),
        "name_pattern": _codes(names.map(_pattern)),
        "name_length": names.str.len().to_numpy(float),
        "name_digits": names.str.count(r"\d").to_numpy(float),
    }
    measured = {name: pd.to_numeric(images[name], errors="coerce").to_numpy(float) for name in _MEASURED}
    return pd.DataFrame({**facts, **measured}).fillna(-1.0)


def _prefix(stem: str) -> str:
    """`IMG_0042` -> `img`."""
    return re.split(r"[\W\d_]", stem.casefold(), maxsplit=1)[0][:20]


def _pattern(stem: str) -> str:
    """`IMG_0042-b` -> `a_0-a`: runs of letters and digits are replaced by a placeholder."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", stem))[:20]


def _codes(values: pd.Series) -> np.ndarray:
    """Return a number for each value, the most frequent first; rare ones share the last number."""
    counts = values.value_counts()
    frequent = counts[counts >= _RARE].sort_index().sort_values(ascending=False, kind="stable")
    numbers = {value: number for number, value in enumerate(frequent.index)}
    return values.map(numbers).fillna(len(numbers)).to_numpy(float)


def bound_together(images: pd.DataFrame) -> np.ndarray:
    """Return a number for each image; images that share content, perceptual hash or group have the same.

    A classifier that has seen a copy of an image knows its label without any fact.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, tokens, first = [], [], 0
    for column in ("sha256", "phash", "group"):
        codes, values = pd.factorize(images[column])  # -1 where there is none
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        tokens.append(codes[known] + first)
        first += len(values)
    row, token = np.concatenate(rows), np.concatenate(tokens) + len(images)
    size = len(images) + first
    links = coo_array((np.ones(len(row), np.int8), (row, token)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][: len(images)])
