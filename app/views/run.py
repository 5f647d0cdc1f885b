"""Run: a training while it goes on, and all that were."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.live_charts import live_charts
from app.components.live_status import live_orders, live_status
from app.components.now import activity
from app.components.page import guarded, header, plain
from app.components.run_filters import all_runs

SECONDS = 1.0


def main() -> None:
    """Draw one run if the address names it, else the list."""
    run_id = st.query_params.get("run")
    if not run_id:
        header("Runs", "What trains, what waits, and what was trained. Choose a line to open it.")
        _activity()
        with guarded():
            all_runs()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("All runs", key="run-all", icon=":material/arrow_back:", type="tertiary"):
            st.query_params.clear()
            st.rerun()
    with guarded():
        run = client().runs.get(run_id)
        if run.run_id != run_id:
            st.query_params["run"] = run.run_id
        header(run.run_id)
        goes_on = run.state in ("running", "pending")
        st.fragment(_watch, run_every=SECONDS if goes_on else None)(run.run_id, run.state)


@st.fragment(run_every=2.0)
def _activity() -> None:
    with guarded():
        activity()


def _watch(run_id: str, state: str) -> None:
    """Draw what changes; a new state draws the whole page anew."""
    with guarded():
        live = client().live.look(run_id)
        if live.run.state != state:
            st.rerun()
        live_status(live)
        live_orders(live)
        if live.loss or live.steps["val/loss"]:
            live_charts(live)
        _log(live.run.run_id, live.run.state)


def _log(run_id: str, state: str) -> None:
    text = client().live.log(run_id)
    if not text:
        return
    with st.expander("Log", expanded=state == "failed", icon=":material/notes:"):
        st.code(text, language=None, height=260)
        st.caption(plain(client().store.run_folder(run_id) / "training.log"))


main()
