"""Which classes are taken for which.

In every matrix here rows are the true class and columns the predicted class, as in scikit-learn
(Ultralytics has them the other way round).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.targets.single_label.labels import IntArray, class_codes

# Optimal leaf ordering costs more than the square of the classes: 0.2 s at 325, minutes at thousands.
OPTIMAL_ORDER_UP_TO = 600


def confusion_counts(
    labels: ArrayLike | pd.Series, predicted: ArrayLike | pd.Series, classes: Sequence[str]
) -> IntArray:
    """Count images by true class (rows) and predicted class (columns).

    Args:
        labels: True classes of n images, as names or as positions in `classes`.
        predicted: Predicted classes of the same images, likewise.
        classes: The c class names, in the order of the matrix.

    Returns:
        int64[c, c], summing to n.
    """
    size = len(classes)
    cells = class_codes(labels, classes) * size + class_codes(predicted, classes)
    return np.bincount(cells, minlength=size * size).reshape(size, size).astype(np.int64)


def confusion_table(matrix: IntArray, classes: Sequence[str]) -> pd.DataFrame:
    """Lay a confusion matrix out for a spreadsheet: first column the true class, then one column per prediction."""
    table = pd.DataFrame(matrix, columns=list(classes))
    # A corner text that cannot be a class of its own keeps the column names unique.
    corner = "true class (rows) / predicted class (columns)"
    table.insert(0, corner, list(classes))
    return table


def most_confused_pairs(frame: pd.DataFrame, limit: int | None = None) -> pd.DataFrame:
    """List which class is taken for which, the most frequent mistake first.

    Args:
        frame: Predictions with columns `label`, `predicted` (names) and `confidence`.
        limit: How many pairs to return at most; None for all.

    Returns:
        One row for each pair that occurs: `label`, `predicted`, `count` (images), `share_of_label` (of
        the images of that true class, in (0, 1]), `average_confidence` (of these mistakes, in [0, 1]).
    """
    facts: dict[str, Any] = {
        "label": np.asarray(frame["label"], dtype=object),
        "predicted": np.asarray(frame["predicted"], dtype=object),
        "confidence": np.asarray(frame["confidence"], dtype=np.float64),
    }
    plain = pd.DataFrame(facts)
    support = plain["label"].value_counts()
    wrong = plain[plain["label"] != plain["predicted"]]
    pairs = wrong.groupby(["label", "predicted"], sort=True)["confidence"].agg(["size", "mean"]).reset_index()
    pairs.columns = pd.Index(["label", "predicted", "count", "average_confidence"])
    pairs["share_of_label"] = pairs["count"].to_numpy(float) / support.reindex(pairs["label"]).to_numpy(float)
    pairs = pairs.sort_values(["count", "share_of_label", "label", "predicted"], ascending=[False, False, True, True])
    columns = ["label", "predicted", "count", "share_of_label", "average_confidence"]
    return pairs[columns].head(len(pairs) if limit is None else limit).reset_index(drop=True)


def order_by_confusion(matrix: IntArray) -> IntArray:
    """Order the classes so that those often taken for each other stand side by side.

    Average-linkage clustering of the symmetric confusion rate, leaves in the order that makes neighbours
    most alike (Bar-Joseph et al. 2001). Classes without any mistake follow at the end, in their own order.

    Args:
        matrix: int[c, c] counts, rows = truth.

    Returns:
        int64[c], a permutation: `matrix[order][:, order]` is the ordered matrix.
    """
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    likeness = (rates + rates.T) / 2
    np.fill_diagonal(likeness, 0.0)
    mixed = np.flatnonzero(likeness.any(axis=1))
    clean = np.flatnonzero(~likeness.any(axis=1))
    if len(mixed) < 3:
        return np.arange(len(matrix), dtype=np.int64)
    return np.concatenate([mixed[_leaf_order(likeness[np.ix_(mixed, mixed)])], clean]).astype(np.int64)


def _leaf_order(likeness: NDArray[np.float64]) -> IntArray:
    """Order the leaves of a clustering of a symmetric likeness matrix (zero diagonal)."""
    # scipy's clustering takes a third of a second to import: only those who order pay for it
    from scipy.cluster.hierarchy import leaves_list, linkage

    upper = np.triu_indices(len(likeness), k=1)
    distances = 1.0 - likeness[upper] / likeness.max()
    tree = linkage(distances, method="average", optimal_ordering=len(likeness) <= OPTIMAL_ORDER_UP_TO)
    return np.asarray(leaves_list(tree), dtype=np.int64)
