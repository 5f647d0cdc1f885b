"""Schedules: what happens by itself, when next, and what came of it."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import Action, empty_state, guarded, header
from app.components.schedule_cards import log_table, schedule_card, watch_card
from app.components.schedule_forms import schedule_form, watch_form

LOOK_SECONDS = 4.0


def main() -> None:
    """Draw the page."""
    header("Schedules", "Retrain models at times or as photos arrive; import what appears in a folder.")
    with guarded():
        if not client().schedules.is_up():
            st.info("Nothing happens by itself while the studio is off: start it by `fieldguide up`.")
        _now()
        models = client().models.names()
        if models:
            with st.expander("Add a schedule", icon=":material/add:"):
                schedule_form(models)
        with st.expander("Watch a folder", icon=":material/visibility:"):
            watch_form()
        _log()


@st.fragment(run_every=LOOK_SECONDS)
def _now() -> None:
    """Draw what there is, as it is now."""
    found, watches = client().schedules.all(), client().schedules.watches()
    if not found:
        models = client().models.names()
        text = "No model is retrained by itself yet." if models else "There are no models yet that could be retrained."
        empty_state(text, *(() if models else (Action("To the models", page="models", icon="inventory_2"),)))
    for brief in found:
        schedule_card(brief)
    if watches:
        st.subheader("Watched folders", anchor=False)
    for watch in watches:
        watch_card(watch)


@st.fragment(run_every=LOOK_SECONDS)
def _log() -> None:
    firings = client().schedules.log()
    if firings:
        st.subheader("What came of it", anchor=False)
        st.caption("Choose a line to read its decision.")
        log_table(firings)


main()
