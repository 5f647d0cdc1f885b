"""One label for each image: names to numbers, probabilities to names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.errors import DatasetError

IntArray = NDArray[np.int64]


def class_codes(labels: ArrayLike | pd.Series, classes: Sequence[str]) -> IntArray:
    """Turn class names into positions in `classes`; integers are checked and passed through.

    Raises:
        DatasetError: A label is none of `classes`.
    """
    values = np.asarray(labels)
    if values.dtype.kind in "iu":
        codes = values.astype(np.int64)
        unknown = sorted({str(code) for code in codes[(codes < 0) | (codes >= len(classes))]})
    else:
        found = pd.Index(list(classes)).get_indexer(pd.Index(values.astype(object)))
        codes = np.asarray(found, dtype=np.int64)
        unknown = sorted({str(value) for value in values[codes < 0]})
    if unknown:
        raise DatasetError(
            f"{len(unknown)} label(s) are none of the model's {len(classes)} classes:",
            hint="Evaluate with the class list that the model was trained on.",
            problems=unknown,
        )
    return codes


def predicted_codes(outputs: NDArray[np.floating]) -> IntArray:
    """Return the class answered in each row of logits or probabilities [n, c]; of equal ones the first in the list."""
    return np.asarray(outputs.argmax(axis=1), dtype=np.int64)


def ranked_codes(probabilities: NDArray[np.floating], top: int) -> IntArray:
    """Return the `top` most probable classes of each row [n, c], best first; equal ones in class order."""
    return np.asarray(np.argsort(-probabilities, axis=1, kind="stable")[:, :top], dtype=np.int64)
