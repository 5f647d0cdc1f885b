"""The way from photos to a classifier, for somebody who is here for the first time."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import go, guarded

STEPS = (
    (
        "photo_library",
        "1 · Bring in photos",
        "A folder or a zip with one sub-folder for each kind.",
        "data",
        "Bring in",
    ),
    (
        "fact_check",
        "2 · Look them over",
        "Duplicates, wrong labels, dark photos: found and mended here.",
        "data",
        "Check",
    ),
    (
        "play_arrow",
        "3 · Train",
        "The recommended workflow gives a reason for every choice.",
        "workflow",
        "Set up",
    ),
    (
        "grid_on",
        "4 · See where it is wrong",
        "Which kinds are confused, on which photos, and why.",
        "evaluation",
        "Look",
    ),
)


def first_steps() -> None:
    """Draw the guided path, and the way to see it all on data that comes with the installation."""
    for column, (icon, title, text, page, label) in zip(st.columns(len(STEPS)), STEPS, strict=True):
        with column.container(border=True, height="stretch", vertical_alignment="distribute"):
            st.markdown(f"**:material/{icon}: {title}**")
            st.caption(text)
            if st.button(label, key=f"step-{title[0]}", type="primary" if title[0] == "1" else "secondary"):
                go(page)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            "No photos at hand? Watch the whole way on 1,797 handwritten digits that come with Fieldguide.",
            width="stretch",
        )
        try_it()


def try_it() -> None:
    """Draw the button that trains on the embedded digits, and go to see it."""
    if st.button("Try it on the embedded data set", key="try", icon=":material/science:"):
        with guarded(), st.spinner("Writing the digits out …"):
            st.session_state["last-run"] = client().studio.try_demo()
            go("run", run=st.session_state["last-run"])
