"""The three drawings: what they show, and what they must not let through."""

from __future__ import annotations

import re

import pytest

from workflows.graph.drawing import to_graphviz, to_mermaid, to_text
from workflows.graph.nodes import Edge, Reason
from workflows.graph.workflow import Workflow
from workflows.nodes.dataset import DatasetSettings

HOSTILE = 'a"]; click node1 "javascript:x"\n\x1b[2J<script>&`|end'


@pytest.fixture
def workflow() -> Workflow:
    return Workflow.linear("birds", DatasetSettings(name="birds", version=3))


def test_mermaid(workflow: Workflow) -> None:
    lines = to_mermaid(workflow).splitlines()
    assert lines[0] == "flowchart TD"
    assert lines[1] == '    node1["dataset<br/>name birds<br/>version 3"]'
    assert "    node1 --> node2" in lines


def test_graphviz(workflow: Workflow) -> None:
    text = to_graphviz(workflow)
    assert text.startswith('digraph "birds" {\n') and text.endswith("}\n")
    assert '    "dataset" [label="dataset\\nname birds\\nversion 3"];' in text
    assert '    "dataset" -> "split";' in text


def test_text_shows_boxes_in_order_with_reasons(workflow: Workflow) -> None:
    shared = {"because": "small turns are natural", "source": "s"}
    reasons = [
        Reason(node="augmentation", field="rotate", value=10.0, **shared),
        Reason(node="augmentation", field="zoom", value=0.1, **shared),
    ]
    text = to_text(workflow.model_copy(update={"reasons": reasons}))
    assert "    │ rotate 10, zoom 0.1: small turns are natural\n" in text
    places = [text.index(f"│ {node.kind} ") for node in workflow.nodes]
    assert places == sorted(places)
    assert "natural" not in to_text(workflow.model_copy(update={"reasons": reasons}), reasons=False)


@pytest.mark.parametrize("width", [40, 78, 120])
def test_text_keeps_to_the_width(workflow: Workflow, width: int) -> None:
    reason = Reason(node="model", field="size", value="n", because="word " * 60, source="s")
    text = to_text(workflow.model_copy(update={"reasons": [reason]}), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_names_cannot_break_out_of_a_drawing() -> None:
    workflow = Workflow.linear(HOSTILE, DatasetSettings(name=HOSTILE))
    mermaid, graphviz, text = to_mermaid(workflow), to_graphviz(workflow), to_text(workflow)
    assert "\x1b" not in mermaid + graphviz + text
    assert not set(mermaid.splitlines()[1].partition("[")[2].strip('"]').replace("<br/>", "")) & set('"<>`|[]{}&')
    assert len(graphviz.splitlines()) == len(to_graphviz(Workflow.linear("a", DatasetSettings(name="b"))).splitlines())
    assert 'name a\\"]; click' in graphviz


def test_a_graph_with_faults_is_drawn_as_it_stands(workflow: Workflow) -> None:
    edges = [*workflow.edges[1:], Edge(source="training", target="model"), Edge(source="model", target="nowhere")]
    broken = workflow.model_copy(update={"edges": edges})
    text = to_text(broken)
    assert re.search("missing.* dataset -> split", text)
    assert "training -> model" in text
    assert "    node5 --> node4" in to_mermaid(broken)
    assert '    "model" -> "nowhere";' in to_graphviz(broken)
