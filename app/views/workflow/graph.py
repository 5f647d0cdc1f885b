"""A workflow drawn as boxes and arrows, one of which is chosen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.client import client
from app.components.component_key import component_key
from app.views.workflow.fields import purpose

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

FIRST = "augmentation"
"""Kind of the node that is chosen at first: it has the most to see."""
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "fieldguide.graph",
    html='<div class="graph" role="group"></div>\n',
    css=(_HERE / "graph.css").read_text(encoding="utf-8"),
    js=(_HERE / "graph.js").read_text(encoding="utf-8"),
)


def graph(workflow: Workflow, changed: Collection[str], key: str) -> str:
    """Draw `workflow` and return the id of the node that is chosen.

    Args:
        workflow: a sound one.
        changed: ids of the nodes that the person has changed; they get a mark.
        key: of the widget.
    """
    boxes = client().workflows.boxes(workflow)
    nodes = [
        {
            "id": box.node_id,
            "title": box.kind if box.node_id == box.kind else f"{box.node_id} ({box.kind})",
            "help": purpose(box.kind),
            "changed": box.node_id in changed,
            "facts": [["after", ", ".join(box.after)]] * bool(box.after) + [_split(fact) for fact in box.facts],
            "leads": box.leads,
        }
        for box in boxes
    ]
    first = next((box.node_id for box in boxes if box.kind == FIRST), boxes[0].node_id)
    key = component_key(key)
    before = (st.session_state.get(key) or {}).get("selected")
    before = before if before in {box.node_id for box in boxes} else first
    data: dict[str, Any] = {"nodes": nodes, "selected": before}
    result = _component(key=key, data=data, default={"selected": first}, on_selected_change=_nothing)
    chosen = result.get("selected")
    return str(chosen) if chosen in {box.node_id for box in boxes} else first


def _split(fact: str) -> list[str]:
    """Take "image_size 224" apart into its name in words and its value; other sentences are values."""
    name, _, value = fact.partition(" ")
    return [name.replace("_", " "), value] if value and not fact.startswith("as ") else ["", fact]


def _nothing() -> None:
    """A state of a component needs a callback to exist."""
