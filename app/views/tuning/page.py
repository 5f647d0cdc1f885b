"""Tuning: searches for better workflows, live."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.client import client
from app.components.address import change_address
from app.components.choosing import choose_another, chosen_row
from app.components.page import Action, ago, empty_state, guarded, header
from app.views.tuning.form import begin_form, beginnings
from app.views.tuning.study import study_panel


def main() -> None:
    """Draw the page."""
    header("Tuning", "Searches for a workflow that does better on your photos than the recommended one.")
    with guarded():
        wanted = st.query_params.get("study")
        if wanted is not None:
            _one(client().tuning.get(wanted).study_id)
        else:
            _all()


def _all() -> None:
    beginnings()
    found = client().tuning.briefs()
    if not client().store.datasets.list():
        empty_state("There are no data sets to tune on yet.", Action("Import photos", page="data", icon="upload"))
        return
    if found:
        rows = [
            {
                "Tuning": brief.study_id,
                "State": brief.state.words if brief.state else "not finished",
                "Data set": f"{brief.dataset} v{brief.version}",
                "Goal": brief.goal,
                "Budget": brief.budget,
                "Best": None if brief.best is None else 100 * brief.best,
                "Start": None if brief.start is None else 100 * brief.start,
                "Started": ago(datetime.fromisoformat(brief.created_at)),
            }
            for brief in found
        ]
        chosen = chosen_row(
            rows,
            key="studies",
            column_config={
                "Best": st.column_config.NumberColumn(format="%.1f %%", help="Top-1 on validation, of the winner"),
                "Start": st.column_config.NumberColumn(format="%.1f %%", help="Of the workflow it started from"),
            },
        )
        st.caption("Choose a tuning to see its trials and its result.")
        if chosen is not None:
            change_address({"study": found[chosen].study_id})
            st.rerun()
    with st.expander("Start a tuning", expanded=not found, icon=":material/add:"):
        begin_form()


def _one(study_id: str) -> None:
    choose_another("Tuning", client().tuning.ids(), study_id, parameter="study", width=420)
    study_panel(study_id)


main()
