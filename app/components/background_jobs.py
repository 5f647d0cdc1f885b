"""Background jobs that a page started: progress, result, stopping and resuming."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.client import client
from app.client.models import BackgroundJob
from app.components.asking_first import stop_button
from app.components.page import ago, guarded, plain, show_error, state_badge
from app.components.stages import stage_title
from workflows.errors import error_of
from workflows.state import State

POLL_SECONDS = 1.0


def follow_background_job(job: BackgroundJob, what: str, done: Callable[[str], None] | None = None) -> None:
    """Show a job's status; the whole page reruns once it ends.

    Args:
        job: the work.
        what: its title, e.g. "Retraining birds".
        done: draws its result, given the subject's id.
    """
    active = client().models.jobs.state(job).alive
    st.fragment(_draw_job, run_every=POLL_SECONDS if active else None)(job, what, done, active)


def _draw_job(job: BackgroundJob, what: str, done: Callable[[str], None] | None, was_active: bool) -> None:
    jobs = client().models.jobs
    state = jobs.state(job)
    if was_active and not state.alive:
        st.rerun()
    with st.container(border=True, key=f"job-{job.id}"):
        if state.alive:
            _draw_active(job, what, stopping=state == State.STOPPING)
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            state_badge(state)
            st.markdown(f"**{plain(what)}** · queued {ago_iso(job.ordered_at)} by {plain(job.author)}")
        outcome = jobs.outcome(job) or {}
        if state == State.FAILED:
            show_error(error_of(outcome))
        elif state == State.INTERRUPTED:
            st.caption("Its process ended too early: the studio was closed, or something went wrong.")
            words = jobs.log_tail(job)
            if words:
                st.expander("Log").code(words, language=None)
        if state == State.FINISHED and done is not None:
            done(str(outcome.get("subject", "")))
        with st.container(horizontal=True):
            if state != State.FINISHED and st.button("Resume", key=f"on-{job.id}", icon=":material/play_arrow:"):
                with guarded():
                    jobs.resume(job)
                    st.rerun()
            if st.button("Dismiss", key=f"away-{job.id}", type="tertiary"):
                jobs.forget(job)
                st.rerun()


def _draw_active(job: BackgroundJob, what: str, *, stopping: bool) -> None:
    jobs = client().models.jobs
    progress = jobs.progress(job)
    share, text = 0.0, "starting …"
    if progress is not None:
        share = min(1.0, progress.done / progress.total) if progress.total else 0.0
        text = f"{stage_title(progress.stage)} {progress.text}".strip()
    text = "stopping at the next batch …" if stopping else text
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=f"**{plain(what)}**  {plain(text)}")
        words = "It stops at the next batch, and can be resumed from there."
        if stop_button("Stop", words, key=f"stop-{job.id}", disabled=stopping):
            with guarded():
                jobs.stop(job)
                st.rerun()


def ago_iso(moment: str) -> str:
    """Return how long ago an ISO 8601 time was."""
    from datetime import datetime

    return ago(datetime.fromisoformat(moment))
