"""A workflow survives being written and read: as YAML, as JSON."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from tests.graph.strategies import workflows
from tests.properties import examples
from workflows.graph.drawing import to_graphviz, to_mermaid, to_text
from workflows.graph.workflow import Workflow, dumps, loads
from workflows.nodes.dataset import DatasetSettings

# Not shrunk: a workflow is large, and shrinking one takes minutes; the assertion shows what differs.
THOROUGH = settings(
    max_examples=examples(150),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
QUICK = settings(THOROUGH, max_examples=examples(40))


ODD_TEXTS = ["\x85", "a\u2028b", "\ufeff", "no", "1e-3", "007", "~", " x ", "a: b #c", "x\n y\n", "'\"", "<<", "- a"]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_text_that_yaml_could_misread_survives(text: str) -> None:
    workflow = Workflow.linear(text, DatasetSettings(name=text), description=text)
    assert loads(dumps(workflow)) == workflow


@THOROUGH
@given(workflows())
def test_yaml_round_trip_is_exact(workflow: Workflow) -> None:
    again = loads(dumps(workflow))
    assert again == workflow
    assert [type(node.settings) for node in again.nodes] == [type(node.settings) for node in workflow.nodes]
    assert again.problems() == []


@QUICK
@given(workflows())
def test_json_round_trip_is_exact(workflow: Workflow) -> None:
    assert Workflow.model_validate_json(workflow.model_dump_json()) == workflow
    assert Workflow.model_validate(workflow.model_dump(mode="json")) == workflow


@QUICK
@given(workflows())
def test_yaml_is_plain_data_for_other_readers(workflow: Workflow) -> None:
    data = yaml.safe_load(dumps(workflow))
    assert data["name"] == workflow.name
    assert [node["id"] for node in data["nodes"]] == [node.id for node in workflow.nodes]


@QUICK
@given(workflows())
def test_every_workflow_can_be_drawn(workflow: Workflow) -> None:
    for text in (to_text(workflow), to_mermaid(workflow), to_graphviz(workflow)):
        assert all(character.isprintable() or character == "\n" for character in text)
    assert len(to_mermaid(workflow).splitlines()) == 1 + len(workflow.nodes) + len(workflow.edges)
