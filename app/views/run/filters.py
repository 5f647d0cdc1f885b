"""All runs in pages, narrowed by state, data set and words."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.gallery import pager
from app.components.page import Action, empty_state
from app.components.run_table import run_table
from workflows.state import RUN_STATES

PAGE_SIZE = 25
ANY = "All data sets"


def all_runs() -> None:
    """Draw the list with its filters; choosing a line opens the run."""
    if not client().runs.counts():
        empty_state(
            "There are no runs yet.", Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
        )
        return
    dataset, text, tags, starred = _filters()
    counts = client().runs.counts(dataset=dataset, text=text, tags=tags, starred=starred)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        states = st.pills(
            "State",
            RUN_STATES,
            selection_mode="multi",
            format_func=lambda state: state.words,
            key="runs-states",
            label_visibility="collapsed",
        )
        total = sum(number for state, number in counts.items() if not states or state in states)
        st.caption(f"{total:,} of {sum(client().runs.counts().values()):,}")
    if not total:
        st.caption("No run matches these filters.")
        return
    part = pager(total, PAGE_SIZE, "runs-page")
    found = client().runs.newest(
        part.stop - part.start, states, dataset=dataset, text=text, tags=tags, starred=starred, skip=part.start
    )
    run_table(found, key=f"runs-table-{part.start}", to="run")


def _filters() -> tuple[str | None, str, list[str], bool]:
    """Let runs be narrowed by data set, text, tags and star."""
    left, middle, right, last = st.columns([3, 3, 3, 1.2], vertical_alignment="bottom")
    names = [found.name for found in client().store.datasets.list()]
    dataset = left.selectbox(
        "Data set", [ANY, *names], key="runs-dataset", format_func=client().marks.called("dataset")
    )
    text = middle.text_input("Search", key="runs-text", placeholder="id, name, note or tag").strip()
    tags = right.multiselect("Tags", client().marks.tags("run"), key="runs-tags", placeholder="Any")
    starred = last.toggle("Starred", key="runs-starred")
    return None if dataset == ANY else dataset, text, tags, starred
