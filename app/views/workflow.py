"""Workflow: what is recommended and why, changed by hand, previewed, and trained."""

from __future__ import annotations

import streamlit as st

from app.components.augmentation import augmentation_preview
from app.components.graph import graph
from app.components.page import guarded, header, pick_dataset
from app.components.recommended import advice_for, recommended
from app.components.start_training import START, start_training
from app.components.workflow_draft import Draft, current_draft
from app.components.workflow_files import workflow_bar
from app.components.workflow_form import node_form, reasons


def main() -> None:
    """Draw the page."""
    header("Workflow", "How your photos become a classifier: recommended with reasons, yours to change.")
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
    kind = graph(draft.workflow, draft.changed, key=f"graph-{dataset}")
    with st.container(border=True):
        changed = node_form(draft, kind)
        if changed is not draft and not st.session_state.get(START):  # a press that came along would be lost
            st.rerun()  # the graph above shows what was changed
        if kind == "augmentation":
            augmentation_preview(changed.workflow, dataset)
        with st.expander("Why these settings", icon=":material/help:"):
            reasons(changed.workflow, kind)
    return changed


main()
