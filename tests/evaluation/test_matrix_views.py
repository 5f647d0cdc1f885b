from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.evaluation.cases import class_names
from workflows.evaluation.matrix_views import (
    cells_of,
    class_order,
    grouped_counts,
    in_groups,
    most_confused_classes,
    rivals_of,
)

matrices = st.integers(2, 9).flatmap(lambda c: arrays.arrays(np.int64, (c, c), elements=st.integers(0, 9)))


@given(matrices, st.sampled_from(["confusion", "name", "size"]))
def test_every_order_is_a_permutation(matrix: np.ndarray, by: str) -> None:
    order = class_order(matrix, class_names(len(matrix)), by)  # type: ignore[arg-type]
    assert sorted(order.tolist()) == list(range(len(matrix)))


def test_order_by_size_puts_the_largest_class_first() -> None:
    assert class_order(np.diag([3, 9, 5]), class_names(3), "size").tolist() == [1, 2, 0]


@given(matrices, st.integers(1, 12))
def test_groups_lose_no_image(matrix: np.ndarray, groups: int) -> None:
    order = class_order(matrix, class_names(len(matrix)), "confusion")
    parts = in_groups(order, groups)
    images, wrong = grouped_counts(matrix, parts)
    assert np.concatenate(parts).tolist() == order.tolist()
    assert images.sum() == matrix.sum()
    assert wrong.sum() == matrix.sum() - np.trace(matrix)
    for row, rows in enumerate(parts):
        for column, columns in enumerate(parts):
            assert images[row, column] == matrix[np.ix_(rows, columns)].sum()


@given(matrices)
def test_cells_are_the_images_and_only_those(matrix: np.ndarray) -> None:
    names = class_names(len(matrix))
    cells = cells_of(matrix, names, np.arange(len(matrix)))
    assert len(cells) == np.count_nonzero(matrix)
    for row in cells.itertuples():
        place = names.index(row.true)
        assert row.count == matrix[place, names.index(row.predicted)]
        assert row.share == pytest.approx(row.count / matrix[place].sum())
        assert row.right == (row.true == row.predicted)


def test_most_confused_classes_come_pair_by_pair_then_the_largest() -> None:
    matrix = np.diag([10, 10, 10, 50, 10])
    matrix[0, 4], matrix[4, 0], matrix[1, 2] = 2, 2, 3
    assert most_confused_classes(matrix, 4).tolist() == [0, 4, 1, 2]
    assert most_confused_classes(matrix, 5).tolist() == [0, 4, 1, 2, 3]
    assert most_confused_classes(matrix, 99).tolist() == [0, 4, 1, 2, 3]


def test_rivals_of_a_class() -> None:
    matrix = np.diag([1, 10, 10, 10])
    matrix[0, 2], matrix[3, 0] = 2, 5
    assert rivals_of(matrix, 0, 10).tolist() == [0, 3, 2]
    assert rivals_of(matrix, 1, 10).tolist() == [1]
