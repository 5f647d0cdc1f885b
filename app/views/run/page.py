"""Run: one run live, or the list of all runs."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.address import change_address, replace_address
from app.components.marks import mark_bar
from app.components.next_steps import Lead, mistakes_of, next_steps
from app.components.now import activity
from app.components.page import guarded, header, plain
from app.views.run.charts import live_charts
from app.views.run.filters import all_runs
from app.views.run.status import live_orders, live_status
from workflows.state import State

SECONDS = 1.0


def main() -> None:
    """Draw one run if the address names it, else the list."""
    run_id = st.query_params.get("run")
    if not run_id:
        header("Runs", "Running, waiting and finished trainings. Choose a row to open it.")
        _activity()
        with guarded():
            all_runs()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("All runs", key="run-all", icon=":material/arrow_back:", type="tertiary"):
            replace_address({})
            st.rerun()
    with guarded():
        run = client().runs.get(run_id)
        if run.run_id != run_id:
            change_address({"run": run.run_id})
        title = client().marks.get("run", run.run_id).title
        header(title or run.run_id, run.run_id if title else "")
        mark_bar("run", run.run_id)
        goes_on = run.state.alive
        st.fragment(_watch, run_every=SECONDS if goes_on else None)(run.run_id, run.state)


@st.fragment(run_every=2.0)
def _activity() -> None:
    with guarded():
        activity()


def _watch(run_id: str, state: State) -> None:
    """Draw what changes; a new state reruns the whole page."""
    with guarded():
        live = client().live.look(run_id)
        live_status(live)
        live_orders(live)
        if live.run.state != state:
            st.rerun()  # only now, as an order that was given meanwhile would be forgotten
        if live.loss or live.steps["val/loss"]:
            live_charts(live)
        _log(live.run.run_id, live.run.state)
        if live.run.state == State.FINISHED:
            _next(live.run.run_id, live.run.dataset or "")


def _next(run_id: str, dataset: str) -> None:
    """Lead on to the evaluation, to a comparison with the run before, and to the models."""
    leads = [mistakes_of(run_id)]
    others = client().runs.newest(2, (State.FINISHED,), dataset=dataset) if dataset else []
    other = next((each.run_id for each in others if each.run_id != run_id), "")
    if other:
        leads.append(Lead(f"Compare it with {other}", "compare", "compare_arrows", {"runs": f"{other},{run_id}"}))
    if not client().models.of_run(run_id):
        leads.append(Lead("Register it as a model", "models", "inventory_2", {"run": run_id}))
    next_steps(leads, "run")


def _log(run_id: str, state: State) -> None:
    text = client().live.log(run_id)
    if not text:
        return
    with st.expander("Log", expanded=state == State.FAILED, icon=":material/notes:"):
        st.code(text, language=None, height=260)
        st.caption(plain(client().store.run_folder(run_id).log))


main()
