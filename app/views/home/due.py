"""What is due, and which models see other photos than those that they were trained on."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from app.client import client
from app.client.schedules import ScheduleBrief, next_run
from app.components.clock import clock
from app.components.page import duration, go, plain, state_badge

SHOWN = 3


def due_and_drifted() -> None:
    """Draw the schedules that are due next, and drifted models."""
    for model, reasons in client().attention.drifted():
        _drifted(model, reasons)
    briefs = [brief for brief in client().schedules.all() if not brief.schedule.paused]
    if not briefs:
        return
    st.subheader("Due", anchor=False)
    if not client().schedules.is_up():
        st.caption(":material/info: Schedules run only while the studio is up.")
    for brief in sorted(briefs, key=_order)[:SHOWN]:
        _due(brief)
    if len(briefs) > SHOWN:
        st.caption(f"{len(briefs) - SHOWN} others: see the page Schedules")


def _order(brief: ScheduleBrief) -> tuple[bool, datetime]:
    """Sort by time: what is under way first, what waits for photos last."""
    moment = next_run(brief.schedule)
    return not brief.is_active, moment or datetime.max.replace(tzinfo=UTC)


def _due(brief: ScheduleBrief) -> None:
    schedule, moment = brief.schedule, next_run(brief.schedule)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"due-{schedule.id}"):
        if brief.is_active and brief.last is not None:
            state_badge(brief.last.state)
            when = brief.last.note or "under way"
        elif moment is None:
            when = brief.when
        else:
            seconds = (moment - datetime.now(UTC)).total_seconds()
            when = "due now" if seconds < 0 else f"in {duration(seconds)}: {clock(moment)}"
        st.markdown(f"Retraining of **{plain(schedule.model)}** {plain(when)}", width="stretch")
        if brief.obstacle:
            st.markdown(f":orange[:material/block: {plain(brief.obstacle)}]")
        if st.button("Show", key=f"due-show-{schedule.id}"):
            go("schedules")


def _drifted(model: str, reasons: tuple[str, ...]) -> None:
    with st.container(border=True, key=f"drift-{model}"):
        text = "; ".join(reasons)
        st.markdown(f":orange-badge[:material/trending_down: drifted] **{plain(model)}**: {plain(text)}")
        with st.container(horizontal=True):
            if st.button("Retrain it", key=f"drift-retrain-{model}", icon=":material/model_training:"):
                go("models", model=model, view="retrain")
            if st.button("Label new photos", key=f"drift-label-{model}", icon=":material/label:"):
                go("annotate", dataset=client().models.get(model).dataset)
