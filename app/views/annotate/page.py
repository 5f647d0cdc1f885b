"""Annotate: photos get their labels, one key for each."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.annotation import queue_ids, queues
from app.client.datasets import DatasetVersion
from app.components.address import bind
from app.components.next_steps import next_for_dataset
from app.components.page import Action, count, empty_state, go, guarded, header, pick_dataset
from app.views.annotate.labelling import Session, hot_classes, labeller

STATE = "annotate-session"


def main() -> None:
    """Draw the page."""
    header("Annotate", "One photo at a time, one key for each class. Nothing is lost if you leave.")
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    with bar:
        name = pick_dataset("annotate")
    if name is None:
        return
    with guarded():
        version = client().datasets.version(name)
        with bar:
            queue = _queue(version)
            hot = hot_classes(version, client().annotation.classes(version), f"annotate-{name}")
            _besides(version)
        session = _session(version, queue)
        if not session.ids:
            empty_state(
                "This queue is empty.",
                Action("Show the photos", do=lambda: go("data", dataset=name), icon="photo_library"),
            )
            next_for_dataset(name, "annotate")
            return
        labeller(session, hot)


def _queue(version: DatasetVersion) -> str:
    """Let the queue be chosen; the address holds it, too."""
    offered = queues(client().datasets, version)
    session: Session | None = st.session_state.get(STATE)
    default = next(iter(offered))
    if session is not None and session.dataset == version.name:
        default = session.queue  # one that has become empty stays, until another is chosen
        offered = {default: "Without a label (0)" if default == "unlabelled" else "Current queue", **offered}
    return str(
        st.selectbox(
            "Photos",
            list(offered),
            format_func=offered.__getitem__,
            on_change=bind("queue", list(offered), default, "annotate-queue"),
            key="annotate-queue",
        )
    )


def _besides(version: DatasetVersion) -> None:
    with st.popover("New classes", icon=":material/new_label:"):
        text = st.text_area("One per line", key="annotate-classes", height=140)
        if st.button("Add them", key="annotate-name", disabled=not text.strip()):
            with guarded():
                fresh = client().annotation.name_classes(version.name, text.splitlines())
                st.toast(f"{count(len(fresh))} new classes.", icon=":material/check:")
                st.rerun()
    if st.button("Many at once", key="annotate-grid", icon=":material/grid_view:", help="Choose photos in a grid"):
        go("data", dataset=version.name, finding="unlabelled")


def _session(version: DatasetVersion, queue: str) -> Session:
    """Return where this person is; a queue is made when it is chosen, and stays as it is while it is worked through."""
    session: Session | None = st.session_state.get(STATE)
    if session is None or (session.dataset, session.queue) != (version.name, queue):
        ids = queue_ids(client().datasets, client().annotation, version, queue)
        session = st.session_state[STATE] = Session(version.name, queue, ids)
        wanted = st.query_params.get("image")
        if wanted in ids:
            session.at(wanted)
    return session


main()
