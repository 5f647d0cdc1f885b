"""Readable parts of a confusion matrix: an order, a block, a class with its rivals, groups.

Rows are the true class and columns the predicted class, as everywhere here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflows.targets.single_label.confusion import order_by_confusion
from workflows.targets.single_label.labels import IntArray

Order = Literal["confusion", "name", "size"]
LABELLED = 40
"""Up to here all classes are drawn by name; beyond, only a block of them."""
BLOCK = 30
"""How many of the classes most confused with each other are drawn by name where there are too many for all."""
ROWS, COLUMNS = "true class (rows)", "predicted class (columns)"


def class_order(matrix: IntArray, classes: Sequence[str], by: Order) -> IntArray:
    """Order the classes for display.

    Args:
        matrix: int[c, c] counts.
        classes: The c class names, in natural order.
        by: `confusion`: those often taken for each other side by side; `name`: as they are; `size`: the
            class with most images first.

    Returns:
        int64[c], a permutation.
    """
    if by == "confusion":
        return order_by_confusion(matrix)
    if by == "size":
        return np.argsort(-matrix.sum(axis=1), kind="stable").astype(np.int64)
    return np.arange(len(classes), dtype=np.int64)


def most_confused_classes(matrix: IntArray, limit: int, *, fill: bool = True) -> IntArray:
    """Return the classes of the most frequent mistakes (a for b and b for a count together), at most `limit`.

    Where there are fewer mistakes than that, the largest other classes fill up; not without `fill`.
    """
    wrong = matrix - np.diag(np.diag(matrix))
    mutual = np.triu(wrong + wrong.T)
    rows, columns = np.nonzero(mutual)
    by_count = np.argsort(-mutual[rows, columns], kind="stable")
    pairs = np.column_stack([rows[by_count], columns[by_count]])
    others = np.argsort(-matrix.sum(axis=1), kind="stable") if fill else np.zeros(0, dtype=np.int64)
    return _first_different(np.concatenate([pairs.ravel(), others]), limit)


def rivals_of(matrix: IntArray, place: int, limit: int) -> IntArray:
    """Return a class and those that it is most often confused with, in either direction, at most `limit`."""
    either = matrix[place] + matrix[:, place]
    ranked = np.argsort(-either, kind="stable")
    return _first_different(np.concatenate([[place], ranked[either[ranked] > 0]]), limit)


def _first_different(values: NDArray[np.int64], limit: int) -> IntArray:
    _, first = np.unique(values, return_index=True)
    return values[np.sort(first)][:limit].astype(np.int64)


def in_groups(order: IntArray, groups: int) -> list[IntArray]:
    """Cut an order of classes into at most `groups` runs of neighbours, all about equally long."""
    return [part.astype(np.int64) for part in np.array_split(order, min(groups, len(order))) if len(part)]


def grouped_counts(matrix: IntArray, groups: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Add up a matrix over groups of classes.

    Returns:
        int64[g, g] images, and int64[g, g] of these the wrong ones (inside a group, too).
    """
    member = np.zeros(len(matrix), dtype=np.int64)
    for number, places in enumerate(groups):
        member[places] = number
    size = len(groups)
    cells = member[:, None] * size + member[None, :]
    wrong = matrix - np.diag(np.diag(matrix))
    both = [np.bincount(cells.ravel(), weights=part.ravel(), minlength=size * size) for part in (matrix, wrong)]
    images, mistakes = (np.rint(part).astype(np.int64).reshape(size, size) for part in both)
    return images, mistakes


def cells_of(matrix: IntArray, classes: Sequence[str], places: IntArray) -> pd.DataFrame:
    """List the cells with images among some classes: what a chart draws as one mark each.

    Returns:
        `true`, `predicted` (names), `count`, `share` (of all images of the true class, also of those taken
        for a class that is not among `places`), `right` (bool).
    """
    part = matrix[np.ix_(places, places)]
    rows, columns = np.nonzero(part)
    names = np.array([*classes, None], dtype=object)[:-1][places]
    support = np.maximum(matrix[places].sum(axis=1), 1)
    return pd.DataFrame(
        {
            "true": names[rows],
            "predicted": names[columns],
            "count": part[rows, columns],
            "share": part[rows, columns] / support[rows],
            "right": rows == columns,
        }
    )
