"""The built-in node kinds, one module each; see `workflows.graph.kinds` for what a kind is."""

from __future__ import annotations

from workflows.nodes import augmentation, dataset, evaluation, explanation, model, split, training

BUILT_IN = (
    dataset.KIND,
    split.KIND,
    augmentation.KIND,
    model.KIND,
    training.KIND,
    evaluation.KIND,
    explanation.KIND,
)
"""In the order of the standard graph."""
