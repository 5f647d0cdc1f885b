"""Tuning: searches for better workflows, live."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from app.client import client
from app.components.page import Action, ago, empty_state, guarded, header
from app.components.tuning_form import begin_form, beginnings
from app.components.tuning_study import study_panel


def main() -> None:
    """Draw the page."""
    header("Tuning", "Searches around the recommended workflow for one that does better on your photos.")
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
        empty_state("There are no data sets to tune on yet.", Action("Bring in photos", page="data", icon="upload"))
        return
    if found:
        rows = [
            {
                "Tuning": brief.study_id,
                "State": brief.state,
                "Data set": f"{brief.dataset} v{brief.version}",
                "Goal": brief.goal,
                "Budget": brief.budget,
                "Best": None if brief.best is None else 100 * brief.best,
                "Start": None if brief.start is None else 100 * brief.start,
                "Begun": ago(datetime.fromisoformat(brief.created_at)),
            }
            for brief in found
        ]
        chosen = st.dataframe(
            pd.DataFrame(rows),
            key="studies",
            hide_index=True,
            placeholder="",
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                "Best": st.column_config.NumberColumn(format="%.1f %%", help="Top-1 on validation, of the winner"),
                "Start": st.column_config.NumberColumn(format="%.1f %%", help="Of the workflow it started from"),
            },
        )["selection"]["rows"]
        st.caption("Choose a tuning to see its trials and what came of it.")
        if chosen and chosen[0] < len(found):
            st.query_params["study"] = found[chosen[0]].study_id
            st.rerun()
    with st.expander("Begin a tuning", expanded=not found, icon=":material/add:"):
        begin_form()


def _one(study_id: str) -> None:
    ids = client().tuning.ids()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state["tuning-study"] = study_id
        st.selectbox("Tuning", ids, key="tuning-study", width=420, on_change=_choose)
        if st.button("All tunings", icon=":material/list:", key="tuning-all"):
            st.query_params.clear()
            st.rerun()
    study_panel(study_id)


def _choose() -> None:
    st.query_params["study"] = st.session_state["tuning-study"]


main()
