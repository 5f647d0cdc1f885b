"""A workflow drawn as boxes and arrows, one of which is chosen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.client import client
from app.client.workflow_form import purpose

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

FIRST = "augmentation"
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "fieldguide.graph",
    html='<div class="graph" role="group"></div>\n',
    css=(_HERE / "graph.css").read_text(encoding="utf-8"),
    js=(_HERE / "graph.js").read_text(encoding="utf-8"),
)


def graph(workflow: Workflow, changed: Collection[str], key: str) -> str:
    """Draw `workflow` and return the kind of the node that is chosen.

    Args:
        workflow: a sound one.
        changed: kinds of the nodes that the person has changed; they get a mark.
        key: of the widget.
    """
    nodes = [
        {
            "id": kind,
            "title": kind if node_id == kind else f"{node_id} ({kind})",
            "help": purpose(kind),
            "changed": kind in changed,
            "facts": [_split(fact) for fact in facts],
        }
        for node_id, kind, facts in client().workflows.facts(workflow)
    ]
    before = (st.session_state.get(key) or {}).get("selected")
    data: dict[str, Any] = {"nodes": nodes, "selected": before or FIRST}
    result = _component(key=key, data=data, default={"selected": FIRST}, on_selected_change=_nothing)
    chosen = result.get("selected")
    return str(chosen) if chosen in {node["id"] for node in nodes} else FIRST


def _split(fact: str) -> list[str]:
    """Take "image_size 224" apart into its name in words and its value; other sentences are values."""
    name, _, value = fact.partition(" ")
    return [name.replace("_", " "), value] if value and not fact.startswith("as ") else ["", fact]


def _nothing() -> None:
    """A state of a component needs a callback to exist."""
