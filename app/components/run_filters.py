"""All runs in pages, narrowed by state, data set and words."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.gallery import pager
from app.components.page import Action, empty_state
from app.components.run_table import run_table

PAGE_SIZE = 25
ANY = "All data sets"
STATES = ("running", "pending", "finished", "failed", "cancelled", "interrupted")


def all_runs() -> None:
    """Draw the list with its filters; choosing a line opens the run."""
    if not client().runs.counts():
        empty_state(
            "Nothing was trained yet.", Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
        )
        return
    left, right = st.columns(2)
    names = [found.name for found in client().store.datasets.list()]
    dataset = left.selectbox("Data set", [ANY, *names], key="runs-dataset")
    text = right.text_input("Name holds", key="runs-text", placeholder="part of a run's name").strip()
    chosen = None if dataset == ANY else dataset
    counts = client().runs.counts(dataset=chosen, text=text)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        states = st.pills(
            "State",
            STATES,
            selection_mode="multi",
            format_func=lambda state: "waiting" if state == "pending" else state,
            key="runs-states",
            label_visibility="collapsed",
        )
        total = sum(number for state, number in counts.items() if not states or state in states)
        st.caption(f"{total:,} of {sum(client().runs.counts().values()):,}")
    if not total:
        st.caption("No run is like that.")
        return
    part = pager(total, PAGE_SIZE, "runs-page")
    found = client().runs.newest(part.stop - part.start, states, dataset=chosen, text=text, skip=part.start)
    run_table(found, key=f"runs-table-{part.start}", to="run")
