"""Schedules: automatic work, when it runs next, and its results."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import Action, empty_state, guarded, header
from app.views.schedules.cards import log_table, schedule_card, watch_card
from app.views.schedules.forms import NEW, WATCH, draw_form, open_form

LOOK_SECONDS = 4.0


def main() -> None:
    """Draw the page."""
    header("Schedules", "Retrain models on a schedule or as photos arrive; import what appears in a folder.")
    with guarded():
        if not client().schedules.is_up():
            st.info("Schedules run only while the studio is up: start it with `fieldguide up`.")
        _now()
        models = client().models.names()
        with st.container(horizontal=True):
            if models and st.button("Add a schedule", key="schedule-new", icon=":material/add:", type="primary"):
                open_form(NEW)
            if st.button("Watch a folder", key="watch-new", icon=":material/visibility:"):
                open_form(WATCH)
        draw_form(models, [brief.schedule for brief in client().schedules.all()])
        _log()


@st.fragment(run_every=LOOK_SECONDS)
def _now() -> None:
    """Draw what there is, as it is now."""
    found, watches = client().schedules.all(), client().schedules.watches()
    if not found:
        models = client().models.names()
        text = (
            "No model is retrained automatically yet." if models else "There are no models yet that could be retrained."
        )
        empty_state(text, *(() if models else (Action("To the models", page="models", icon="inventory_2"),)))
    for brief in found:
        schedule_card(brief)
    if watches:
        st.subheader("Watched folders", anchor=False)
    for watch in watches:
        watch_card(watch)


@st.fragment(run_every=LOOK_SECONDS)
def _log() -> None:
    runs = client().schedules.log()
    if runs:
        st.subheader("Log", anchor=False)
        st.caption("Choose a row to read its decision.")
        log_table(runs)


main()
