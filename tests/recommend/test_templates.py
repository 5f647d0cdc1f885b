"""The templates written by hand stay near what the recommender would say."""

from __future__ import annotations

import math

import pytest

from workflows.graph.workflow import list_templates, load_template
from workflows.recommend import recipe


@pytest.mark.parametrize("name", list_templates())
def test_learning_rates_are_near_the_recipe(name: str) -> None:
    workflow = load_template(name)
    expected = recipe.LEARNING_RATES[workflow.model.size] * math.sqrt(workflow.training.batch / recipe.REFERENCE_BATCH)
    if workflow.model.weights == "none":
        expected *= recipe.SCRATCH_RATE_FACTOR
    assert expected / 2 < workflow.training.learning_rate < expected * 2
