"""Removing a node from the workflow, or adding one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from app.components.page import guarded, plain
from app.views.workflow.draft import Draft, keep_changed
from app.views.workflow.fields import add_node, addable, is_optional, node_of, purpose, remove_node, title

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow


def shape_bar(draft: Draft, node_id: str) -> None:
    """Draw the buttons that remove the chosen node, or add one after it."""
    node, choices = node_of(draft.workflow, node_id), addable(draft.workflow)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if is_optional(draft.workflow, node_id):
            words = "Remove this node, and the nodes that depend on it."
            if st.button(
                "Remove node", key=f"leave-out-{node_id}", icon=":material/remove:", help=words, type="tertiary"
            ):
                _change(draft, lambda: remove_node(draft.workflow, node_id))
        with st.popover("Add a node", icon=":material/add:", type="tertiary", disabled=not choices):
            for kind in choices:
                after = node.id if node.kind != kind else None
                if st.button(title(kind), key=f"put-in-{kind}", help=plain(purpose(kind)), width="stretch"):
                    _change(draft, lambda kind=kind, after=after: add_node(draft.workflow, kind, after))  # type: ignore[misc]


def _change(draft: Draft, make: Callable[[], Workflow]) -> None:
    with guarded():
        keep_changed(draft, make())
        st.rerun()
