"""What pages compute from answers that they hold already: the pure functions of `workflows.evaluation`."""

from workflows.evaluation.comparison import Comparison
from workflows.evaluation.confusion import IntArray
from workflows.evaluation.matrix_views import (
    Order,
    cells_of,
    grouped_counts,
    in_groups,
    most_confused_classes,
    rivals_of,
)
from workflows.evaluation.thresholds import threshold_for

__all__ = [
    "Comparison",
    "IntArray",
    "Order",
    "cells_of",
    "grouped_counts",
    "in_groups",
    "most_confused_classes",
    "rivals_of",
    "threshold_for",
]
