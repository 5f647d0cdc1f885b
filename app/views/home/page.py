"""Home: what there is, what runs, what needs attention."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import client
from app.components.choosing import chosen_row
from app.components.next_steps import leads_of, next_steps, path_line
from app.components.now import activity, troubles
from app.components.page import ago, go, guarded, header, size_of
from app.components.run_table import run_table
from app.views.home.due import due_and_drifted
from app.views.home.first_steps import first_steps, try_it

NEWEST = 10


def main() -> None:
    """Draw the page."""
    header("Fieldguide", f"Your photos, your classifiers, on your machine: {_machine(client().studio.hardware())}.")
    with guarded():
        if not client().runs.counts() and not client().attention.datasets():
            first_steps()
            return
        _path()
        _now()
        _attention()
        _lists()


@st.fragment(run_every=5.0)
def _path() -> None:
    """Draw the next step, wherever one is on the way."""
    with guarded():
        progress = client().attention.next_step()
        st.markdown(path_line(progress))
        if progress is not None:
            next_steps(leads_of(progress), "home", progress.words)


@st.fragment(run_every=2.0)
def _now() -> None:
    with guarded():
        activity()


@st.fragment(run_every=10.0)
def _attention() -> None:
    with guarded():
        troubles()
        due_and_drifted()


@st.fragment(run_every=5.0)
def _lists() -> None:
    with guarded():
        _runs()
        _datasets()


def _runs() -> None:
    runs, total = client().runs.newest(NEWEST), sum(client().runs.counts().values())
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Latest runs", anchor=False)
        if total > len(runs):
            st.caption(f"{len(runs)} of {total:,}", width="content")
    if runs:
        run_table(runs, key="latest-runs")
        return
    with st.container(horizontal=True):
        if st.button("Train a classifier", type="primary", icon=":material/play_arrow:"):
            go("workflow")
        try_it()


def _datasets() -> None:
    found = client().attention.datasets()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Data sets", anchor=False)
        if st.button("Import photos", icon=":material/upload:"):
            go("data", new="1")
    if not found:
        return
    called = client().marks.called("dataset")
    rows = [
        {
            "Data set": called(dataset.name),
            "Version": dataset.version,
            "Images": dataset.images,
            "Classes": dataset.classes,
            "Findings": "not audited" if dataset.audited is None else dataset.audited or "none",
            "Changed": ago(dataset.changed_at),
        }
        for dataset in found
    ]
    chosen = chosen_row(
        rows,
        key="datasets",
        column_config={"Images": st.column_config.NumberColumn(format="localized")},
    )
    if chosen is not None:
        go("data", dataset=found[chosen].name)


def _machine(hardware: dict[str, Any]) -> str:
    cores = f", {hardware['cores']} cores" if hardware.get("cores") else ""
    kind = "GPU memory" if hardware["kind"] == "cuda" else "memory"
    return f"{hardware['name']}{cores}, {size_of(hardware['memory_bytes'])} {kind}"


main()
