"""Explain: where the network looked, and the evidence for each class."""

from __future__ import annotations

import streamlit as st

from app.components.answering import asking, pick_answerer
from app.components.next_steps import Lead, mistakes_of, next_steps
from app.components.page import empty_state, guarded, header
from app.views.explain.answer import explanation
from app.views.explain.subject import choose_stored, choose_upload

SOURCES = {"stored": "From the data set", "upload": "Upload"}


def main() -> None:
    """Draw the page."""
    header("Explain", "Where the network looked in a photo, and the evidence for each class.")
    answerer = pick_answerer("explain", follow=True)
    if answerer is None:
        return
    run = answerer.run_id
    left, right = st.columns([4, 9], gap="medium")
    with left:
        source = st.segmented_control(
            "Photo",
            list(SOURCES),
            format_func=SOURCES.__getitem__,
            default="stored",
            required=True,
            key="explain-source",
            label_visibility="collapsed",
        )
        chosen = None
        with guarded():
            chosen = choose_upload(run) if source == "upload" else choose_stored(run)
    with right:
        if chosen is None:
            empty_state("Choose a photo on the left to see what the network makes of it.")
            return
        with asking(run, "explain"):
            explanation(run, chosen)
            query = {answerer.parameter: answerer.value}
            next_steps([mistakes_of(run), Lead("Use it on new photos", "predict", "image_search", query)], "explain")


main()
