"""Workflow: what is recommended and why, changed by hand, previewed, and trained."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import guarded, header, pick_dataset, plain
from app.views.workflow.augmentation import augmentation_preview
from app.views.workflow.draft import START, Draft, current_draft
from app.views.workflow.fields import node_of
from app.views.workflow.files import workflow_bar
from app.views.workflow.form import node_form, reasons
from app.views.workflow.graph import graph
from app.views.workflow.recommended import advice_for, recommended
from app.views.workflow.shape import shape_bar
from app.views.workflow.start import start_training


def main() -> None:
    """Draw the page."""
    header("Workflow", "The steps from photos to a classifier: recommended with reasons, yours to change.")
    dataset = pick_dataset("workflow")
    if dataset is None:
        return
    with guarded():
        advice = advice_for(dataset)
        recommended(dataset, advice)
        draft = current_draft(dataset, advice, settled=bool(st.session_state.get(START)))
        workflow_bar(draft)
        draft = _nodes(draft, dataset)
        start_training(draft, dataset, advice)


def _nodes(draft: Draft, dataset: str) -> Draft:
    """Draw the graph, and the form of the node that is chosen."""
    node_id = graph(draft.workflow, draft.changed, key=f"graph-{dataset}")
    with st.container(border=True):
        changed = node_form(draft, node_id)
        if changed is not draft and not st.session_state.get(START):  # a click at the same time would be lost
            st.rerun()  # the graph above shows what was changed
        _below(changed, node_id, dataset)
        if not st.session_state.get(START):
            shape_bar(changed, node_id)
        with st.expander("Why these settings", icon=":material/help:"):
            reasons(changed.workflow, node_id)
    return changed


def _below(draft: Draft, node_id: str, dataset: str) -> None:
    """Draw what the settings of a node come to: the photos after augmentation, the file that the weights are in."""
    kind = node_of(draft.workflow, node_id).kind
    if kind == "augmentation":
        augmentation_preview(draft.workflow, dataset)
    elif kind == "model":
        words = client().readiness.planned_weights(draft.workflow)
        st.caption(f"Weights `{draft.workflow.model.weights}` on this machine: {plain(words)}.")


main()
