"""What runs, what waits for what, and what needs attention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.components.page import ago, go, guarded, plain, state_badge
from app.components.stages import stage_title
from app.served import SERVING
from workflows.state import ALIVE, State
from workflows.words import listed

if TYPE_CHECKING:
    from app.client.runs import RunBrief

SHOWN_WAITING = 5
SHOWN_TROUBLES = 3
RECENT = timedelta(days=7)
DIED_RECENTLY = timedelta(minutes=15)
TROUBLED = (State.FAILED, State.INTERRUPTED)


def activity() -> bool:
    """Draw the runs that run or wait; return whether there are any."""
    found = client().runs.newest(50, ALIVE)
    running = [run for run in found if run.state == State.RUNNING]
    waiting = [run for run in reversed(found) if run.state == State.PENDING]
    for run in running:
        _running(run)
    for run in waiting[:SHOWN_WAITING]:
        _waiting(run)
    if len(waiting) > SHOWN_WAITING:
        st.caption(f"{len(waiting) - SHOWN_WAITING} others are waiting: see the page Run")
    return bool(found)


def _running(run: RunBrief) -> None:
    progress = client().studio.progress(run.run_id)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"running-{run.run_id}"):
        share, text = 0.0, "starting"
        if progress is not None:
            share = min(1.0, progress.done / progress.total) if progress.total else 0.0
            text = f"{stage_title(progress.stage)} {progress.text}".strip()
        st.progress(share, text=f"**{plain(run.run_id)}**  {plain(text)}")
        if st.button("Watch", key=f"watch-{run.run_id}", icon=":material/show_chart:"):
            go("run", run=run.run_id)


def _waiting(run: RunBrief) -> None:
    words = client().studio.waits_for(run.run_id) or "starting"
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"waiting-{run.run_id}"):
        state_badge(State.PENDING)
        st.markdown(f"**{plain(run.run_id)}**  {plain(words)}", width="stretch")
        if st.button("Cancel", key=f"cancel-{run.run_id}", icon=":material/close:"):
            with guarded():
                client().studio.cancel(run.run_id)
                st.rerun()


def troubles() -> None:
    """Draw recent problems, with what can be done about them."""
    since = datetime.now(UTC) - RECENT
    runs = [run for run in client().runs.newest(SHOWN_TROUBLES, TROUBLED) if run.created_at > since]
    datasets = [found for found in client().attention.datasets() if found.findings]
    parts = [part for part in client().studio.parts().values() if _died_recently(part.died_at)]
    if not (runs or datasets or parts):
        return
    st.subheader("Needs attention", anchor=False)
    for part in parts:
        what = f"The {part.name} process" if not part.name.startswith(SERVING) else "The server of a model"
        words = f"{what} died {ago(datetime.fromisoformat(part.died_at))} and was restarted."
        words = words if part.state == "running" else f"{what} died; it is being restarted."
        st.warning(f"{plain(words)} Its log: {plain(part.log)}", icon=":material/restart_alt:")
    for run in runs:
        _troubled(run)
    for found in datasets[:SHOWN_TROUBLES]:
        _found(found.name, found.findings or ())


def _troubled(run: RunBrief) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"trouble-{run.run_id}"):
        state_badge(run.state)
        reason = (run.error or "").splitlines()[:1]
        st.markdown(f"**{plain(run.run_id)}** · {ago(run.finished_at)}  \n{plain(' '.join(reason))}", width="stretch")
        if st.button("Show", key=f"look-{run.run_id}"):
            go("run", run=run.run_id)
        if st.button("Resume", key=f"resume-{run.run_id}", icon=":material/play_arrow:"):
            with guarded():
                client().studio.resume(run.run_id)
                st.rerun()


def _found(name: str, titles: tuple[str, ...]) -> None:
    with st.container(border=True, key=f"findings-{name}"):
        words, way = st.columns([9, 1], vertical_alignment="center")
        number = f"{len(titles)} findings" if len(titles) > 1 else "1 finding"
        first = listed(titles, full="Show", most=3)
        words.markdown(f"**{plain(name)}** :yellow-badge[:material/flag: {number}]  \n{plain(first)}")
        if way.button("Show", key=f"audit-{name}"):
            go("data", dataset=name, view="audit")


def _died_recently(died_at: str) -> bool:
    return bool(died_at) and datetime.now(UTC) - datetime.fromisoformat(died_at) < DIED_RECENTLY
