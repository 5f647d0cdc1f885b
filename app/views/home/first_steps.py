"""The way from photos to a classifier, for somebody who is here for the first time."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client import client
from app.client.attention import STEPS
from app.components.page import go, guarded

CARDS = {
    "import": ("photo_library", "A folder or a zip with one sub-folder for each class.", "data"),
    "look": ("fact_check", "Find and fix duplicates, wrong labels, dark photos.", "data"),
    "train": ("play_arrow", "The recommended workflow gives a reason for every choice.", "workflow"),
    "evaluate": ("grid_on", "Which classes are confused, on which photos, and why.", "evaluation"),
    "register": ("inventory_2", "Give the best run a name that people and programs rely on.", "models"),
    "schedule": ("schedule", "Retrain it as photos arrive; the better one is used.", "schedules"),
}
PER_ROW = 3


def first_steps() -> None:
    """Draw the guided path, and the way to see it all on data that comes with the installation."""
    names = list(CARDS)
    for start in range(0, len(names), PER_ROW):
        for number, column in enumerate(st.columns(PER_ROW), start=start):
            _card(column, number, names[number])
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            "No photos at hand? Watch the whole way on 1,797 handwritten digits that come with Fieldguide.",
            width="stretch",
        )
        try_it()


def _card(column: DeltaGenerator, number: int, name: str) -> None:
    icon, text, page = CARDS[name]
    with column.container(border=True, height="stretch", vertical_alignment="distribute"):
        st.markdown(f"**:material/{icon}: {number + 1} · {STEPS[name]}**")
        st.caption(text)
        if st.button(STEPS[name], key=f"step-{number + 1}", type="secondary" if number else "primary"):
            go(page)


def try_it() -> None:
    """Draw the button that trains on the embedded digits, and go to see it."""
    if st.button("Try it on the embedded data set", key="try", icon=":material/science:"):
        with guarded(), st.spinner("Writing the digits …"):
            st.session_state["last-run"] = client().studio.try_demo()
            go("run", run=st.session_state["last-run"])
